"""Which problems are the same problem: with other numbers, other letters, or drawn again.

Geometry3K holds many problems several times, across its splits too. Two keys find them. `family_of`
is the structure of facts and question without names and numbers (colour refinement of the points,
Weisfeiler and Leman 1968); points on lines are left out, because every annotator lists others.
`numbers_of` are the given numbers with the kind of question.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence

from data_prep.geometry.figure import Figure
from data_prep.geometry.literals import Argument, Term, is_point, points_in

ROUNDS = 3
FEWEST_NUMBERS = 2
_NUMBER = re.compile(r"\d+\.?\d*")


def family_of(figure: Figure) -> str:
    """A key that is equal for problems that differ in names and numbers only."""
    terms = list(_terms(figure))
    colours: dict[str, str] = {}
    for _ in range(ROUNDS):
        seen: dict[str, list[str]] = {}
        for term in terms:
            for point in points_in([term]):
                seen.setdefault(point, []).append(_shape(term, {**colours, point: "*"}))
        colours = {point: _hash("|".join(sorted(shapes))) for point, shapes in seen.items()}
    return _hash("|".join(sorted(_shape(term, colours) for term in terms)))


def numbers_of(figure: Figure) -> str:
    """The given numbers in order of size and what is asked; empty when they are too few to tell."""
    found = sorted(
        (number for term in _terms(figure) for number in _numbers(term)),
        key=lambda n: (float(n), n),
    )
    target = figure.target.head if isinstance(figure.target, Term) else "letter"
    return f"{target}:{' '.join(found)}" if len(found) >= FEWEST_NUMBERS else ""


def _terms(figure: Figure) -> Sequence[Term]:
    facts = [fact for fact in (*figure.drawn, *figure.said) if fact.head != "PointLiesOnLine"]
    asked = [] if figure.target is None else [Term("Find", (figure.target,))]
    return list(dict.fromkeys([*facts, *asked]))


def _shape(argument: Argument, colours: Mapping[str, str]) -> str:
    if isinstance(argument, Term):
        parts = [_shape(arg, colours) for arg in argument.args]
        if argument.head in ("Equals", "Line", "Parallel", "Perpendicular", "Congruent"):
            parts.sort()
        return f"{argument.head}({','.join(parts)})"
    if is_point(argument):
        return colours.get(argument, "point")
    if argument.startswith("radius_"):
        return "radius"
    return re.sub(r"[a-z]\b", "letter", _NUMBER.sub("number", argument))


def _numbers(term: Term) -> list[str]:
    """Numbers of expressions; those of angles' and circles' names are no numbers."""
    found: list[str] = []
    for arg in term.args:
        if isinstance(arg, Term):
            if arg.head not in ("Circle", "Angle"):
                found += _numbers(arg)
        elif not is_point(arg) and not arg.startswith(("radius_", "angle", "$")):
            found += _NUMBER.findall(arg)
    return found


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
