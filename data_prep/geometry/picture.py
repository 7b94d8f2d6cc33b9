"""Facts that only the picture states: a tangent that touches, a point on a circle or on a line.

The books say "assume that segments that appear to be tangent are tangent"; the annotation often
leaves such facts out. They are proposed here, within tolerances of a careful drawing, and used only
when a problem is undetermined without them; answers that rest on them are marked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from data_prep.geometry.figure import Figure, Ring
from data_prep.geometry.literals import Term
from data_prep.geometry.model import Unsupported
from data_prep.geometry.resolve import is_shape, length, polygon_of, slant

ON_CIRCLE = 0.025
"""Of the radius."""
ON_LINE = 0.012
"""Of the picture's size."""
TANGENT_DEG = 4.0
LEVEL_DEG = 1.5
ROUND = 0.03
"""A circle whose own points vary more than this shows nothing."""
SHORTEST = 0.06


def picture_facts(figure: Figure) -> list[list[Term]]:
    """Groups of proposed facts, the most trustworthy group first; no group repeats another."""
    on_circles = list(_points_on_circles(figure))
    tangents = list(_tangents(figure, on_circles))
    on_lines = list(_points_on_lines(figure))
    centres = list(_centres_of_regular(figure))
    groups: list[list[Term]] = []
    sure = tangents + centres + list(_named_parallels(figure))
    near = sure + on_circles + on_lines
    for group in (sure, near, near + list(_parallels(figure)) + list(_right_angles(figure))):
        if group and group not in groups:
            groups.append(group)
    return groups


def _radius(figure: Figure, ring: Ring) -> float:
    """The drawn radius; 0 when the picture does not show a circle."""
    points = [p for p in ring.points if p in figure.placed]
    if ring.center not in figure.placed or not points:
        return 0.0
    reach = [abs(figure.at[p] - figure.at[ring.center]) for p in points]
    middle = float(np.median(reach))
    return middle if max(reach) - min(reach) <= 2 * ROUND * middle else 0.0


def _circle(ring: Ring) -> Term:
    return Term("Circle", (ring.center, ring.name) if ring.name else (ring.center,))


def _points_on_circles(figure: Figure) -> Iterator[Term]:
    for ring in figure.rings:
        radius = _radius(figure, ring)
        for point in sorted(figure.placed - {ring.center, *ring.points}):
            off = abs(abs(figure.at[point] - figure.at[ring.center]) - radius)
            if radius and off < ON_CIRCLE * radius:
                yield Term("PointLiesOnCircle", (point, _circle(ring)))


def _tangents(figure: Figure, on_circles: Sequence[Term]) -> Iterator[Term]:
    for ring in figure.rings:
        radius = _radius(figure, ring)
        near = {str(t.args[0]) for t in on_circles if t.args[1] == _circle(ring)}
        touching = {*ring.points, *near} & figure.placed
        for stroke in figure.strokes:
            if radius and set(stroke) <= figure.placed and ring.center not in stroke:
                touch = _touch(figure, ring, stroke, touching)
                if touch is None:
                    continue
                if touch in near:
                    yield Term("PointLiesOnCircle", (touch, _circle(ring)))
                for end in stroke:
                    if end != touch:
                        yield Term(
                            "Perpendicular",
                            (Term("Line", (touch, end)), Term("Line", (touch, ring.center))),
                        )


def _touch(figure: Figure, ring: Ring, stroke: tuple[str, str], touching: set[str]) -> str | None:
    """The end at which a stroke touches the circle at a right angle and stays outside."""
    for touch, far in (stroke, stroke[::-1]):
        way = figure.at[far] - figure.at[touch]
        out = figure.at[touch] - figure.at[ring.center]
        if touch not in touching or far in touching or abs(way) < SHORTEST or not out:
            continue
        turn = abs((way * out.conjugate()).real) / (abs(way) * abs(out))
        if turn < math.sin(math.radians(TANGENT_DEG)):
            return touch
    return None


def _points_on_lines(figure: Figure) -> Iterator[Term]:
    stated = {
        (str(f.args[0]), frozenset(map(str, f.args[1].args)))
        for f in figure.facts
        if f.head == "PointLiesOnLine" and isinstance(f.args[1], Term)
    }
    for first, last in figure.strokes:
        if not {first, last} <= figure.placed:
            continue
        way = figure.at[last] - figure.at[first]
        for point in sorted(figure.placed - {first, last}):
            if abs(way) < SHORTEST or (point, frozenset((first, last))) in stated:
                continue
            place = (figure.at[point] - figure.at[first]) / way
            if 0.05 < place.real < 0.95 and abs(place.imag) * abs(way) < ON_LINE:
                yield Term("PointLiesOnLine", (point, Term("Line", (first, last))))


def _centres_of_regular(figure: Figure) -> Iterator[Term]:
    """A point in the middle of a regular polygon is its centre."""
    for fact in figure.facts:
        if fact.head not in ("Regular", "Square", "Equilateral"):
            continue
        shape = fact.args[0] if is_shape(fact.args[0]) else fact
        try:
            points = polygon_of(figure, shape)
        except Unsupported:
            continue
        if not set(points) <= figure.placed:
            continue
        corners = np.array([figure.at[p] for p in points])
        middle, reach = corners.mean(), np.abs(corners - corners.mean()).mean()
        for point in sorted(figure.placed - set(points)):
            if abs(figure.at[point] - middle) < 0.05 * reach:
                yield Term("IsCentroidOf", (Term("Point", (point,)), Term("Shape", points)))


def _named_parallels(figure: Figure) -> Iterator[Term]:
    """For `Parallel(Line(a), Line(b))` of lines without points: those that look parallel."""
    nameless = any(
        fact.head == "Parallel"
        and any(isinstance(a, Term) and len(a.args) == 1 and a.args[0] not in figure.line_names
                for a in fact.args)
        for fact in figure.facts
    )  # fmt: skip
    if nameless:
        yield from _parallels(figure)


def _parallels(figure: Figure) -> Iterator[Term]:
    """Strokes that look parallel; of strokes on one line the longest stands for all."""
    strokes = [
        s for s in figure.strokes if set(s) <= figure.placed and length(figure, s) > 3 * SHORTEST
    ]
    longest: list[tuple[str, str]] = []
    for stroke in sorted(strokes, key=lambda s: -length(figure, s)):
        if not any(_same_line(figure, stroke, other) for other in longest):
            longest.append(stroke)
    for number, one in enumerate(longest):
        for two in longest[:number]:
            if slant(figure, one, two) < math.sin(math.radians(LEVEL_DEG)):
                yield Term("Parallel", (Term("Line", one), Term("Line", two)))


def _same_line(figure: Figure, one: tuple[str, str], two: tuple[str, str]) -> bool:
    start, way = figure.at[two[0]], figure.at[two[1]] - figure.at[two[0]]
    off = [abs(((figure.at[p] - start) / way).imag) * abs(way) for p in one]
    return max(off) < 2 * ON_LINE


def _right_angles(figure: Figure) -> Iterator[Term]:
    """Strokes that meet in a point and look perpendicular."""
    strokes = [
        s for s in figure.strokes if set(s) <= figure.placed and length(figure, s) > SHORTEST
    ]
    for number, one in enumerate(strokes):
        for two in strokes[:number]:
            square = slant(figure, one, two) > math.cos(math.radians(LEVEL_DEG))
            if square and len({*one, *two}) == 3:
                yield Term("Perpendicular", (Term("Line", one), Term("Line", two)))
