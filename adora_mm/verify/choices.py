"""Multiple choice: a letter in any dress, the value of an option or its text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from adora_mm.verify.normalize import fold_words, normalize

LETTERS = "ABCDEFGHIJ"
_DRESS = re.compile(
    r"^\W{0,40}(?:(?:(?:so|thus|therefore|hence)\b\W{0,8})?(?:the\s+)?(?:correct\s+|final\s+)?"
    r"(?:option|choice|answer|ans|opt)\b\W{0,8}(?:is\b\W{0,8})?"
    r"|[故应]?选项?\W{0,8}|(?:正确)?答案[是为选]?\W{0,8})?"
    r"(?:\\?\(|\[|\{)?\s*([A-Ja-j])\s*(?:\)|\]|\}|[.:,]|$)\s*\}?\s*[.:)]?\s*(.*)$",
    re.IGNORECASE | re.DOTALL,
)
_LISTED = re.compile(r"(?:^|(?<=[\s,;({]))\(?([A-J])\s?[.):、](?=[\s}]*\w)")
_LIST_CHARS = 600
_BETWEEN = re.compile(r"[\s,;&/().{}*]+|\b(?:and|or)\b")
_ORDER = re.compile(r"\d{1,3}(?:-\d{1,3}){2,}")
_FONTS = re.compile(r"\\(?:text|mathbf|mathrm|textbf|bf|rm|textit|boldsymbol)\b\s*")


@lru_cache(maxsize=8192)
def split_letter(text: str) -> tuple[str | None, str]:
    r"""`\textbf{(C)} 12` -> ("C", "12"); ("", text) style: letter is None when there is no dress.

    A bare letter followed by words ("A triangle") is not a choice; a bracket, a point, a colon or
    the end has to follow.
    """
    bare = _FONTS.sub("", normalize(text)).strip()
    # {(C)} or {C}: the braces of the font command that was just removed.
    bare = re.sub(r"^\{([^{}]*)\}", r"\1", bare).strip()
    match = _DRESS.match(bare)
    if match is None:
        return None, text
    rest = match.group(2).strip()
    dressed = bare.lstrip(" *_")[:1] in "([{" or len(bare.strip(" .*_")) == 1
    if not dressed and rest and bare[match.end(1) : match.end(1) + 1] == ",":
        return None, text
    return match.group(1), rest


def several_letters(text: str) -> bool:
    """Whether an answer names more than one option: `A, C`, `A or B`, `A. 9, B. 18, C. 36`."""
    if len(text) > _LIST_CHARS:
        return False
    if len({match.group(1) for match in _LISTED.finditer(_FONTS.sub("", text))}) > 1:
        return True
    if len(text) > 80:
        return False
    parts = [part for part in _BETWEEN.split(_FONTS.sub("", normalize(text))) if part]
    return len(set(parts)) > 1 and all(len(part) == 1 and part in LETTERS for part in parts)


def is_letter_gold(gold: str) -> bool:
    """A gold that is only a choice letter, in any dress."""
    letter, rest = split_letter(gold)
    return letter is not None and letter.isupper() and not rest


def gold_index(gold: str, options: Sequence[str]) -> int | None:
    """The option that a gold names by letter or by text; None when it is a value to compare."""
    letter, rest = split_letter(gold)
    folded = fold_words(normalize(gold))
    for index, option in enumerate(options):
        if fold_words(normalize(option)) == folded:
            return index
    if letter is not None and letter.isupper() and LETTERS.index(letter) < len(options):
        index = LETTERS.index(letter)
        if not rest or fold_words(normalize(strip_letter(options[index]))) == fold_words(
            normalize(rest)
        ):
            return index
    return None


def orders(options: Sequence[str]) -> list[str]:
    """The options without spaces, when all of them are orders such as `5-2-3-1-4`; else nothing."""
    if not all("-" in option or "–" in option for option in options):
        return []
    found = [plain_order(strip_letter(option)) for option in options]
    return found if len(found) > 1 and all(map(_ORDER.fullmatch, found)) else []


def plain_order(text: str) -> str:
    """An order without spaces and text commands."""
    return "".join(_FONTS.sub("", normalize(text)).split()).strip("{}.")


def strip_letter(option: str) -> str:
    """The text of an option without the letter that some data sets keep in front."""
    letter, rest = split_letter(option)
    return rest if letter is not None and rest else option
