"""Facts about lines and points in polygons: medians, altitudes, bisectors, centres."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from data_prep.geometry.fact_parts import (
    equal_lengths,
    point_of,
    put_midway,
    put_on_circle,
    side_at,
)
from data_prep.geometry.literals import Args, Term, is_point
from data_prep.geometry.model import Function, Model, Unsupported, sides_of
from data_prep.geometry.resolve import (
    bases_of,
    corner_of,
    is_shape,
    legs_of,
    line_of,
    polygon_of,
    slant,
)


def _is_midpoint(model: Model, args: Args) -> None:
    point, other = point_of(args[0]), args[1]
    if isinstance(other, Term) and other.head == "LegOf":
        legs = legs_of(model.figure, polygon_of(model.figure, other.args[0]))
        put_midway(model, point, side_at(model, point, legs))
    else:
        put_midway(model, point, line_of(model.figure, other))


def _median(model: Model, args: Args) -> None:
    """Of a triangle from a vertex to the middle of a side; of a trapezoid between the legs."""
    line, points = line_of(model.figure, args[0]), polygon_of(model.figure, args[1])
    if len(points) == 3:
        corner = [p for p in line if p in points]
        if len(corner) != 1:
            raise Unsupported("a median that leaves no vertex")
        foot = line[1] if line[0] == corner[0] else line[0]
        first, last = (p for p in points if p != corner[0])
        put_midway(model, foot, (first, last))
        return
    _midsegment(model, args)
    model.add(model.sine(*bases_of(model.figure, points)), "ratio")


def _midsegment(model: Model, args: Args) -> None:
    line, points = line_of(model.figure, args[0]), polygon_of(model.figure, args[1])
    sides = list(sides_of(points) if len(points) == 3 else legs_of(model.figure, points))
    placed = [p for p in line if p in model.figure.placed]
    if not placed and len(sides) == 2:
        put_midway(model, line[0], sides[0])
        put_midway(model, line[1], sides[1])
        return
    for point in placed:
        side = side_at(model, point, sides)
        put_midway(model, point, side)
        sides.remove(side)
    for point in line:
        if point not in placed and len(sides) == 1:
            put_midway(model, point, sides[0])


def _is_altitude(model: Model, args: Args) -> None:
    line, points = line_of(model.figure, args[0]), polygon_of(model.figure, args[1])
    corner = [p for p in line if p in points]
    if len(points) != 3 or not corner:
        raise Unsupported("an altitude that leaves no vertex")
    if len(corner) == 2:  # it is a leg of a right triangle
        third = next(p for p in points if p not in line)
        error = {p: 1 - slant(model.figure, line, (p, third)) for p in line}
        foot = min(line, key=error.__getitem__)
        model.add(model.cosine(line, (foot, third)), "ratio")
        return
    foot = line[1] if line[0] == corner[0] else line[0]
    first, last = (p for p in points if p != corner[0])
    model.add(model.cosine(line, (first, last)), "ratio")
    model.add(model.off_line(foot, (first, last)), "length")


def _hypotenuse(model: Model, args: Args) -> None:
    line, points = line_of(model.figure, args[0]), polygon_of(model.figure, args[1])
    vertex = [p for p in points if p not in line]
    if len(points) != 3 or len(vertex) != 1:
        raise Unsupported("a hypotenuse that is no side")
    model.add(model.cosine((vertex[0], line[0]), (vertex[0], line[1])), "ratio")


def _bisects(model: Model, args: Args) -> None:
    line = line_of(model.figure, args[0])
    angle = args[1]
    if not isinstance(angle, Term):
        raise Unsupported("BisectsAngle of a text")
    if angle.head == "Line":
        raise Unsupported("BisectsAngle of two lines")
    if is_shape(angle):
        points = polygon_of(model.figure, angle)
        vertex = [p for p in line if p in points]
        place = points.index(vertex[0]) if vertex else -1
        if place < 0:
            raise Unsupported("a bisector that leaves no vertex")
        first, vertex_name, last = (
            points[place - 1],
            points[place],
            points[(place + 1) % len(points)],
        )
    elif len(angle.args) == 1:
        first, vertex_name, last = _corner_around(model, str(angle.args[0]), line)
    else:
        first, vertex_name, last = map(str, angle.args)
    inner = [p for p in line if p != vertex_name]
    if len(inner) != 1:
        raise Unsupported("a bisector that does not leave the vertex")
    one = model.angle(first, vertex_name, inner[0])
    model.equal(one, model.angle(inner[0], vertex_name, last), "angle")


def _corner_around(model: Model, vertex: str, line: tuple[str, str]) -> tuple[str, str, str]:
    """Like `corner_of`; but the bisector itself is no side of the angle."""
    if not is_point(vertex):
        raise Unsupported(f"no corner at {vertex}")
    corner = corner_of(model.figure, vertex)
    if set(line) & {corner[0], corner[2]}:
        raise Unsupported("a bisector that is a side of the angle")
    return corner


def _incenter(model: Model, args: Args) -> None:
    point, shape = point_of(args[0]), args[1]
    if isinstance(shape, Term) and shape.head == "Angle":
        corners = [tuple(map(str, shape.args))]
    else:
        points = polygon_of(model.figure, shape)
        count = len(points)
        corners = [(points[i - 1], points[i], points[(i + 1) % count]) for i in range(count)]
    for first, vertex, last in corners:
        one = model.angle(first, vertex, point)
        model.equal(one, model.angle(point, vertex, last), "angle")


def _centroid(model: Model, args: Args) -> None:
    point, points = point_of(args[0]), polygon_of(model.figure, args[1])
    for axis in (0, 1):
        here = model.coordinates(point)[axis]
        parts = [model.coordinates(p)[axis] for p in points]
        model.equal(here, _mean(parts), "length")


def _mean(parts: Sequence[Function]) -> Function:
    return lambda x: np.asarray(sum(part(x) for part in parts) / len(parts))


def _orthocenter(model: Model, args: Args) -> None:
    point, (a, b, c) = point_of(args[0]), polygon_of(model.figure, args[1])
    model.add(model.cosine((a, point), (b, c)), "ratio")
    model.add(model.cosine((b, point), (c, a)), "ratio")


def _perpendicular_bisector(model: Model, args: Args) -> None:
    line, other = line_of(model.figure, args[0]), line_of(model.figure, args[1])
    free = [p for p in line if p not in other]
    for point in free:
        equal_lengths(model, (point, other[0]), (point, other[1]))


def _intersect(model: Model, args: Args) -> None:
    point = point_of(args[-1])
    for other in args[:-1]:
        if isinstance(other, Term) and other.head == "Line":
            line = line_of(model.figure, other)
            if point not in line:
                model.add(model.off_line(point, line), "length")
        elif isinstance(other, Term) and other.head == "Circle":
            put_on_circle(model, point, other)


CEVIAN_FACTS: dict[str, Callable[[Model, Args], None]] = {
    "IsMidpointOf": _is_midpoint,
    "IsMedianOf": _median,
    "IsMidsegmentOf": _midsegment,
    "IsAltitudeOf": _is_altitude,
    "IsHypotenuseOf": _hypotenuse,
    "BisectsAngle": _bisects,
    "IsIncenterOf": _incenter,
    "IsCentroidOf": _centroid,
    "IsOrthocenterOf": _orthocenter,
    "IsPerpendicularBisectorOf": _perpendicular_bisector,
    "IntersectAt": _intersect,
}
"""Literal -> what adds its equations."""
