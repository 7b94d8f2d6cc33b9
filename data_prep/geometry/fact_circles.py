"""Facts about circles: diameters, chords, tangents, inscribed and circumscribed polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from data_prep.geometry.fact_parts import (
    put_midway,
    put_on_circle,
    shape_head,
    side_at,
)
from data_prep.geometry.figure import Ring
from data_prep.geometry.literals import Args, Term
from data_prep.geometry.model import Model, Unsupported, sides_of
from data_prep.geometry.resolve import (
    line_of,
    nearest,
    polygon_of,
    ring_of,
    slant,
    unwrapped,
)


def _is_diameter(model: Model, args: Args) -> None:
    ring = ring_of(model.figure, args[1])
    if isinstance(args[0], Term) and args[0].head == "SideOf":
        points = polygon_of(model.figure, args[0].args[0])
        line = side_at(model, ring.center, sides_of(points))
    else:
        line = line_of(model.figure, args[0])
    if ring.center in line:
        raise Unsupported("a diameter that ends in the centre")
    put_midway(model, ring.center, line)
    put_on_circle(model, line[0], args[1])


def _is_chord(model: Model, args: Args) -> None:
    for point in line_of(model.figure, args[0]):
        put_on_circle(model, point, args[1])


def _is_radius(model: Model, args: Args) -> None:
    ring, line = ring_of(model.figure, args[1]), line_of(model.figure, args[0])
    for point in line:
        if point != ring.center:
            put_on_circle(model, point, args[1])


def _tangent(model: Model, args: Args) -> None:
    ring, line = ring_of(model.figure, args[1]), line_of(model.figure, args[0])
    if ring.center in line:
        raise Unsupported("a tangent through the centre")
    _touches(model, ring, line)


def _touches(model: Model, ring: Ring, line: tuple[str, str]) -> None:
    """A line touches a circle: at an end or at a point of both, else at the distance r."""
    center, radius = ring.center, model.radius(ring)
    touching = [p for p in line if p in ring.points]
    touching = touching or _points_between(model, line, ring.points)
    if touching:
        touch = nearest(touching, lambda p: 1 - slant(model.figure, line, (center, p)))
        model.add(model.cosine(line, (center, touch)), "ratio")
        return
    model.equal(model.height(center, line), radius, "length")


def _points_between(model: Model, line: tuple[str, str], points: Sequence[str]) -> list[str]:
    """Points of the circle that a literal puts on this line."""
    on = set()
    for fact in model.figure.facts:
        on_line = fact.args[1] if fact.head == "PointLiesOnLine" else None
        names = on_line.args if isinstance(on_line, Term) else ()
        if set(map(str, names)) == set(line):
            on.add(str(fact.args[0]))
    return [p for p in points if p in on]


def _inscribed(model: Model, args: Args) -> None:
    """A polygon in a circle has its vertices on it; a circle in a polygon touches its sides."""
    inner, outer = (unwrapped(argument) for argument in args)
    if isinstance(inner, Term) and inner.head == "Circle":
        _circumscribed(model, (args[1], args[0]))
        return
    for point in polygon_of(model.figure, inner):
        put_on_circle(model, point, outer)


def _circumscribed(model: Model, args: Args) -> None:
    outer, inner = args
    if isinstance(unwrapped(outer), Term) and shape_head(outer) == "Circle":
        _inscribed(model, (inner, outer))
        return
    ring = ring_of(model.figure, inner)
    for side in sides_of(polygon_of(model.figure, outer)):
        _touches(model, ring, side)


CIRCLE_FACTS: dict[str, Callable[[Model, Args], None]] = {
    "IsDiameterOf": _is_diameter,
    "IsChordOf": _is_chord,
    "IsRadiusOf": _is_radius,
    "Tangent": _tangent,
    "InscribedIn": _inscribed,
    "CircumscribedTo": _circumscribed,
}
"""Literal -> what adds its equations."""
