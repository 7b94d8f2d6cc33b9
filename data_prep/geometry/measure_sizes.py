"""Measures of segments, polygons and circles: lengths, heights, perimeters, areas.

One function per head in `SIZES`; each returns a function of the unknowns and its
kind. Which side is the base or the hypotenuse the picture decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from data_prep.geometry.literals import Args, Argument, Term
from data_prep.geometry.model import Measure, Model, Unsupported, sides_of
from data_prep.geometry.outline import outer_polygon
from data_prep.geometry.resolve import (
    apex_of,
    base_of,
    bases_of,
    line_of,
    polygon_of,
    ring_of,
    unwrapped,
)


def _segment(model: Model, line: tuple[str, str]) -> Measure:
    return Measure(function=model.distance(*line), kind="length")


def line_measure(model: Model, args: Args) -> Measure:
    return _segment(model, line_of(model.figure, Term("Line", args)))


def _round(factor: float) -> Callable[[Model, Args], Measure]:
    def read(model: Model, args: Args) -> Measure:
        radius = model.radius(ring_of(model.figure, args[0]))
        return Measure(function=lambda x: factor * radius(x), kind="length")

    return read


def _perimeter(model: Model, args: Args) -> Measure:
    inner = unwrapped(args[0])
    if isinstance(inner, Term) and inner.head == "Circle":
        return _round(2 * math.pi)(model, (inner,))
    return Measure(function=model.perimeter(polygon(model, inner)), kind="length")


def polygon(model: Model, argument: Argument) -> tuple[str, ...]:
    """The vertices of a shape; of `Shape($)`, the outline of a figure of straight strokes."""
    inner = unwrapped(argument)
    if isinstance(inner, Term) and inner.args and str(inner.args[0]).startswith("$"):
        if inner is not argument:
            raise Unsupported("a coloured region without vertices")
        return outer_polygon(model.figure)
    return polygon_of(model.figure, inner)


def _altitude(model: Model, args: Args) -> Measure:
    """The height of a shape over its base."""
    points = polygon_of(model.figure, args[0])
    base = base_of(model.figure, points)
    far = next(point for point in points if point not in base)
    return Measure(function=model.height(far, base), kind="length")


def _base(model: Model, args: Args) -> Measure:
    points = polygon_of(model.figure, args[0])
    if len(points) == 3 and isinstance(args[0], Term) and args[0].head == "Isosceles":
        return _segment(model, apex_of(model.figure, points)[1:])
    return _segment(model, base_of(model.figure, points))


def _side(model: Model, args: Args) -> Measure:
    return _segment(model, sides_of(polygon(model, args[0]))[0])


def _hypotenuse(model: Model, args: Args) -> Measure:
    points = polygon_of(model.figure, args[0])
    at = model.figure.at
    return _segment(model, max(sides_of(points), key=lambda side: abs(at[side[0]] - at[side[1]])))


def _median(model: Model, args: Args) -> Measure:
    first, second = bases_of(model.figure, polygon_of(model.figure, args[0]))
    one, two = model.distance(*first), model.distance(*second)
    return Measure(function=lambda x: (one(x) + two(x)) / 2, kind="length")


def _area(model: Model, args: Args) -> Measure:
    inner = unwrapped(args[0])
    if isinstance(inner, Term) and inner.head == "Circle":
        radius = model.radius(ring_of(model.figure, inner))
        return Measure(function=lambda x: math.pi * radius(x) ** 2, kind="area")
    if isinstance(inner, Term) and inner.head == "Sector":
        return _sector(model, inner.args)
    return Measure(function=model.area(polygon(model, args[0])), kind="area")


def _sector(model: Model, args: Args) -> Measure:
    names = tuple(map(str, args))
    rings = {ring.center: ring for ring in model.figure.rings}
    centers = [name for name in names if name in rings]
    if len(names) != 3 or not centers:
        raise Unsupported(f"Sector({', '.join(names)}) has no centre")
    # the centre is usually written in the middle
    center = names[1] if names[1] in centers else centers[0]
    first, last = (name for name in names if name != center)
    angle, radius = model.angle(first, center, last), model.radius(rings[center])
    return Measure(function=lambda x: angle(x) * (math.pi / 360) * radius(x) ** 2, kind="area")


SIZES: dict[str, Callable[[Model, Args], Measure]] = {
    "Line": line_measure,
    "RadiusOf": _round(1),
    "DiameterOf": _round(2),
    "CircumferenceOf": _round(2 * math.pi),
    "PerimeterOf": _perimeter,
    "AltitudeOf": _altitude,
    "HeightOf": _altitude,
    "BaseOf": _base,
    "SideOf": _side,
    "HypotenuseOf": _hypotenuse,
    "MedianOf": _median,
    "AreaOf": _area,
}
"""Literal -> what it measures."""
