"""Points with two names: the text says S where the diagram says C.

A point of the text without a place stands for a placed one that the text never names, if that one
joins the same neighbours: the corners beside it in a polygon, or the circle around it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from data_prep.geometry.annotations import Annotation
from data_prep.geometry.literals import SHAPES, Argument, Term, points_in, walk


def rename(term: Term, names: Mapping[str, str]) -> Term:
    """The literal with other names for its points."""
    if not names:
        return term
    return Term(term.head, tuple(_renamed(argument, names) for argument in term.args))


def _renamed(argument: Argument, names: Mapping[str, str]) -> Argument:
    return names.get(argument, argument) if isinstance(argument, str) else rename(argument, names)


def aliases(annotation: Annotation, shown: Sequence[Term], told: Sequence[Term]) -> dict[str, str]:
    """Names without a place -> the placed points that they mean; only where there is one choice."""
    placed = set(annotation.positions)
    terms = [*shown, *told]
    said = points_in(told)
    nowhere = said - placed - points_in(shown)
    found: dict[str, str] = {}
    for name in sorted(nowhere):
        choices = _by_circle(name, terms, placed) or _by_polygon(name, annotation, terms, said)
        if len(choices) == 1:
            found[name] = choices.pop()
    return found if len(set(found.values())) == len(found) else {}


def _by_circle(name: str, terms: Sequence[Term], placed: set[str]) -> set[str]:
    """The centre of the only drawn circle, for the name of a circle that is nowhere."""
    centers = {
        str(circle.args[0])
        for term in terms
        for circle in walk(term)
        if term.head == "PointLiesOnCircle" and circle.head == "Circle"
    }
    named = any(inner.head == "Circle" and name in inner.args for t in terms for inner in walk(t))
    return centers & placed if named and len(centers) == 1 else set()


def _by_polygon(
    name: str, annotation: Annotation, terms: Sequence[Term], said: set[str]
) -> set[str]:
    """Unnamed points that strokes join to both neighbours of the name in a polygon."""
    joined = {frozenset(stroke) for stroke in annotation.strokes}
    for term in terms:
        for shape in walk(term):
            if shape.head not in SHAPES or name not in shape.args or len(shape.args) < 3:
                continue
            points = list(map(str, shape.args))
            place = points.index(name)
            beside = points[place - 1], points[(place + 1) % len(points)]
            return {
                point
                for point in set(annotation.positions) - said
                if all(frozenset((point, other)) in joined for other in beside)
            }
    return set()
