"""The tokenizer: one linear pass of one regular expression over normalised text.

A token is `(kind, text, spaced)`; kinds are `num`, `word` (a run of letters), `cmd` (a LaTeX
command without its backslash), `text` (the contents of a text command), `op` (one sign), `end`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from adora_mm.verify.limits import MAX_DIGITS, MAX_TOKENS, AnswerError, LimitError


class Token(NamedTuple):
    """One token; `spaced` tells whether white space stood before it."""

    kind: str
    text: str
    spaced: bool


END = Token("end", "", False)
_GROUPED = r"(?<!\d,)\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?"
_SPACED_GROUPS = r"[1-9]\d{0,2}(?: \d{3})+(?![\d])(?:\.\d+)?"
_PLAIN = r"(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,4}(?![\d.a-zA-Z]))?"
_LEXER = re.compile(
    rf"(?P<ws>[ \t\r\f\v]+)|(?P<grouped>{_GROUPED})|(?P<wide>{_SPACED_GROUPS})"
    rf"|(?P<num>{_PLAIN})"
    r"|\\text\s*\{(?P<text>[^{}]*)\}|\\(?P<cmd>[a-zA-Z]+)\*?|(?P<brace>\\[{}])|(?P<row>\\\\)"
    r"|(?P<word>[A-Za-z]+)|(?P<rel><=|>=|=<|!=|==)|(?P<power>\*\*)"
    r"|(?P<op>[-+*/^_=<>()\[\]{},;:!|°%'&?.\n])"
)
_NUMBER = re.compile(_PLAIN)
_DOT_AFTER_NUMBER = re.compile(r"(?<=\d)\.(?=\s*(?:$|\\(?!overline|dot|bar)|[a-zA-Z]))")
_RELATIONS = {"<=": "le", "=<": "le", ">=": "ge", "!=": "ne", "==": "="}
_OPEN = frozenset({"(", "[", "\\{"})
_CLOSE = frozenset({")", "]", "\\}"})


def _digits(text: str) -> str:
    if sum(char.isdigit() for char in text) > MAX_DIGITS:
        raise LimitError(f"a number has more than {MAX_DIGITS} digits")
    return text


def _classify(kind: str, value: str) -> tuple[str, str]:
    """Kind and text of the token for a match of the lexer's group `kind`."""
    if kind in ("num", "grouped", "wide"):
        return "num", _digits(value.replace(",", "").replace(" ", ""))
    if kind == "text":
        words = value[value.index("{") + 1 : -1].strip()
        return ("num" if _NUMBER.fullmatch(words) else "text"), _digits(words)
    if kind == "cmd":
        return "cmd", value[1:].rstrip("*")
    if kind == "rel":
        return ("op", "=") if value == "==" else ("cmd", _RELATIONS[value])
    return ("word", value) if kind == "word" else ("op", {"power": "^"}.get(kind, value))


def tokenize(text: str) -> list[Token]:
    """Tokens of normalised text, closed by an `end` token.

    Raises AnswerError at the first character that belongs to no token, LimitError when there are
    too many tokens or digits. Thousands separators join digits only outside brackets, where a
    comma separates members.
    """
    text = _DOT_AFTER_NUMBER.sub(" ", text)
    tokens: list[Token] = []
    position, spaced, depth, length = 0, False, 0, len(text)
    while position < length:
        match = _LEXER.match(text, position)
        if match is None:
            raise AnswerError(f"unexpected character {text[position]!r}")
        kind, value = match.lastgroup or "", match.group()
        if kind == "grouped" and depth:
            match = _NUMBER.match(text, position)
            assert match is not None
            kind, value = "num", match.group()
        position = match.end()
        if kind == "ws":
            spaced = True
            continue
        if kind == "cmd" and value.startswith("\\text"):
            continue  # a font command around more than words: its braces are a group
        token = Token(*_classify(kind, value), spaced)
        if token.kind == "op":
            depth = max(0, depth + (value in _OPEN) - (value in _CLOSE))
        if len(tokens) >= MAX_TOKENS:
            raise LimitError(f"the answer has more than {MAX_TOKENS} tokens")
        tokens.append(token)
        spaced = False
    tokens.append(END)
    return tokens
