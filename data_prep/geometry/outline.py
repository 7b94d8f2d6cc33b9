"""The outline of a figure of straight strokes, for `AreaOf(Shape($))`: the outer face of its graph.

Strokes are cut at the points that lie on them; walking with the outer region always on the right
hand gives the outline. Points in the middle of a side are left out. A figure with circles, or whose
outline touches itself, has none.
"""

from __future__ import annotations

import cmath
from collections import defaultdict
from itertools import pairwise

from data_prep.geometry.figure import Figure
from data_prep.geometry.model import Unsupported

NEAR = 0.02
"""How far, in parts of the picture, a point may be from a stroke that it lies on."""


def outer_polygon(figure: Figure) -> tuple[str, ...]:
    """The vertices of the outline in order; raises Unsupported."""
    if figure.rings:
        raise Unsupported("an outline with circles")
    neighbours = _graph(figure)
    if len(neighbours) < 3:
        raise Unsupported("no closed outline")
    at = figure.at
    start = min(neighbours, key=lambda p: (at[p].imag, at[p].real))
    path, heading = [start], 1 + 0j
    for _ in range(4 * len(neighbours) + 4):
        here = path[-1]
        # the sharpest right turn keeps the outside on the right; never straight back
        ways = sorted(
            (
                (cmath.phase((at[n] - at[here]) / heading), n)
                for n in neighbours[here]
                if len(path) < 2 or n != path[-2]
            ),
        )
        if not ways:
            raise Unsupported("the outline has a loose end")
        chosen = ways[0][1]
        heading = at[chosen] - at[here]
        if chosen == start:
            return _corners(figure, path)
        if chosen in path:
            raise Unsupported("the outline touches itself")
        path.append(chosen)
    raise Unsupported("no closed outline")


def _graph(figure: Figure) -> dict[str, set[str]]:
    """Neighbours along strokes that are cut at every point; loose ends are trimmed."""
    neighbours: dict[str, set[str]] = defaultdict(set)
    at = figure.at
    for first, last in figure.strokes:
        if not {first, last} <= figure.placed or at[first] == at[last]:
            continue
        way = at[last] - at[first]
        along = {
            point: ((at[point] - at[first]) / way).real
            for point in figure.placed
            if abs(((at[point] - at[first]) / way).imag) * abs(way) < NEAR
        }
        line = sorted(
            (p for p, t in along.items() if -1e-9 <= t <= 1 + 1e-9), key=along.__getitem__
        )
        for one, two in pairwise(line):
            neighbours[one].add(two)
            neighbours[two].add(one)
    while loose := [point for point, others in neighbours.items() if len(others) < 2]:
        for point in loose:
            for other in neighbours.pop(point):
                neighbours[other].discard(point)
    return neighbours


def _corners(figure: Figure, path: list[str]) -> tuple[str, ...]:
    at, count = figure.at, len(path)
    corners = []
    for i, point in enumerate(path):
        before, after = at[path[i - 1]], at[path[(i + 1) % count]]
        turn = cmath.phase((after - at[point]) / (at[point] - before))
        if abs(turn) > 0.12:
            corners.append(point)
    if len(corners) < 3:
        raise Unsupported("no closed outline")
    return tuple(corners)
