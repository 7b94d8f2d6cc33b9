r"""Labels: what stands left of `=` or `:` and names the value (`x`, `m\angle A`, `Area`)."""

from __future__ import annotations

from dataclasses import dataclass, field

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
_RATIOS_OF_ANGLES = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})
_CALLED = frozenset("fghpqdFGHPQSTV")
_IN_CALLS = frozenset("-,./=<>+")
_UNKNOWNS = frozenset("xyzt")
MAX_LABEL_TOKENS = 24
_BRACED = frozenset({"_", "overline", "widehat", "overrightarrow", "vec", "bar", "hat"})
_INTRODUCTIONS = frozenset({
    "on", "at", "is", "increasing", "decreasing", "constant", "minimum", "maximum",
})  # fmt: skip
ABBREVIATIONS = {
    "a": "area", "c": "circumference", "p": "perimeter", "v": "volume", "r": "radius",
    "d": "diameter", "sa": "surface area", "h": "height", "s": "side", "w": "width", "l": "length",
    "tsa": "surface area", "S": "area", "m": "slope",
}  # fmt: skip


def label_of(tokens: list[Token]) -> str | None:
    """The canonical label that these tokens spell; None when they are a value."""
    if not tokens or len(tokens) > MAX_LABEL_TOKENS:
        return None
    if tokens[0].text == "(":
        return _tuple_label(tokens)
    if (ratio := _segment_ratio(tokens)) is not None:
        return ratio
    if (tokens[0].text, tokens[-1].text) in (("[", "]"), ("|", "|")):
        return _enclosed_label(tokens)
    if tokens[0].text in _RATIOS_OF_ANGLES:
        return _ratio_label(tokens)
    if tokens[0].text in _CALLED and len(tokens) > 3 and tokens[1].text == "(":
        return _call_label(tokens)
    if tokens[0].text in ("E", "P", "Var") and len(tokens) > 3 and tokens[1].text == "[":
        return _call_label(tokens)
    reader = _Reader()
    for position, token in enumerate(tokens):
        if token.kind == "op" and token.text in "(^:" and reader.named:
            return _compound_label(reader.words, tokens, position)
        if not reader.read(token, tokens[position - 1].text if position else ""):
            return None
    return _canonical(reader.words) if reader.words and (reader.named or reader.angle) else None


@dataclass(slots=True)
class _Reader:
    """The words of a label, token by token."""

    words: list[str] = field(default_factory=list)
    named: bool = False
    """A letter or a word was read, so that this can be a name."""
    angle: bool = False
    glue: bool = False
    """The next token belongs to the last word: after `_` or a prime."""

    def read(self, token: Token, before: str) -> bool:
        """Take one token; False when it belongs to no label."""
        kind, text, spaced = token
        if kind in ("word", "text"):
            return text not in FUNCTIONS and self._word(token)
        if kind == "cmd" and text in _DROPPED:
            self.angle = self.angle or text == "angle"
            if text == "angle" and self.words and self.words[-1] == "m":
                self.words.pop()  # m\\angle A is the measure of the angle
            return True
        if kind == "cmd" and text in GREEK:
            return self._add(text, joined=False)
        if kind == "num":
            numbered = text.isdigit() and (self.angle or (self.named and not spaced))
            return (self.glue or numbered) and self._add(text, joined=bool(self.words))
        if text == "'" and self.words and len(self.words[-1]) == 1:
            return self._add(text, joined=True)  # a derivative is not its function
        if kind == "op" and text in "_.'{}":
            self.glue = True
            return text != "{" or before in _BRACED
        return False

    def _word(self, token: Token) -> bool:
        glued = self.glue and bool(self.words) and not token.spaced
        # `A B` spaced out: one name of several letters.
        letter = token.kind == "word" and len(token.text) == 1 and self.named
        spelled = letter and len(self.words) == 1 and self.words[0].isupper()
        return self._add(token.text, joined=glued or (spelled and len(self.words[0]) <= 3))

    def _add(self, text: str, *, joined: bool) -> bool:
        if joined:
            self.words[-1] += text
        else:
            self.words.append(text)
        self.named, self.glue = True, False
        return True


