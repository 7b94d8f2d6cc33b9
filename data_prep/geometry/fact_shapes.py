"""Facts that a polygon's name states: parallelogram, kite, regular, isosceles.

Which sides are meant (the legs of the isosceles triangle, the bases of the trapezoid) the picture
decides, as it does for a reader of the book.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from data_prep.geometry.fact_parts import (
    equal_lengths,
    same_vector,
)
from data_prep.geometry.literals import Args, Term
from data_prep.geometry.measures import measure
from data_prep.geometry.model import Array, Function, Model, Unsupported, sides_of
from data_prep.geometry.resolve import (
    apex_of,
    bases_of,
    legs_of,
    length,
    nearest,
    polygon_of,
    slant,
)


def _quadrilateral(model: Model, args: Args) -> tuple[str, ...]:
    points = polygon_of(model.figure, Term("Shape", args))
    if len(points) != 4:
        raise Unsupported("a quadrilateral of other than four points")
    return points


def _parallelogram(model: Model, args: Args) -> None:
    a, b, c, d = _quadrilateral(model, args)
    same_vector(model, (a, b), (d, c))


def _rectangle(model: Model, args: Args) -> None:
    a, b, c, d = _quadrilateral(model, args)
    same_vector(model, (a, b), (d, c))
    model.add(model.cosine((a, b), (b, c)), "ratio")


def _rhombus(model: Model, args: Args) -> None:
    a, b, c, d = _quadrilateral(model, args)
    same_vector(model, (a, b), (d, c))
    equal_lengths(model, (a, b), (b, c))


def _square(model: Model, args: Args) -> None:
    if len(args) < 4:
        raise Unsupported("a square without vertices")
    _rectangle(model, args)
    a, b, c, _ = _quadrilateral(model, args)
    equal_lengths(model, (a, b), (b, c))


def _kite(model: Model, args: Args) -> None:
    a, b, c, d = _quadrilateral(model, args)
    at = {pair: length(model.figure, pair) for pair in sides_of((a, b, c, d))}

    def uneven(pairs: tuple[tuple[tuple[str, str], tuple[str, str]], ...]) -> float:
        return sum(abs(at[one] - at[two]) for one, two in pairs)

    pairs = nearest(
        [(((a, b), (d, a)), ((b, c), (c, d))), (((a, b), (b, c)), ((c, d), (d, a)))], uneven
    )
    for one, two in pairs:
        equal_lengths(model, one, two)


def _trapezoid(model: Model, args: Args) -> None:
    points = _quadrilateral(model, args)
    model.add(model.sine(*bases_of(model.figure, points)), "ratio")


def _isosceles(model: Model, args: Args) -> None:
    points = polygon_of(model.figure, args[0])
    if len(points) == 3:
        apex, first, last = apex_of(model.figure, points)
        equal_lengths(model, (apex, first), (apex, last))
    elif len(points) == 4:
        model.add(model.sine(*bases_of(model.figure, points)), "ratio")
        equal_lengths(model, *legs_of(model.figure, points))


def _regular(model: Model, args: Args) -> None:
    """Every side is the one before it, turned by the same angle."""
    points = polygon_of(model.figure, args[0])
    turn = 2 * math.pi / len(points)
    if model.figure.placed.issuperset(points):
        turn *= model.orientation(points)
    for here, after in pairwise(sides_of(points)):
        for function in _turned(model, here, after, turn):
            model.add(function, "length")


def _turned(
    model: Model, here: tuple[str, str], after: tuple[str, str], turn: float
) -> tuple[Function, Function]:
    """Zero when the second way is the first one, turned."""
    sine, cosine = math.sin(turn), math.cos(turn)
    one, two = model.vector(*here), model.vector(*after)

    def right(x: Array) -> Array:
        (a, b), (c, _) = one(x), two(x)
        return np.asarray(c - (cosine * a - sine * b))

    def up(x: Array) -> Array:
        (a, b), (_, d) = one(x), two(x)
        return np.asarray(d - (sine * a + cosine * b))

    return right, up


def _equilateral(model: Model, args: Args) -> None:
    points = polygon_of(model.figure, args[0])
    if len(points) == 3:
        _regular(model, args)
        return
    sides = sides_of(points)
    for side in sides[1:]:
        equal_lengths(model, sides[0], side)


def _right(model: Model, args: Args) -> None:
    points = polygon_of(model.figure, args[0])
    if len(points) != 3:
        raise Unsupported("Right of no triangle")
    a, b, c = points

    def error(corner: tuple[str, str, str]) -> float:
        return 1 - slant(model.figure, (corner[1], corner[0]), (corner[1], corner[2]))

    first, vertex, last = nearest([(a, b, c), (b, c, a), (c, a, b)], error)
    model.add(model.cosine((vertex, first), (vertex, last)), "ratio")


def _right_angle(model: Model, args: Args) -> None:
    angle = measure(model, args[0]).function
    model.add(lambda x: angle(x) - 90, "angle")


SHAPE_FACTS: dict[str, Callable[[Model, Args], None]] = {
    "Parallelogram": _parallelogram,
    "Rectangle": _rectangle,
    "Rhombus": _rhombus,
    "Square": _square,
    "Kite": _kite,
    "Trapezoid": _trapezoid,
    "Isosceles": _isosceles,
    "Regular": _regular,
    "Equilateral": _equilateral,
    "Right": _right,
    "RightAngle": _right_angle,
}
"""Literal -> what adds its equations."""
