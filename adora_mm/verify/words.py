"""Answers in words: spelled-out numbers, names of nothing, and nouns that add nothing."""

from __future__ import annotations

import re

from adora_mm.verify.syntax import REALS, Node, number

_UNITS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven",
    "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
]  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SMALL = {word: value for value, word in enumerate(_UNITS)} | {
    word: 10 * k for k, word in enumerate(_TENS, 2)
}
_SCALES = {"hundred": 100, "thousand": 10**3, "million": 10**6, "billion": 10**9}
_AND_A = (["and", "a"], ["and", "one"])
_PARTS = {
    "half": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fifth": 5,
    "fifths": 5, "fourths": 4, "halves": 2, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7,
    "eighth": 8, "eighths": 8, "ninth": 9, "ninths": 9, "tenth": 10, "tenths": 10,
}  # fmt: skip
_NOTHING = frozenset({
    "no solution", "no solutions", "no real solution", "no real solutions", "there is no solution",
    "there are no solutions", "empty set", "none", "\\emptyset", "emptyset",
})  # fmt: skip
_ALL_REALS = frozenset({"all real numbers", "all reals", "real numbers", "all real x"})
_GENERIC = frozenset(
    {
        "triangle", "angle", "quadrilateral", "function", "direction", "number", "option", "shape",
        "segment", "line", "triangles", "angles", "lines", "segments", "quadrilaterals", "shapes",
    }
)  # fmt: skip
_SYNONYMS = {
    "dne": "does not exist", "infinitely many solutions": "infinitely many",
    "infinite": "infinitely many", "infinite solutions": "infinitely many",
    "infinite number of solutions": "infinitely many", "anticlockwise": "counterclockwise",
    "anti-clockwise": "counterclockwise", "counter-clockwise": "counterclockwise",
}  # fmt: skip
_QUADRANTS = {
    name: str(number)
    for number, names in enumerate(
        ("first 1st i", "second 2nd ii", "third 3rd iii", "fourth 4th iv"), 1
    )
    for name in names.split()
}
_ACROSS = re.compile(r"\b(?:across|over|in|about)\b")
_CRITERIA = frozenset({"sss", "sas", "asa", "aas", "saa", "hl", "rhs", "aa", "aaa"})
_KINDS = frozenset({"similarity", "similar", "congruence", "congruency", "congruent"})
_INITIALS = {"side": "s", "angle": "a"}
_AROUND_CRITERIA = frozenset({
    "by", "using", "criterion", "criteria", "postulate", "theorem", "rule", "test", "condition",
    "of", "triangle", "triangles", "case",
})  # fmt: skip
_ANGLE = re.compile(r"(?:m )?angle ([a-z])([a-z])([a-z])")
_SHAPES = re.compile(r"\b(?:triangle|angle|overline|segment|line|side)\b")


def value_in_words(text: str) -> Node | None:
    """Words that stand for a value: spelled-out numbers, all real numbers; None for others."""
    return REALS if text in _ALL_REALS else number_in_words(text)


def number_in_words(text: str) -> Node | None:
    """`forty-five`, `one half`, `two hundred five` as a number; None for other words."""
    words = text.replace("-", " ").split()
    if not words or len(words) > 6:
        return None
    if len(words) > 2 and words[-1] in ("half", "quarter") and words[-3:-1] in _AND_A:
        whole = number_in_words(" ".join(words[:-3]))
        return whole and Node("add", (whole, Node("div", (number(1), number(_PARTS[words[-1]])))))
    if len(words) == 2 and words[0] in _SMALL and words[1] in _PARTS:
        return Node("div", (number(_SMALL[words[0]]), number(_PARTS[words[1]])))
    total, current = 0, None
    for word in words:
        if word in _SMALL:
            value = _SMALL[word]
            if (
                current is not None
                and (current % 10 or value > 9 or not current % 100)
                and current % 100
            ):
                return None
            current = (current or 0) + value
        elif word in _SCALES and current is not None and current > 0:
            current *= _SCALES[word]
            if word != "hundred":
                total, current = total + current, 0
        else:
            return None
    return number(total + (current or 0))


def same_criterion(gold: str, other: str) -> bool:
    """`SAS`, `by SAS`, `SAS similarity`; of two kinds that are named, both must be the same."""
    left, right = _criterion(gold), _criterion(other)
    if left is None or right is None or left[0] != right[0]:
        return False
    return not left[1] or not right[1] or left[1] == right[1]


def _criterion(text: str) -> tuple[str, frozenset[str]] | None:
    words = text.replace("-", " ").split()
    kinds = frozenset(word[:7] for word in words if word in _KINDS)
    rest = [word for word in words if word not in _KINDS and word not in _AROUND_CRITERIA]
    name = "".join(_INITIALS.get(word, word) for word in rest)
    return (name, kinds) if name in _CRITERIA else None


def means_nothing(text: str) -> bool:
    """`no solution` and its kin: the empty set."""
    return text in _NOTHING


def _usual(text: str) -> str:
    """One wording of what is said in several ways."""
    text = _SYNONYMS.get(text, text)
    if "angled" in text:
        text = text.replace("right-angled", "right").replace("right angled", "right")
    if "quadrant" in text:
        return " ".join(sorted(_QUADRANTS.get(word, word) for word in text.split()))
    return _ACROSS.sub("over", text) if "reflect" in text else text


def same_words(gold: str, other: str) -> bool:
    """Whether folded words agree, apart from a generic noun or shape word on one side."""
    gold, other = _usual(gold), _usual(other)
    if gold == other:
        return True
    angles = _ANGLE.fullmatch(gold), _ANGLE.fullmatch(other)
    if angles[0] and angles[1]:
        return angles[0].groups() == angles[1].groups()[::-1]  # ABC is the angle CBA
    if means_nothing(gold) and means_nothing(other):
        return True
    left, right = gold.split(), other.split()
    for longer, shorter in ((left, right), (right, left)):
        if (
            len(longer) == len(shorter) + 1
            and shorter
            and longer[-1] in _GENERIC
            and longer[:-1] == shorter
        ):
            return shorter[-1] not in _GENERIC
    bare = [_SHAPES.sub("", side).split() for side in (gold, other)]
    return bare[0] == bare[1] != [] and (bare[0] == left or bare[1] == right)
