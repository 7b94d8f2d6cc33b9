"""Facts: what `Perpendicular(Line(A, B), Line(B, C))` or `Kite(A, B, C, D)` demands.

One function per head in `FACTS`; each adds equations to the model, or raises Unsupported. Where the
annotation leaves open what is meant (which sides are equal, where the tangent touches) the picture
decides, as it does for a reader of the book.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from data_prep.geometry.figure import angle_number, unwrap_measure
from data_prep.geometry.literals import SHAPES, Argument, Term, is_point
from data_prep.geometry.measures import Args, measure
from data_prep.geometry.model import Array, Model, Unsupported, sides_of
from data_prep.geometry.resolve import (
    apex_of,
    bases_of,
    corner_of,
    is_shape,
    legs_of,
    length,
    line_of,
    nearest,
    polygon_of,
    ring_of,
    slant,
    unwrapped,
)


def add_facts(model: Model, facts: Sequence[Term]) -> None:
    """Add the equations of all facts; what has no meaning is listed in `model.skipped`."""
    for fact in facts:
        with model.reading(str(fact)):
            try:
                add_fact(model, fact)
            except Unsupported as error:
                model.skipped.append((str(fact), str(error)))


def add_fact(model: Model, fact: Term) -> None:
    """Add the equations of one fact; raises Unsupported."""
    if fact.head not in FACTS:
        raise Unsupported(f"{fact.head} is not a fact")
    FACTS[fact.head](model, fact.args)


# -- points and lines ---------------------------------------------------------------------------


def _point(argument: Argument) -> str:
    inner = argument.args[0] if isinstance(argument, Term) and argument.head == "Point" else argument
    if not isinstance(inner, str) or not is_point(inner):
        raise Unsupported(f"{argument} is not a point")
    return inner


def _on_line(model: Model, args: Args) -> None:
    point, line = _point(args[0]), line_of(model.figure, args[1])
    if point not in line:
        model.add(model.off_line(point, line), "length")


def _on_circle(model: Model, args: Args) -> None:
    circle = args[1] if isinstance(args[1], Term) else Term("Circle", (args[1],))
    _point_on(model, _point(args[0]), circle)


def _point_on(model: Model, point: str, circle: Argument) -> None:
    ring = ring_of(model.figure, circle)
    model.equal(model.distance(ring.center, point), model.radius(ring), "length")


def _perpendicular(model: Model, args: Args) -> None:
    one, two = (line_of(model.figure, argument) for argument in args)
    model.add(model.cosine(one, two), "ratio")


def _parallel(model: Model, args: Args) -> None:
    one, two = (line_of(model.figure, argument) for argument in args)
    if set(one) != set(two):
        model.add(model.sine(one, two), "ratio")


def _equals(model: Model, args: Args) -> None:
    if len(args) != 2:
        raise Unsupported("Equals of other than two sides")
    for this, other in (args, args[::-1]):
        if isinstance(other, Term) and other.head in ALIASES:
            ALIASES[other.head](model, line_of(model.figure, this), other.args)
            return
    if _defines_name(model, args):
        return
    one, two = measure(model, args[0]), measure(model, args[1])
    kind = one.kind if one.kind != "number" else two.kind
    given = "number" in (one.kind, two.kind)
    model.equal(one.function, two.function, kind, given=given)


def _defines_name(model: Model, args: Args) -> bool:
    """`MeasureOf(Angle(A, B, C)) = MeasureOf(angle 4)` and `LengthOf(Line(P, Q)) = m` only name."""
    for this, other in (args, args[::-1]):
        number, inner = angle_number(other), unwrap_measure(this)
        if number and isinstance(inner, Term) and len(inner.args) == 3:
            return True
        if isinstance(other, str) and other in model.figure.line_names:
            return True
    return False


def _altitude_alias(model: Model, line: tuple[str, str], args: Args) -> None:
    add_fact(model, Term("IsAltitudeOf", (Term("Line", line), *args)))


def _same_length(model: Model, line: tuple[str, str], args: Args, head: str) -> None:
    other = measure(model, Term(head, args)).function
    model.equal(model.distance(*line), other, "length")


ALIASES: dict[str, Callable[[Model, tuple[str, str], Args], None]] = {
    "AltitudeOf": _altitude_alias,
    "HypotenuseOf": lambda model, line, args: _hypotenuse(model, (Term("Line", line), *args)),
    "BaseOf": lambda model, line, args: None,
}


# -- shapes -------------------------------------------------------------------------------------


def _no_equation(model: Model, args: Args) -> None:
    """It only names what other literals speak of."""


def _translate(model: Model, first: tuple[str, str], second: tuple[str, str]) -> None:
    """Demand that two ways be the same vector."""
    one, two = model.vector(*first), model.vector(*second)
    model.add(lambda x: one(x)[0] - two(x)[0], "length")
    model.add(lambda x: one(x)[1] - two(x)[1], "length")


def _midpoint(model: Model, point: str, line: tuple[str, str]) -> None:
    _translate(model, (line[0], point), (point, line[1]))


def _equal_lengths(model: Model, one: tuple[str, str], two: tuple[str, str]) -> None:
    model.equal(model.distance(*one), model.distance(*two), "length")


def _quadrilateral(model: Model, args: Args) -> tuple[str, ...]:
    points = polygon_of(model.figure, Term("Shape", args))
    if len(points) != 4:
        raise Unsupported("a quadrilateral of other than four points")
    return points


def _parallelogram(model: Model, args: Args) -> None:
    a, b, c, d = _quadrilateral(model, args)
    _translate(model, (a, b), (d, c))


def _rectangle(model: Model, args: Args) -> None:
    a, b, c, d = _quadrilateral(model, args)
    _translate(model, (a, b), (d, c))
    model.add(model.cosine((a, b), (b, c)), "ratio")


def _rhombus(model: Model, args: Args) -> None:
    a, b, c, d = _quadrilateral(model, args)
    _translate(model, (a, b), (d, c))
    _equal_lengths(model, (a, b), (b, c))


def _square(model: Model, args: Args) -> None:
    if len(args) < 4:
        raise Unsupported("a square without vertices")
    _rectangle(model, args)
    a, b, c, _ = _quadrilateral(model, args)
    _equal_lengths(model, (a, b), (b, c))


def _kite(model: Model, args: Args) -> None:
    a, b, c, d = _quadrilateral(model, args)
    at = {pair: length(model.figure, pair) for pair in sides_of((a, b, c, d))}

    def uneven(pairs: tuple[tuple[tuple[str, str], tuple[str, str]], ...]) -> float:
        return sum(abs(at[one] - at[two]) for one, two in pairs)

    pairs = nearest(
        [(((a, b), (d, a)), ((b, c), (c, d))), (((a, b), (b, c)), ((c, d), (d, a)))], uneven
    )
    for one, two in pairs:
        _equal_lengths(model, one, two)


def _trapezoid(model: Model, args: Args) -> None:
    points = _quadrilateral(model, args)
    model.add(model.sine(*bases_of(model.figure, points)), "ratio")


def _isosceles(model: Model, args: Args) -> None:
    points = polygon_of(model.figure, args[0])
    if len(points) == 3:
        apex, first, last = apex_of(model.figure, points)
        _equal_lengths(model, (apex, first), (apex, last))
    elif len(points) == 4:
        model.add(model.sine(*bases_of(model.figure, points)), "ratio")
        _equal_lengths(model, *legs_of(model.figure, points))


def _regular(model: Model, args: Args) -> None:
    """Every side is the one before it, turned by the same angle."""
    points = polygon_of(model.figure, args[0])
    turn = 2 * math.pi / len(points)
    turn *= model.figure.placed.issuperset(points) and _orientation(model, points) or 1.0
    sine, cosine = math.sin(turn), math.cos(turn)
    sides = [model.vector(*side) for side in sides_of(points)]
    for here, after in zip(sides[:-1], sides[1:], strict=True):

        def right(x: Array, here=here, after=after) -> Array:  # type: ignore[no-untyped-def]
            (a, b), (c, _) = here(x), after(x)
            return np.asarray(c - (cosine * a - sine * b))

        def up(x: Array, here=here, after=after) -> Array:  # type: ignore[no-untyped-def]
            (a, b), (_, d) = here(x), after(x)
            return np.asarray(d - (sine * a + cosine * b))

        model.add(right, "length")
        model.add(up, "length")


def _orientation(model: Model, points: Sequence[str]) -> float:
    at = [model.figure.at[p] for p in points]
    total = sum((at[i - 1].conjugate() * at[i]).imag for i in range(len(at)))
    return 1.0 if total >= 0 else -1.0


def _equilateral(model: Model, args: Args) -> None:
    points = polygon_of(model.figure, args[0])
    if len(points) == 3:
        _regular(model, args)
        return
    sides = sides_of(points)
    for side in sides[1:]:
        _equal_lengths(model, sides[0], side)


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


# -- parts of shapes ----------------------------------------------------------------------------


def _is_midpoint(model: Model, args: Args) -> None:
    point, other = _point(args[0]), args[1]
    if isinstance(other, Term) and other.head == "LegOf":
        legs = legs_of(model.figure, polygon_of(model.figure, other.args[0]))
        _midpoint(model, point, _side_at(model, point, legs))
    else:
        _midpoint(model, point, line_of(model.figure, other))


def _side_at(model: Model, point: str, sides: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The side whose middle is nearest to a point of the picture."""
    at = model.figure.at
    return nearest(sides, lambda side: abs((at[side[0]] + at[side[1]]) / 2 - at[point]))


