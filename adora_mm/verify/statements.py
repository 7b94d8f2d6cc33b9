r"""Answers that are statements: `AB \parallel CD`, `\triangle ABC \sim \triangle DEF`, north-east,
3:30 pm, "(1) Zoey is a knight, (2) Oliver is a knave". Each has a canonical key, so that two
spellings of one statement compare as equal keys.

A text that is no such statement has no key and is compared as a value or as words.
"""

from __future__ import annotations

import re

_SIDE = (
    r"(?:(?:the\s+)?(?:lines?|segments?|sides?)?\s*\\?(triangle|angle|quadrilateral|overline"
    r"|overleftrightarrow|overrightarrow|ray|arc|widehat|bar)s?\b)?"
    r"(?:the\s+)?(?:(?:lines?|segments?|sides?)\b)?\s*\{?\s*(?:\\text\s*\{\s*)?"
    r"([A-Z]'?(?:\s?[A-Z]'?){0,5}|[a-z]|[a-zA-Z]_\{?\d\}?|(?<=angle )\d)\s*\}{0,2}"
)
_WORDS = r"(parallel|perpendicular|congruent|similar)"
_RELATION = (
    r"(?:(=|\\parallel|\|\||//|\\perp|\\cong|\\sim|~)"
    rf"|(?:\\text\s*\{{\s*)?(?:is|are)\s+{_WORDS}\s+to\s*\}}?)"
)
_FIGURES = re.compile(rf"{_SIDE}\s*{_RELATION}\s*{_SIDE}")
_BOTH = re.compile(rf"{_SIDE}\s+and\s+{_SIDE}\s+are\s+{_WORDS}")
_VERTEX = re.compile(r"[A-Za-z\d](?:_\{?\d\}?)?'?")
_SIGNS = {
    "\\parallel": "parallel", "||": "parallel", "//": "parallel", "\\perp": "perpendicular",
    "\\cong": "congruent", "\\sim": "similar", "~": "similar",
    "=": "equal",
}  # fmt: skip
_NOON = 12 * 3600
_NAMED_TIMES = {"noon": _NOON, "midday": _NOON, "midnight": 0}
_CLOCK = re.compile(
    r"(?:at\s+)?(\d{1,2})(?:\s*[:.]\s*(\d{2}))?(?:\s*:\s*(\d{2}))?\s*"
    r"(?:\\text\s*\{)?\s*([ap])\.?\s?m\b\.?\s*\}?",
    re.IGNORECASE,
)
_HOURS = re.compile(r"(?:at\s+)?(\d{1,2}):(\d{2})(?::(\d{2}))?")
_COMPASS = {"n": "n", "s": "s", "e": "e", "w": "w"} | {
    name: name[0] for name in ("north", "south", "east", "west")
}
_DIRECTION = re.compile(
    r"(?:due\s+|to the\s+|the\s+)?(north|south|n|s)?\s*-?\s*(east|west|e|w)?(?:\s+direction)?",
    re.IGNORECASE,
)
_REPLY = re.compile(
    r"(yes|no|true|false)(?:\s*[,.;:!-]+\s*|\s+(?=(?:it|they|this|these|he|she|we|because|since|as)\b))"
    r"([^\d=<>]*)",
    re.IGNORECASE,
)
_REPLIES = frozenset({"yes", "no", "true", "false"})
_HEDGES = {
    "yes": re.compile(
        r"\b(?:no|not|or|but|maybe|unless|cannot|false|neither)\b|n't", re.IGNORECASE
    ),
    "no": re.compile(r"\b(?:yes|or|but|maybe|unless|true)\b", re.IGNORECASE),
}
_MAX_CHARS = 120
_ROLE = re.compile(r"(?:\(?\d{1,2}[).:]\s*)?([A-Z][\w'-]*) is an? ([A-Za-z]+)")
_LAYOUT = re.compile(r"\\text\s*|\\(?:begin|end)\{[a-z]+\*?\}(?:\{[lcr]+\})?|\\quad|[{}*&$]")
_BETWEEN_ROLES = re.compile(r"\\\\|[,;.]?\s+and\s+|[,;]|\.(?=\s|$)|\s(?=\(?\d{1,2}[).:]\s)")
_MAX_ROLES_CHARS = 1000


def statement(text: str) -> tuple[str, ...] | None:
    """The canonical key of a normalised text; None when it is no statement of these kinds."""
    if " is a" in text and (roles := _roles(text)) is not None:
        return roles
    if len(text) > _MAX_CHARS:
        return None
    text = text.strip(" .$")
    first = text[:1]
    if first.isdigit():
        return _clock(text)
    if not first.isalpha():
        return _figures(text) if first == "\\" else None
    return _figures(text) or _clock(text) or _direction(text) or _reply(text)


