"""Which lines of a figure are drawn.

`line_instances` list every pair of points that some line joins, and pairs that nothing joins. A
figure with circles keeps the lines that literals speak of; one without keeps all. Of lines that lie
on each other only the longest is drawn. Points that no literal names (line_instances have many) are
left out with their strokes: no equation says where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from data_prep.geometry.figure import Figure
from data_prep.geometry.literals import Argument, Line, Term, is_point, points_in, walk
from data_prep.geometry.model import Unsupported
from data_prep.geometry.resolve import corner_of

BESIDE = 0.03
"""A line that passes a point this near, in parts of its length, was meant to go through it."""
FLAT = 2e-3
"""How far, in parts of the figure, a point may be from a line that it lies on."""


def spoken_of(figure: Figure, facts: Iterable[Term]) -> set[str]:
    """Points that facts, the question or circles name, or that make the corner they name."""
    target = () if figure.target is None else (figure.target,)
    found = {p for ring in figure.rings for p in (ring.center, *ring.points)}
    for argument in (*facts, *target):
        if "$" in str(argument):  # the shape that all strokes make
            return set(figure.at)
        found |= points_in([argument])
        for term in walk(argument):
            found |= {p for arg in term.args if isinstance(arg, str) and arg.isupper() for p in arg}
            if term.head == "Angle" and len(term.args) == 1:
                found |= _corner(figure, term.args[0])
    return found


def _corner(figure: Figure, vertex: Argument) -> set[str]:
    try:
        return set(corner_of(figure, str(vertex)))
    except Unsupported:
        return set()


def drawn_lines(figure: Figure, at: Mapping[str, complex]) -> list[Line]:
    """The longest lines that are drawn; `at` are the positions that are drawn."""
    spoken = {frozenset(line) for line in _spoken(figure)}
    keep_all = not figure.rings
    kept = [
        stroke
        for stroke in figure.strokes
        if set(stroke) <= set(at) and (keep_all or frozenset(stroke) in spoken)
    ]
    kept += [line for line in _stated_lines(figure) if set(line) <= set(at)]
    return merged([line for line in kept if not _doubled(figure, line, at)], at)


def _doubled(figure: Figure, line: Line, at: Mapping[str, complex]) -> bool:
    """Whether two strokes over a point between run beside this one, which adds nothing."""
    joined = {frozenset(stroke) for stroke in figure.strokes}
    start, end = at[line[0]], at[line[1]]
    for point in set(at) - set(line):
        if frozenset((line[0], point)) in joined and frozenset((point, line[1])) in joined:
            off = off_line(at[point], start, end)
            between = ((at[point] - start) / (end - start)).real if end != start else -1.0
            if 0.02 < between < 0.98 and FLAT * extent(at) < off < BESIDE * abs(end - start):
                return True
    return False


def _spoken(figure: Figure) -> Iterator[Line]:
    """Pairs of points that literals use as a line."""
    target = [figure.target] if isinstance(figure.target, Term) else []
    for fact in [*figure.facts, *target]:
        for term in walk(fact):
            names = [str(arg) for arg in term.args if is_point(arg)]
            if term.head == "Line" and len(names) == 2:
                yield names[0], names[1]
            elif term.head in ("Angle", "Sector") and len(names) == 3:
                yield names[0], names[1]
                yield names[1], names[2]
    for corners in figure.numbered.values():
        yield corners[0], corners[1]
        yield corners[1], corners[2]


def _stated_lines(figure: Figure) -> Iterator[Line]:
    """Lines that facts of the diagram name, and sides of named shapes that are drawn at all."""
    for fact in figure.drawn:
        for term in walk(fact):
            names = [str(arg) for arg in term.args if is_point(arg)]
            if term.head == "Line" and len(names) == 2 and names[0] != names[1]:
                yield names[0], names[1]
    joined = {frozenset(stroke) for stroke in figure.strokes}
    for polygon in figure.polygons:
        for side in zip(polygon, (*polygon[1:], polygon[0]), strict=True):
            if frozenset(side) in joined:
                yield side


def merged(lines: Iterable[Line], at: Mapping[str, complex]) -> list[Line]:
    """Lines without those that lie on others; overlapping ones become one."""
    size = extent(at)
    result: list[Line] = []
    for line in sorted(set(lines), key=lambda line: (-abs(at[line[1]] - at[line[0]]), line)):
        if abs(at[line[1]] - at[line[0]]) < FLAT * size:
            continue
        for number, other in enumerate(result):
            joined = _join(line, other, at, size)
            if joined is not None:
                result[number] = joined
                break
        else:
            result.append(line)
    return result if len(result) == len(set(lines)) else merged(result, at)


def _join(line: Line, other: Line, at: Mapping[str, complex], size: float) -> Line | None:
    """One line for two that overlap, else None."""
    if any(off_line(at[p], at[other[0]], at[other[1]]) > FLAT * size for p in line):
        return None
    start, way = at[other[0]], at[other[1]] - at[other[0]]
    place = {p: ((at[p] - start) / way).real for p in (*line, *other)}
    low, high = sorted(place[p] for p in line)
    if high < -1e-9 or low > 1 + 1e-9 or (high - low) <= 0:
        return None
    if min(high, 1.0) - max(low, 0.0) < 1e-6:
        return None
    return min(place, key=place.__getitem__), max(place, key=place.__getitem__)


def off_line(point: complex, start: complex, end: complex) -> float:
    """Distance of a point from the line through two others."""
    way = end - start
    return abs(((point - start) * way.conjugate()).imag) / max(abs(way), 1e-12)


def extent(at: Mapping[str, complex]) -> float:
    """The larger side of the bounding box, or next to nothing."""
    right = [point.real for point in at.values()] or [0.0]
    up = [point.imag for point in at.values()] or [0.0]
    return max(max(right) - min(right), max(up) - min(up), 1e-12)


def inside(line: Line, at: Mapping[str, complex], points: Iterable[str]) -> list[str]:
    """Points strictly between the ends of a line."""
    start, end = at[line[0]], at[line[1]]
    way, size = end - start, extent(at)
    found = []
    for point in points:
        if point not in line and off_line(at[point], start, end) < FLAT * size:
            place = ((at[point] - start) / way).real if way else -1.0
            if 1e-3 < place < 1 - 1e-3:
                found.append(point)
    return found