def _median(model: Model, args: Args) -> None:
    """Of a triangle from a vertex to the middle of a side; of a trapezoid between the legs."""
    line, points = line_of(model.figure, args[0]), polygon_of(model.figure, args[1])
    if len(points) == 3:
        corner = [p for p in line if p in points]
        if len(corner) != 1:
            raise Unsupported("a median that leaves no vertex")
        foot = line[1] if line[0] == corner[0] else line[0]
        first, last = (p for p in points if p != corner[0])
        _midpoint(model, foot, (first, last))
        return
    _midsegment(model, args)
    model.add(model.sine(*bases_of(model.figure, points)), "ratio")


def _midsegment(model: Model, args: Args) -> None:
    line, points = line_of(model.figure, args[0]), polygon_of(model.figure, args[1])
    sides = list(sides_of(points) if len(points) == 3 else legs_of(model.figure, points))
    placed = [p for p in line if p in model.figure.placed]
    if not placed and len(sides) == 2:
        _midpoint(model, line[0], sides[0])
        _midpoint(model, line[1], sides[1])
        return
    for point in placed:
        side = _side_at(model, point, sides)
        _midpoint(model, point, side)
        sides.remove(side)
    for point in line:
        if point not in placed and len(sides) == 1:
            _midpoint(model, point, sides[0])


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
        first, vertex_name, last = points[place - 1], points[place], points[(place + 1) % len(points)]
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
    point, shape = _point(args[0]), args[1]
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
    point, points = _point(args[0]), polygon_of(model.figure, args[1])
    center = model.coordinates(point)
    for axis in (0, 1):
        parts = [model.coordinates(p)[axis] for p in points]
        here = center[axis]

        def function(x: Array, parts=parts, here=here) -> Array:  # type: ignore[no-untyped-def]
            return np.asarray(here(x) - sum(part(x) for part in parts) / len(parts))

        model.add(function, "length")


