r"""Labels: what stands left of `=` or `:` and names the value (`x`, `m\angle A`, `Area`)."""

from __future__ import annotations

from adora_mm.verify import units
from adora_mm.verify.tokens import Token
from adora_mm.verify.vocabulary import FUNCTIONS, GREEK

_DROPPED = frozenset(
    {
        "angle", "triangle", "overline", "widehat", "overrightarrow", "vec", "parallel", "circ",
        "bar", "hat",
    }
)  # fmt: skip
_SILENT_WORDS = frozenset(
    [
        "the", "of", "a", "an", "is", "measure", "length", "value", "size", "total", "m", "its",
        "this", "that", "side", "segment", "angle", "in", "and", "for", "to", "at", "on",
        "function", "approximately", "therefore", "so", "hence", "thus", "we", "get", "have",
        "find",
    ]
)  # fmt: skip
_INTRODUCTIONS = frozenset({
    "on", "at", "is", "increasing", "decreasing", "constant", "minimum", "maximum",
})  # fmt: skip
ABBREVIATIONS = {
    "a": "area", "c": "circumference", "p": "perimeter", "v": "volume", "r": "radius",
    "d": "diameter", "sa": "surface area", "h": "height", "s": "side", "w": "width", "l": "length",
    "tsa": "surface area",
}  # fmt: skip


def label_of(tokens: list[Token]) -> str | None:
    """The canonical label that these tokens spell; None when they are a value."""
    if not tokens or len(tokens) > 24:
        return None
    words: list[str] = []
    letters = False
    angle = False
    glue = False
    for position, token in enumerate(tokens):
        kind, text, spaced = token
        if kind in ("word", "text"):
            if text in FUNCTIONS:
                return None
            if glue and words and not spaced:
                words[-1] += text
            elif (
                words
                and letters
                and kind == "word"
                and len(text) == 1
                and len(words[-1]) <= 3
                and _single(words)
            ):
                # `A B` spaced out: one name of several letters.
                words[-1] += text
            else:
                words.append(text)
            letters, glue = True, False
        elif kind == "cmd" and text in _DROPPED:
            angle = angle or text == "angle"
            if text == "angle" and words and words[-1] == "m":
                words.pop()
        elif kind == "cmd" and text in GREEK:
            words.append(text)
            letters, glue = True, False
        elif kind == "num" and (
            glue or (angle and text.isdigit()) or (letters and not spaced and text.isdigit())
        ):
            if words:
                words[-1] += text
            else:
                words.append(text)
            letters, glue = True, False
        elif kind == "op" and text in "_.'{}":
            if text == "{" and not (
                position
                and tokens[position - 1].text
                in ("_", "overline", "widehat", "overrightarrow", "vec", "bar", "hat")
            ):
                return None
            glue = True
        elif (
            kind == "op"
            and text == ":"
            and letters
            and all(t.kind == "word" or t.text == ":" for t in tokens)
        ):
            return "".join(token.text for token in tokens)
        elif kind == "op" and text == "^" and letters and _is_inverse(tokens[position:]):
            call = _call(tokens[position + 5 :])
            return None if call is None or len(words) != 1 else f"{words[0]}^-1({call})"
        elif kind == "op" and text == "(" and letters:
            call = _call(tokens[position:])
            if call is None:
                return None
            return f"{words[-1]}({call})" if len(words) == 1 else None
        elif kind == "op" and text == "(" and not letters and position == 0:
            return _tuple_label(tokens)
        else:
            return None
    return _canonical(words) if letters or (angle and words) else None


def _single(words: list[str]) -> bool:
    return len(words) == 1 and words[0].isupper()


def _is_inverse(tokens: list[Token]) -> bool:
    return [token.text for token in tokens[:6]] == ["^", "{", "-", "1", "}", "("]


def _call(tokens: list[Token]) -> str | None:
    inner = [token for token in tokens if token.text not in "()"]
    if len(inner) != 1 or inner[0].kind != "word" or tokens[-1].text != ")":
        return None
    return inner[0].text


def _tuple_label(tokens: list[Token]) -> str | None:
    inner = [token for token in tokens if token.text not in "(),"]
    if (
        not inner
        or tokens[-1].text != ")"
        or any(t.kind not in ("word", "cmd") or len(t.text) > 5 for t in inner)
    ):
        return None
    return "(" + ",".join(token.text for token in inner) + ")"


def _canonical(words: list[str]) -> str | None:
    if len(words) == 1 and len(words[0]) <= 4 and not units.is_unit_word(words[0]):
        name = words[0]
        return (
            min(name, name[::-1])
            if len(name) in (2, 3) and name.isupper() and name != "SA"
            else name
        )
    parts = [w for word in words for w in word.split() if w.lower() not in _SILENT_WORDS and w]
    if not parts:
        return words[-1] if words else None
    if len(parts) == 1 and len(parts[0]) <= 4:
        return _canonical(parts)
    return " ".join(part.lower().strip(".,:") if len(part) > 1 else part for part in parts)


def is_plain(label: str) -> bool:
    """A label that may also be a variable of an equation: one letter, or f(x)."""
    return len(label) <= 2 or "(" in label or "_" in label or label in GREEK


def colon_label(tokens: list[Token]) -> tuple[str | None, list[Token]]:
    """Split `Area: 5` and `slope is 4` into label and value; a ratio of letters stays whole."""
    for position, token in enumerate(tokens[:-1]):
        if token.kind == "op" and token.text == ":":
            before, after = tokens[:position], tokens[position + 1 :]
            label = label_of(before)
            if label is None or (len(label) <= 2 and label_of(after) is not None):
                return None, tokens
            return label, after
        if (
            token.kind in ("word", "text")
            and token.text.lower().strip() in ("is", "are", "equals")
            and position
        ):
            label = label_of(tokens[:position])
            if label is not None:
                return label, tokens[position + 1 :]
    return None, tokens


def leading_label(tokens: list[Token]) -> tuple[str, list[Token]] | None:
    """`increasing on (1, 2)`, `local minimum at (-2, 3)`: a label that needs no sign after it."""
    at = 0
    while at < len(tokens) and tokens[at].kind in ("word", "text"):
        at += 1
    words = " ".join(token.text for token in tokens[:at]).lower().replace(",", " ").split()
    if not words or at == len(tokens) or words[-1] not in _INTRODUCTIONS or "not" in words:
        return None
    label = label_of(tokens[:at])
    return None if label is None else (label, tokens[at:])


def same(gold: str, other: str) -> bool:
    """Whether two labels may name the same thing."""
    if gold == other:
        return True
    name_gold, name_other = _function_name(gold), _function_name(other)
    if "(" in gold or "(" in other:
        if name_gold == name_other:
            return True
        return {name_gold, name_other} == {"y", "f"}
    left, right = (ABBREVIATIONS.get(name.lower(), name.lower()) for name in (gold, other))
    if len(gold) == 1 and len(other) == 1:
        return False
    words_left, words_right = set(left.split()), set(right.split())
    return words_left <= words_right or words_right <= words_left


def _function_name(label: str) -> str:
    return label.partition("(")[0]
