"""Unknowns and equations: a figure as functions of one vector of numbers.

The vector holds x and y of every point, one radius per circle, and the letters of expressions.
A function takes it as an array `[unknowns, columns]` and returns `[columns]`, so that several
starts are evaluated at once; arrays may be complex, because derivatives are taken by complex steps
(Squire and Trapp, SIAM Review 1998): only smooth, analytic operations are used, and the branch of
an angle is chosen by its real part. Which side an angle is measured on is read from the picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.geometry.algebra import AlgebraError, evaluate, letters, parse_expression
from data_prep.geometry.figure import Figure, Ring

Array = NDArray[Any]
Function = Callable[[Array], Array]
Kind = Literal["length", "angle", "area", "number", "ratio"]
"""What a residual measures, which decides its scale; angles are degrees."""

TINY = 1e-300


class Unsupported(ValueError):
    """A literal that has no meaning here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Equation:
    """A function that is zero in the solution."""

    function: Function
    kind: Kind
    source: str
    """The literal it comes from."""
    given: bool
    """Whether it states a number of the problem, which may be rounded or wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A function of the unknowns and what it measures."""

    function: Function
    kind: Kind


class Model:
    """The unknowns and equations of one figure."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure
        self.index = {name: 2 * number for number, name in enumerate(figure.at)}
        start = [part for point in figure.at.values() for part in (point.real, point.imag)]
        self.radius_index = {ring: len(start) + k for k, ring in enumerate(figure.rings)}
        self.start = [*start, *map(self._start_radius, figure.rings)]
        self.shape_unknowns = len(self.start)
        self.letter_index: dict[str, int] = {}
        self.equations: list[Equation] = []
        self.skipped: list[tuple[str, str]] = []
        self._source = ""

    @property
    def size(self) -> int:
        """Number of unknowns."""
        return self.shape_unknowns + len(self.letter_index)

    @contextmanager
    def reading(self, source: str) -> Iterator[None]:
        """Equations that are added inside belong to this literal."""
        self._source = source
        yield

    def add(self, function: Function, kind: Kind, *, given: bool = False) -> None:
        """Demand that a function be zero."""
        self.equations.append(
            Equation(function=function, kind=kind, source=self._source, given=given)
        )

    def equal(self, left: Function, right: Function, kind: Kind, *, given: bool = False) -> None:
        """Demand that two functions agree."""
        self.add(lambda x: left(x) - right(x), kind, given=given)

    def _start_radius(self, ring: Ring) -> float:
        at, placed = self.figure.at, self.figure.placed
        reach = [abs(at[p] - at[ring.center]) for p in ring.points if p in placed]
        return float(np.median(reach)) if reach else 0.3

    # -- unknowns

    def letter(self, name: str) -> int:
        """The place of a letter in the vector; new letters are appended."""
        return self.letter_index.setdefault(name, self.size)

    def expression(self, text: str) -> Measure:
        """The value of `2x+5` in terms of its letters; raises Unsupported."""
        try:
            tree = parse_expression(text)
        except AlgebraError as error:
            raise Unsupported(str(error)) from error
        places = {name: self.letter(name) for name in sorted(letters(tree))}

        def function(x: Array) -> Array:
            values = {name: x[place] for name, place in places.items()}
            return np.asarray(evaluate(tree, values) + 0 * x[0])

        return Measure(function=function, kind="number")

    def radius(self, ring: Ring) -> Function:
        """The radius of a circle."""
        place = self.radius_index[ring]
        return lambda x: x[place]

    def coordinates(self, point: str) -> tuple[Function, Function]:
        """x and y of a point."""
        if point not in self.index:
            raise Unsupported(f"point {point!r} is not in the figure")
        i = self.index[point]
        return (lambda x: x[i]), (lambda x: x[i + 1])

    def vector(self, tail: str, head: str) -> Callable[[Array], tuple[Array, Array]]:
        """Both components of the way from one point to another."""
        if tail not in self.index or head not in self.index or tail == head:
            raise Unsupported(f"no line {tail}{head}")
        i, j = self.index[tail], self.index[head]
        return lambda x: (x[j] - x[i], x[j + 1] - x[i + 1])

    # -- measures

    def distance(self, first: str, second: str) -> Function:
        """Length of a segment."""
        way = self.vector(first, second)

        def function(x: Array) -> Array:
            right, up = way(x)
            return np.asarray(np.sqrt(right * right + up * up + TINY))

        return function

    def angle(self, first: str, vertex: str, last: str) -> Function:
        """The angle below 180 degrees, or its continuation, on the side that the picture shows."""
        if {first, vertex, last} <= self.figure.placed:
            return self.directed_angle(first, vertex, last, self.side(first, vertex, last), -90.0)
        return self.directed_angle(first, vertex, last, 0.0, -90.0)

    def directed_angle(
        self, first: str, vertex: str, last: str, sign: float, lowest: float
    ) -> Function:
        """Degrees from the ray to `first` to the ray to `last`, in [lowest, lowest + 360).

        `sign` 1 counts counter-clockwise, -1 clockwise, 0 whichever is shorter.
        """
        start, end = self.vector(vertex, first), self.vector(vertex, last)

        def function(x: Array) -> Array:
            (a, b), (c, d) = start(x), end(x)
            cross, dot = a * d - b * c, a * c + b * d
            turn = sign or np.where(cross.real < 0, -1.0, 1.0)
            degrees = arctan2(turn * cross, dot) * (180 / math.pi)
            degrees = np.where(degrees.real < lowest, degrees + 360, degrees)
            return np.where(degrees.real >= lowest + 360, degrees - 360, degrees)

        return function

    def side(self, first: str, vertex: str, last: str) -> float:
        """1 when the turn from `first` to `last` is counter-clockwise in the picture, else -1."""
        at = self.figure.at
        turn = (at[first] - at[vertex]).conjugate() * (at[last] - at[vertex])
        return 1.0 if turn.imag >= 0 else -1.0

    def sine(self, line: tuple[str, str], other: tuple[str, str]) -> Function:
        """Sine of the angle between two lines: zero when they are parallel."""
        return self._normed(line, other, lambda a, b, c, d: a * d - b * c)

    def cosine(self, line: tuple[str, str], other: tuple[str, str]) -> Function:
        """Cosine of the angle between two lines: zero when they are perpendicular."""
        return self._normed(line, other, lambda a, b, c, d: a * c + b * d)

    def _normed(
        self,
        line: tuple[str, str],
        other: tuple[str, str],
        product: Callable[[Array, Array, Array, Array], Array],
    ) -> Function:
        one, two = self.vector(*line), self.vector(*other)

        def function(x: Array) -> Array:
            (a, b), (c, d) = one(x), two(x)
            size = np.sqrt((a * a + b * b) * (c * c + d * d) + TINY)
            return np.asarray(product(a, b, c, d) / size)

        return function

    def off_line(self, point: str, line: tuple[str, str]) -> Function:
        """Signed distance of a point from a line, positive on its left."""
        along, way = self.vector(*line), self.vector(line[0], point)

        def function(x: Array) -> Array:
            (a, b), (c, d) = along(x), way(x)
            return np.asarray((a * d - b * c) / np.sqrt(a * a + b * b + TINY))

        return function

    def height(self, point: str, line: tuple[str, str]) -> Function:
        """Distance of a point from a line, positive on the side that the picture shows."""
        sign, off = self.side(line[1], line[0], point), self.off_line(point, line)
        return lambda x: sign * off(x)

    def orientation(self, polygon: Sequence[str]) -> float:
        """1 when the picture runs round a polygon counter-clockwise, else -1."""
        at = [self.figure.at[point] for point in polygon]
        return 1.0 if shoelace([p.real for p in at], [p.imag for p in at]) >= 0 else -1.0

    def area(self, polygon: Sequence[str]) -> Function:
        """Area of a polygon, positive as the picture runs round it."""
        places = [self.index[point] for point in polygon]
        sign = self.orientation(polygon) if self.figure.placed.issuperset(polygon) else 0.0

        def function(x: Array) -> Array:
            area = np.asarray(shoelace([x[i] for i in places], [x[i + 1] for i in places]))
            return area * (sign or np.where(area.real < 0, -1.0, 1.0))

        return function

    def perimeter(self, polygon: Sequence[str]) -> Function:
        """Sum of the sides of a polygon."""
        sides = [self.distance(a, b) for a, b in sides_of(polygon)]
        return lambda x: sum((side(x) for side in sides[1:]), sides[0](x))


def sides_of(polygon: Sequence[str]) -> list[tuple[str, str]]:
    """The sides in order, the closing one last."""
    return list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))


def shoelace(right: Sequence[Any], up: Sequence[Any]) -> Any:
    """Signed area of a polygon from its coordinates."""
    count = len(right)
    return sum(right[i - 1] * up[i] - right[i] * up[i - 1] for i in range(count)) / 2


def arctan2(y: Array, x: Array) -> Array:
    """The angle of (x, y); for complex steps its derivative goes into the imaginary part."""
    angle = np.arctan2(y.real, x.real)
    if not (np.iscomplexobj(x) or np.iscomplexobj(y)):
        return angle
    size = x.real**2 + y.real**2 + TINY
    return np.asarray(angle + 1j * (x.real * y.imag - y.real * x.imag) / size)