def _orthocenter(model: Model, args: Args) -> None:
    point, (a, b, c) = _point(args[0]), polygon_of(model.figure, args[1])
    model.add(model.cosine((a, point), (b, c)), "ratio")
    model.add(model.cosine((b, point), (c, a)), "ratio")


def _perpendicular_bisector(model: Model, args: Args) -> None:
    line, other = line_of(model.figure, args[0]), line_of(model.figure, args[1])
    free = [p for p in line if p not in other]
    for point in free:
        _equal_lengths(model, (point, other[0]), (point, other[1]))


def _intersect(model: Model, args: Args) -> None:
    point = _point(args[-1])
    for other in args[:-1]:
        if isinstance(other, Term) and other.head == "Line":
            line = line_of(model.figure, other)
            if point not in line:
                model.add(model.off_line(point, line), "length")
        elif isinstance(other, Term) and other.head == "Circle":
            _point_on(model, point, other)


# -- circles ------------------------------------------------------------------------------------


def _is_diameter(model: Model, args: Args) -> None:
    ring = ring_of(model.figure, args[1])
    if isinstance(args[0], Term) and args[0].head == "SideOf":
        points = polygon_of(model.figure, args[0].args[0])
        line = _side_at(model, ring.center, sides_of(points))
    else:
        line = line_of(model.figure, args[0])
    if ring.center in line:
        raise Unsupported("a diameter that ends in the centre")
    _midpoint(model, ring.center, line)
    _point_on(model, line[0], args[1])


def _is_chord(model: Model, args: Args) -> None:
    for point in line_of(model.figure, args[0]):
        _point_on(model, point, args[1])


def _is_radius(model: Model, args: Args) -> None:
    ring, line = ring_of(model.figure, args[1]), line_of(model.figure, args[0])
    for point in line:
        if point != ring.center:
            _point_on(model, point, args[1])


def _tangent(model: Model, args: Args) -> None:
    ring, line = ring_of(model.figure, args[1]), line_of(model.figure, args[0])
    if ring.center in line:
        raise Unsupported("a tangent through the centre")
    tangent(model, ring.center, ring.points, line, model.radius(ring))


