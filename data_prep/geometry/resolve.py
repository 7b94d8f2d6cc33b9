"""What a name in a literal refers to in a figure: lines, polygons, circles, corners, bases.

The annotation often leaves a choice open (which legs of the isosceles triangle, which pair of sides
of the trapezoid). The picture decides it: the candidate that is nearest to true there.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from data_prep.geometry.figure import WRAPPERS, Figure, Ring
from data_prep.geometry.literals import SHAPES, Argument, Line, Term, is_point
from data_prep.geometry.model import Unsupported, sides_of

T = TypeVar("T")
CORNERS = {"Triangle": 3, "Pentagon": 5, "Hexagon": 6, "Heptagon": 7, "Octagon": 8}
STRAIGHT_DEG = 172
"""Two strokes that meet at more than this run on; they are not the corner that is meant."""


def line_of(figure: Figure, argument: Argument) -> Line:
    """Two points of a line: `Line(A, B)`, `Line(AB)`, `AB`, or a named `Line(m)`."""
    names: tuple[str, ...]
    if isinstance(argument, str):
        names = (argument,)
    elif argument.head in ("LengthOf", "MeasureOf"):
        return line_of(figure, argument.args[0])
    else:
        names = tuple(map(str, argument.args))
        if argument.head not in ("Line", "LengthOf"):
            raise Unsupported(f"{argument} is not a line")
    if len(names) == 1 and names[0] in figure.line_names:
        return figure.line_names[names[0]]
    if len(names) == 1 and len(names[0]) == 2 and names[0].isupper():
        names = (names[0][0], names[0][1])
    if len(names) != 2 or not all(map(is_point, names)) or names[0] == names[1]:
        raise Unsupported(f"{argument} is not a line")
    return names[0], names[1]


def unwrapped(argument: Argument) -> Argument:
    """A shape without colours and qualities."""
    while isinstance(argument, Term) and argument.head in WRAPPERS:
        argument = argument.args[0]
    return argument


def is_shape(argument: Argument) -> bool:
    """Whether an argument is a polygon, in whatever colour."""
    inner = unwrapped(argument)
    return isinstance(inner, Term) and inner.head in SHAPES


def polygon_of(figure: Figure, argument: Argument, *, ordered: bool = True) -> tuple[str, ...]:
    """The vertices of a shape; `ordered` repairs a quadrilateral whose sides cross."""
    shape = unwrapped(argument)
    if not isinstance(shape, Term) or shape.head not in SHAPES:
        raise Unsupported(f"{argument} is not a polygon")
    points = tuple(map(str, shape.args))
    if len(points) > 1 and points[0] == points[-1]:
        points = points[:-1]
    points = _without_midpoints(figure, points, CORNERS.get(shape.head, len(points)))
    if len(points) < 3 or not all(map(is_point, points)) or len(set(points)) < len(points):
        raise Unsupported(f"{argument} does not name its vertices")
    if ordered and len(points) > 3 and set(points) <= figure.placed:
        at = [figure.at[p] for p in points]
        if crosses(at):
            middle = sum(at) / len(at)
            return tuple(sorted(points, key=lambda p: cmath.phase(figure.at[p] - middle)))
    return points


def _without_midpoints(figure: Figure, points: tuple[str, ...], corners: int) -> tuple[str, ...]:
    """A pentagon with six points: one of them only lies on a side."""
    while len(points) > corners and set(points) <= figure.placed:
        count = len(points)
        around = [(points[i - 1], points[i], points[(i + 1) % count]) for i in range(count)]
        flattest = max(around, key=lambda corner: opening(figure, *corner))
        if opening(figure, *flattest) < STRAIGHT_DEG:
            return points
        points = tuple(p for p in points if p != flattest[1])
    return points


def crosses(points: Sequence[complex]) -> bool:
    """Whether two sides of a closed line cross."""
    count = len(points)
    sides = [(points[i], points[(i + 1) % count]) for i in range(count)]
    return any(
        _cross(*sides[i], *sides[j])
        for i in range(count)
        for j in range(i + 2, count)
        if (j + 1) % count != i
    )


def _cross(a: complex, b: complex, c: complex, d: complex) -> bool:
    def turn(p: complex, q: complex, r: complex) -> float:
        return ((q - p).conjugate() * (r - p)).imag

    return turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0


def ring_of(figure: Figure, argument: Argument) -> Ring:
    """The circle of `Circle(O)`, `Circle(O, radius_1_0)` or, if there is only one, `Circle($)`."""
    inner = unwrapped(argument)
    args = tuple(map(str, inner.args)) if isinstance(inner, Term) else (inner,)
    if isinstance(inner, Term) and inner.head != "Circle":
        raise Unsupported(f"{argument} is not a circle")
    rings = [ring for ring in figure.rings if args[0].startswith("$") or ring.center == args[0]]
    if len(args) > 1:
        rings = [ring for ring in rings if ring.name == args[1]] or rings
    if not rings or (args[0].startswith("$") and len(rings) != 1):
        raise Unsupported(f"no circle {argument}")
    return rings[0]


def corner_of(figure: Figure, vertex: str) -> tuple[str, str, str]:
    """The three points of `Angle(B)`: of a named shape, else the widest pair of strokes."""
    for polygon in figure.polygons:
        if vertex in polygon:
            place = polygon.index(vertex)
            return polygon[place - 1], vertex, polygon[(place + 1) % len(polygon)]
    if vertex not in figure.at:
        raise Unsupported(f"point {vertex!r} is not in the figure")
    ends = {b if a == vertex else a for a, b in figure.strokes if vertex in (a, b)}
    rays = sorted(end for end in ends if end in figure.at and end != vertex)
    best: tuple[float, str, str] | None = None
    for i, first in enumerate(rays):
        for last in rays[i + 1 :]:
            width = opening(figure, first, vertex, last)
            if width < STRAIGHT_DEG and (best is None or width > best[0] + 6):
                best = (width, first, last)
    if best is None or best[0] < 3:
        raise Unsupported(f"no corner at {vertex}")
    return best[1], vertex, best[2]


def opening(figure: Figure, first: str, vertex: str, last: str) -> float:
    """Degrees of the angle in the picture, 0 to 180."""
    one, two = figure.at[first] - figure.at[vertex], figure.at[last] - figure.at[vertex]
    return abs(math.degrees(cmath.phase(one.conjugate() * two))) if one and two else 0.0


def length(figure: Figure, line: Line) -> float:
    """Length of a segment in the picture."""
    return abs(figure.at[line[1]] - figure.at[line[0]])


def nearest(choices: Sequence[T], error: Callable[[T], float]) -> T:
    """The choice that is most nearly true in the picture."""
    return min(choices, key=error)


def slant(figure: Figure, line: Line, other: Line) -> float:
    """Sine of the angle between two lines of the picture, 0 to 1."""
    one = figure.at[line[1]] - figure.at[line[0]]
    two = figure.at[other[1]] - figure.at[other[0]]
    return abs((one.conjugate() * two).imag) / max(abs(one) * abs(two), 1e-9)


def bases_of(figure: Figure, polygon: Sequence[str]) -> tuple[Line, Line]:
    """The parallel sides of a trapezoid, as the picture shows them."""
    a, b, c, d = sides_of(polygon)
    return nearest([(a, c), (b, d)], lambda pair: slant(figure, *pair))


def legs_of(figure: Figure, polygon: Sequence[str]) -> tuple[Line, Line]:
    """The other two sides of a trapezoid."""
    a, b, c, d = sides_of(polygon)
    return (b, d) if bases_of(figure, polygon)[0] == a else (a, c)


def apex_of(figure: Figure, triangle: Sequence[str]) -> tuple[str, str, str]:
    """An isosceles triangle's apex and base points, as the picture shows them."""

    def uneven(order: tuple[str, str, str]) -> float:
        sides = length(figure, (order[0], order[1])), length(figure, (order[0], order[2]))
        return abs(sides[0] - sides[1]) / max(*sides, 1e-9)

    a, b, c = triangle
    return nearest([(a, b, c), (b, c, a), (c, a, b)], uneven)


def base_of(figure: Figure, polygon: Sequence[str]) -> Line:
    """The side that a height stands on: the most level one, a low one rather than a high one."""
    sides = bases_of(figure, polygon) if len(polygon) == 4 else sides_of(polygon)

    def error(side: Line) -> float:
        first, second = figure.at[side[0]], figure.at[side[1]]
        way = second - first
        return abs(way.imag) / max(abs(way), 1e-9) + 0.1 * (first + second).imag

    return nearest(sides, error)
