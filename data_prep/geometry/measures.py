"""Measures: what `LengthOf(Line(A, B))`, `2x+5` or `AreaOf(Sector(B, A, C))` is as a function.

One function per head in `MEASURES`; each returns a function of the unknowns and its kind.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from data_prep.geometry.algebra import AlgebraError, evaluate, letters, parse_expression
from data_prep.geometry.figure import Ring, angle_number
from data_prep.geometry.literals import Argument, Term, is_point
from data_prep.geometry.model import Array, Function, Kind, Model, Unsupported, sides_of
from data_prep.geometry.outline import outer_polygon
from data_prep.geometry.resolve import (
    apex_of,
    base_of,
    bases_of,
    corner_of,
    is_shape,
    line_of,
    polygon_of,
    ring_of,
    unwrapped,
)

Args = tuple[Argument, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A function of the unknowns and what it measures."""

    function: Function
    kind: Kind


def measure(model: Model, argument: Argument) -> Measure:
    """The measure that an argument names; raises Unsupported."""
    if isinstance(argument, str):
        return _text(model, argument)
    if argument.head not in MEASURES:
        raise Unsupported(f"{argument.head} is not a measure")
    return MEASURES[argument.head](model, argument.args)


def _text(model: Model, text: str) -> Measure:
    if angle_number(text):
        return _numbered(model, angle_number(text))
    if len(text) == 2 and text.isupper():
        return _line(model, (text,))
    return expression(model, text)


def expression(model: Model, text: str) -> Measure:
    """The value of `2x+5` in terms of its letters."""
    try:
        tree = parse_expression(text)
    except AlgebraError as error:
        raise Unsupported(str(error)) from error
    values = model.expression_values(sorted(letters(tree)))

    def function(x: Array) -> Array:
        return np.asarray(evaluate(tree, values(x)) + 0 * x[0])

    return Measure(function=function, kind="number")


# -- lengths ------------------------------------------------------------------------------------


def _segment(model: Model, line: tuple[str, str]) -> Measure:
    return Measure(function=model.distance(*line), kind="length")


def _line(model: Model, args: Args) -> Measure:
    return _segment(model, line_of(model.figure, Term("Line", args)))


def _length(model: Model, args: Args) -> Measure:
    if len(args) == 2:
        return _line(model, args)
    inner = args[0]
    while isinstance(inner, Term) and inner.head == "MeasureOf":
        inner = inner.args[0]
    arc = inner
    if isinstance(arc, Term) and arc.head in ("Major", "Minor"):
        arc = arc.args[0]
    if isinstance(arc, Term) and arc.head == "Arc" and isinstance(inner, Term):
        ring = arc_ring(model, arc.args)
        degrees, radius = measure(model, inner).function, model.radius(ring)
        return Measure(function=lambda x: degrees(x) * (math.pi / 180) * radius(x), kind="length")
    return measure(model, inner)


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
    """Height over the base: of a triangle over its hypotenuse where it has a right angle."""
    points = polygon_of(model.figure, args[0])
    return _height_over(model, points, base_of(model.figure, points))


def _height_over(model: Model, points: tuple[str, ...], base: tuple[str, str]) -> Measure:
    far = next(point for point in points if point not in base)
    start = model.figure.at
    along, way = start[base[1]] - start[base[0]], start[far] - start[base[0]]
    sign = 1.0 if (along.conjugate() * way).imag >= 0 else -1.0
    off = model.off_line(far, base)
    return Measure(function=lambda x: sign * off(x), kind="length")


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


# -- angles and arcs ----------------------------------------------------------------------------


def _angle(model: Model, args: Args) -> Measure:
    names = tuple(map(str, args))
    if len(names) == 1:
        if names[0].isdigit():
            return _numbered(model, names[0])
        if is_point(names[0]):
            names = corner_of(model.figure, names[0])
        elif len(names[0]) == 3 and names[0].isupper():
            names = tuple(names[0])
        elif len(names[0]) == 1:
            return expression(model, names[0])
    if len(names) != 3 or len(set(names)) < 3 or not all(name in model.index for name in names):
        raise Unsupported(f"Angle({', '.join(names)}) is not in the figure")
    return Measure(function=model.angle(*names), kind="angle")


def _numbered(model: Model, number: str) -> Measure:
    if number not in model.figure.numbered:
        raise Unsupported(f"angle {number} is not in the figure")
    return _angle(model, model.figure.numbered[number])