def tangent(
    model: Model, center: str, points: Sequence[str], line: tuple[str, str], radius: object
) -> None:
    """A line touches a circle: at an end or at a point of both, else at the distance r."""
    touching = [p for p in line if p in points] or _points_between(model, line, points)
    if touching:
        touch = nearest(touching, lambda p: 1 - slant(model.figure, line, (center, p)))
        model.add(model.cosine(line, (center, touch)), "ratio")
        return
    at = model.figure.at
    along, way = at[line[1]] - at[line[0]], at[center] - at[line[0]]
    sign = 1.0 if (along.conjugate() * way).imag >= 0 else -1.0
    off = model.off_line(center, line)
    assert callable(radius)
    model.add(lambda x: sign * off(x) - radius(x), "length")


def _points_between(model: Model, line: tuple[str, str], points: Sequence[str]) -> list[str]:
    """Points of the circle that a literal puts on this line."""
    on = set()
    for fact in model.figure.facts:
        if fact.head == "PointLiesOnLine" and isinstance(fact.args[1], Term):
            if set(map(str, fact.args[1].args)) == set(line):
                on.add(str(fact.args[0]))
    return [p for p in points if p in on]


def _inscribed(model: Model, args: Args) -> None:
    """A polygon in a circle has its vertices on it; a circle in a polygon touches its sides."""
    inner, outer = (unwrapped(argument) for argument in args)
    if isinstance(inner, Term) and inner.head == "Circle":
        _circumscribed(model, (args[1], args[0]))
        return
    for point in polygon_of(model.figure, inner):
        _point_on(model, point, outer)


def _circumscribed(model: Model, args: Args) -> None:
    outer, inner = args
    if isinstance(unwrapped(outer), Term) and getattr_head(outer) == "Circle":
        _inscribed(model, (inner, outer))
        return
    ring = ring_of(model.figure, inner)
    for side in sides_of(polygon_of(model.figure, outer)):
        tangent(model, ring.center, ring.points, side, model.radius(ring))


def getattr_head(argument: Argument) -> str:
    """The head of a shape without colours."""
    inner = unwrapped(argument)
    return inner.head if isinstance(inner, Term) else ""


# -- pairs of shapes ----------------------------------------------------------------------------


def _congruent(model: Model, args: Args) -> None:
    one, two = args
    if getattr_head(one) == "Circle":
        radii = [model.radius(ring_of(model.figure, argument)) for argument in args]
        model.equal(radii[0], radii[1], "length")
    elif not is_shape(one):
        _equals(model, args)
    else:
        first, second = (polygon_of(model.figure, a, ordered=False) for a in args)
        for here, there in zip(sides_of(first), sides_of(second), strict=True):
            if set(here) != set(there):
                _equal_lengths(model, here, there)
        _same_angles(model, first, second)


def _similar(model: Model, args: Args) -> None:
    if not (is_shape(args[0]) and is_shape(args[1])):
        raise Unsupported("Similar of shapes without vertices")
    first, second = (polygon_of(model.figure, a, ordered=False) for a in args)
    if len(first) != len(second):
        raise Unsupported("Similar of shapes with different numbers of vertices")
    pairs = [
        (model.distance(*here), model.distance(*there))
        for here, there in zip(sides_of(first), sides_of(second), strict=True)
    ]
    for before, after in zip(pairs[:-1], pairs[1:], strict=True):

        def function(x: Array, before=before, after=after) -> Array:  # type: ignore[no-untyped-def]
            one, two = before[0](x) * after[1](x), before[1](x) * after[0](x)
            return np.asarray((one - two) / (one + two))

        model.add(function, "ratio")
    _same_angles(model, first, second)


def _same_angles(model: Model, first: Sequence[str], second: Sequence[str]) -> None:
    """Sides alone fix triangles; other polygons need their angles too."""
    if len(first) == 3:
        return
    for i in range(len(first)):
        one = model.angle(first[i - 2], first[i - 1], first[i])
        model.equal(one, model.angle(second[i - 2], second[i - 1], second[i]), "angle")


FACTS: dict[str, Callable[[Model, Args], None]] = {
    "PointLiesOnLine": _on_line,
    "PointLiesOnCircle": _on_circle,
    "Perpendicular": _perpendicular,
    "Parallel": _parallel,
    "Equals": _equals,
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
    "IsDiameterOf": _is_diameter,
    "IsChordOf": _is_chord,
    "IsRadiusOf": _is_radius,
    "Tangent": _tangent,
    "InscribedIn": _inscribed,
    "CircumscribedTo": _circumscribed,
    "Congruent": _congruent,
    "Similar": _similar,
    **dict.fromkeys(
        (*(SHAPES - {"Parallelogram", "Rectangle", "Rhombus", "Square", "Kite", "Trapezoid"}),
         "Circle", "Line", "Angle", "Arc", "Point", "UseTheorem", "IsDiagonalOf", "Shaded"),
        _no_equation,
    ),
}  # fmt: skip