def same_statement(gold: tuple[str, ...], other: tuple[str, ...]) -> bool | None:
    """Whether two keys say the same; None when values or words have to decide.

    A time without am or pm agrees with either, and two of them may be ratios. "Yes" agrees with
    "yes, they are similar"; two replies with different continuations are compared as words.
    """
    if gold[0] == other[0] == "reply":
        return False if gold[1] != other[1] else (True if "" in (gold[2], other[2]) else None)
    if gold[0] != "clock" or other[0] != "clock":
        return gold == other
    if "padded" in (gold[3], other[3]) and "12h" not in (gold[2], other[2]):
        return gold[1] == other[1]  # 1:04 is no ratio
    if "12h" not in (gold[2], other[2]):
        return None
    if gold[2] and other[2]:
        return gold[1] == other[1]
    return int(gold[1]) % _NOON == int(other[1]) % _NOON


# -- figures ----------------------------------------------------------------------------------
def _figures(text: str) -> tuple[str, ...] | None:
    match = _FIGURES.fullmatch(text)
    if match is not None:
        left_shape, left, sign, spelled, right_shape, right = match.groups()
        relation = _SIGNS.get(sign) or spelled
    else:
        match = _BOTH.fullmatch(text)
        if match is None:
            return None
        left_shape, left, right_shape, right, relation = match.groups()
    names = _VERTEX.findall(left), _VERTEX.findall(right)
    if relation in ("parallel", "perpendicular"):
        return (relation, *sorted(map(_unordered, names)))
    angles = "angle" in (left_shape, right_shape)
    if relation == "equal" and left_shape != "angle" != right_shape:
        return None
    if len(names[0]) != len(names[1]):
        return None
    if angles or len(names[0]) < 3:
        kind = f"{relation} angles" if angles else relation
        return (kind, *sorted(map(_unordered, names)))
    return (relation, *_correspondence(*names))


def _unordered(name: list[str]) -> str:
    """A segment or an angle, which may be read from either end."""
    return min("".join(name), "".join(reversed(name)))


def _correspondence(left: list[str], right: list[str]) -> tuple[str, str]:
    """The same match of vertices, whichever vertex and figure is named first."""
    found = []
    for first, second in ((left, right), (right, left)):
        for start in range(len(first)):
            for step in (1, -1):
                order = [(start + step * k) % len(first) for k in range(len(first))]
                found.append(("".join(first[k] for k in order), "".join(second[k] for k in order)))
    return min(found)


# -- roles ------------------------------------------------------------------------------------
def _roles(text: str) -> tuple[str, ...] | None:
    """Who is what, in any order; None as soon as a part says anything else."""
    if len(text) > _MAX_ROLES_CHARS:
        return None
    plain = " ".join(_LAYOUT.sub(" ", text.replace("\n", ";")).split())
    parts = [part.strip() for part in _BETWEEN_ROLES.split(plain)]
    found = [_ROLE.fullmatch(part.removeprefix("and ")) for part in parts if part]
    if not found or not all(found):
        return None
    said = {f"{match[1]}: {match[2]}".casefold() for match in found if match}
    return "roles", *sorted(said)


# -- times of day -----------------------------------------------------------------------------
def _clock(text: str) -> tuple[str, ...] | None:
    """Seconds since midnight and how the half of the day is known: `12h`, `24h` or not at all."""
    if text.lower() in _NAMED_TIMES:
        return "clock", str(_NAMED_TIMES[text.lower()]), "12h", ""
    if ":" not in text and text[-1] not in "mM":
        return None
    match = _CLOCK.fullmatch(text) or _HOURS.fullmatch(text)
    if match is None:
        return None
    hour, minute, second = (int(part or 0) for part in match.groups()[:3])
    half = match.group(4).lower() if match.re is _CLOCK else ""
    if minute > 59 or second > 59 or hour > (12 if half else 23) or (half and not hour):
        return None
    if half:
        hour = hour % 12 + (12 if half == "p" else 0)
    unambiguous = hour > 12 or match.group(1).startswith("0")
    known = "12h" if half else "24h" if unambiguous else ""
    padded = "padded" if (match.group(2) or "").startswith("0") else ""
    return "clock", str((hour * 60 + minute) * 60 + second), known, padded


# -- directions -------------------------------------------------------------------------------
def _direction(text: str) -> tuple[str, ...] | None:
    match = _DIRECTION.fullmatch(text)
    if match is None or not any(match.groups()):
        return None
    letters = [part for part in match.groups() if part]
    if any(len(part) == 1 and part.islower() for part in letters):
        return None
    return "direction", "".join(_COMPASS[part.lower()] for part in letters)


# -- replies ----------------------------------------------------------------------------------
def _reply(text: str) -> tuple[str, ...] | None:
    """Yes, no, true or false, and what is added to it without taking it back."""
    if text.lower() in _REPLIES:
        return "reply", text.lower(), ""
    match = _REPLY.fullmatch(text)
    if match is None:
        return None
    word, rest = match.group(1).lower(), match.group(2)
    doubt = _HEDGES["yes" if word in ("yes", "true") else "no"].search(rest)
    return None if doubt else ("reply", word, rest.lower())