def arc_ring(model: Model, args: Args) -> Ring:
    """The circle that an arc lies on."""
    names = tuple(map(str, args))
    rings = model.figure.rings
    on = [ring for ring in rings if names[0] in ring.points and names[-1] in ring.points]
    if not on and len(rings) == 1:
        on = list(rings)
    if not on or not all(name in model.index for name in names):
        raise Unsupported(f"Arc({', '.join(names)}) is on no circle")
    return on[0]


def _arc(model: Model, args: Args) -> Measure:
    """Degrees: two letters are the arc drawn below 180, three run through the middle one."""
    center = arc_ring(model, args).center
    names = [name for name in map(str, args) if name != center]
    if len(names) == 2 and len(set(names)) == 2:
        return Measure(function=model.angle(names[0], center, names[1]), kind="angle")
    if len(names) < 3 or names[0] == names[-1]:
        raise Unsupported(f"Arc({', '.join(names)}) is no arc")
    at = model.figure.at

    def turn(point: str) -> float:
        way = (at[point] - at[center]) / ((at[names[0]] - at[center]) or 1)
        return cmath.phase(way) % (2 * math.pi)

    sign = 1.0 if turn(names[1]) < turn(names[-1]) else -1.0
    return Measure(
        function=model.directed_angle(names[0], center, names[-1], sign, 0.0), kind="angle"
    )


def _major(model: Model, args: Args) -> Measure:
    arc = measure(model, args[0])
    named_through = isinstance(args[0], Term) and len(args[0].args) > 2
    if named_through:
        return arc
    return Measure(function=lambda x: 360 - arc.function(x), kind="angle")


def _trigonometric(function: Callable[[Any], Any]) -> Callable[[Model, Args], Measure]:
    def read(model: Model, args: Args) -> Measure:
        inner = measure(model, args[0]).function
        return Measure(function=lambda x: function(inner(x) * (math.pi / 180)), kind="ratio")

    return read


# -- areas --------------------------------------------------------------------------------------


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


# -- arithmetic ---------------------------------------------------------------------------------


def _ratio(model: Model, args: Args) -> Measure:
    if len(args) == 1:
        return measure(model, args[0])
    top, bottom = (measure(model, argument).function for argument in args)
    return Measure(function=lambda x: top(x) / bottom(x), kind="ratio")


def _scale_factor(model: Model, args: Args) -> Measure:
    if not all(map(is_shape, args)):
        raise Unsupported("a scale factor of shapes without vertices")
    return _ratio(model, (Term("PerimeterOf", (args[0],)), Term("PerimeterOf", (args[1],))))


def _kind(parts: list[Measure]) -> Kind:
    return next((part.kind for part in parts if part.kind != "number"), "number")


def _sum(factor: float) -> Callable[[Model, Args], Measure]:
    def read(model: Model, args: Args) -> Measure:
        # SumOf(CircumferenceOf(a), Circle(b)): the later ones are meant like the first
        first = args[0]
        like = first.head if isinstance(first, Term) and first.head == "CircumferenceOf" else ""
        parts = [
            measure(
                model,
                Term(like, (a,)) if like and isinstance(a, Term) and a.head == "Circle" else a,
            )
            for a in args
        ]
        functions = [part.function for part in parts]
        return Measure(
            function=lambda x: factor * sum((f(x) for f in functions[1:]), functions[0](x)),
            kind=_kind(parts),
        )

    return read


def _product(model: Model, args: Args) -> Measure:
    parts = [measure(model, argument) for argument in args]

    def function(x: Array) -> Array:
        product = parts[0].function(x)
        for part in parts[1:]:
            product = product * part.function(x)
        return product

    return Measure(function=function, kind=_kind(parts))


def _inner(model: Model, args: Args) -> Measure:
    return measure(model, args[0])


MEASURES: dict[str, Callable[[Model, Args], Measure]] = {
    "MeasureOf": _inner,
    "LengthOf": _length,
    "Line": _line,
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
    "Angle": _angle,
    "Arc": _arc,
    "Major": _major,
    "Minor": _inner,
    "SinOf": _trigonometric(np.sin),
    "CosOf": _trigonometric(np.cos),
    "TanOf": _trigonometric(np.tan),
    "AreaOf": _area,
    "RatioOf": _ratio,
    "ScaleFactorOf": _scale_factor,
    "SumOf": _sum(1),
    "Add": _sum(1),
    "HalfOf": _sum(0.5),
    "Mul": _product,
}