def _compound_label(words: list[str], tokens: list[Token], position: int) -> str | None:
    """`f(x)`, `f^{-1}(x)`, and the ratio of letters `x:y`."""
    if tokens[position].text == ":":
        letters = all(token.kind == "word" or token.text == ":" for token in tokens)
        return "".join(token.text for token in tokens) if letters else None
    inverse = tokens[position].text == "^"
    if inverse and not _is_inverse(tokens[position:]):
        return None
    call = _call(tokens[position + 5 :] if inverse else tokens[position:])
    if call is None or len(words) != 1:
        return None
    return f"{words[0]}{'^-1' if inverse else ''}({call})"


def _segment_ratio(tokens: list[Token]) -> str | None:
    r"""`AB:BC`, `\frac{AB}{BC}` and `AB/BC`: the ratio of two segments."""
    texts = [token.text for token in tokens if token.text not in "{}"]
    fraction = len(texts) == 3 and texts[0] == "frac"
    pair = texts[1:] if fraction else texts[::2] if len(texts) == 3 and texts[1] in ":/" else []
    if not pair or not all(len(name) == 2 and name.isalpha() and name.isupper() for name in pair):
        return None
    return ":".join(min(name, name[::-1]) for name in pair)


def _ratio_label(tokens: list[Token]) -> str | None:
    r"""`\sin A`, `\cos(\angle BAC)`: a trigonometric ratio of a named angle, not of a number."""
    inner = tokens[1:]
    if len(inner) > 2 and (inner[0].text, inner[-1].text) == ("(", ")"):
        inner = inner[1:-1]
    name = None if not inner or inner[0].text in _RATIOS_OF_ANGLES else label_of(inner)
    return f"{tokens[0].text}({name})" if name and len(name) <= 7 and "(" not in name else None


def _enclosed_label(tokens: list[Token]) -> str | None:
    r"""`[ABC]`, the area of a figure, and `|AB|` or `|\vec v|`, a length."""
    inner = tokens[1:-1]
    name = label_of(inner) if inner else None
    if name is None or tokens[0].text == "[":
        return f"area {name}" if name and name.isupper() and len(name) > 2 else None
    return name if (name.isupper() and len(name) == 2) or inner[0].text == "vec" else None


def _call_label(tokens: list[Token]) -> str | None:
    """`f(3)`, `g(-1)`, `d(A,B)`, `P(X=2)`: a function at stated values."""
    inner = tokens[2:-1]
    readable = all(t.kind in ("word", "num", "text") or t.text in _IN_CALLS for t in inner)
    if tokens[-1].text != {"(": ")", "[": "]"}[tokens[1].text] or not readable:
        return None
    return f"{tokens[0].text}({''.join(token.text for token in inner)})"


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


def _is_silent(word: str) -> bool:
    return word.lower() in _SILENT_WORDS


def _canonical(words: list[str]) -> str | None:
    name = words[0] if len(words) == 1 and len(words[0]) <= 4 else ""
    named = name.isupper() or not (_is_silent(name) or units.is_unit_word(name))  # CM is a segment
    if len(name) == 1 or (name and named):
        return (
            min(name, name[::-1])
            if len(name) in (2, 3) and name.isupper() and name != "SA"
            else name
        )
    parts = [part for word in words for part in word.split() if not _is_silent(part)]
    if not parts:
        return ""  # "length = 5" names nothing in particular
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
    if gold == other or not gold or not other:
        return True
    indices = gold[1:], other[1:]
    if gold[0] == other[0] in _UNKNOWNS and "" in indices and not "".join(indices).strip("_123"):
        return True  # x_1 = 2 is x = 2
    name_gold, name_other = _function_name(gold), _function_name(other)
    if "(" in gold or "(" in other:
        if name_gold == name_other:
            return _bound(gold) and _bound(other)
        return {name_gold, name_other} == {"y", "f"}
    if {len(gold), len(other)} == {1, 3} and (gold + other).isupper():
        return min(gold, other, key=len) == max(gold, other, key=len)[1]  # the angle at B
    left, right = (
        ABBREVIATIONS.get(name) or ABBREVIATIONS.get(name.lower(), name.lower())
        for name in (gold, other)
    )
    if len(gold) == 1 and len(other) == 1:
        return False
    words_left, words_right = set(left.split()), set(right.split())
    return words_left <= words_right or words_right <= words_left


def _bound(label: str) -> bool:
    """`f(x)` and `f(t)` are one function; `f(2)`, `f(3)`, `sin(A)` name values of their own."""
    name, _, argument = label.partition("(")
    return name not in _RATIOS_OF_ANGLES and len(argument) <= 2 and not argument[:1].isdigit()


def _function_name(label: str) -> str:
    return label.partition("(")[0]
