"""Whether numbers that satisfy all equations are the figure that is meant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from data_prep.geometry.least_squares import Floats
from data_prep.geometry.literals import Term, is_point
from data_prep.geometry.model import Model

WIDE = 0.2
"""Triangles that are drawn smaller than this, in parts of the picture, may be careless drawing."""
CLOSE = 0.03
"""Points that are drawn nearer than this, in parts of the picture, may be one."""

NOTHING = 1e-6
"""An answer below this is zero, and the figure has collapsed."""


def fault(model: Model, x: Floats, scale: float, value: float) -> str:
    """Why a solution is no figure, or no answer; empty when it is sound."""
    if not np.isfinite(value) or value <= NOTHING:
        return "the answer is not positive"
    if any(x[place] <= 1e-9 for place in model.radius_index.values()):
        return "a radius is not positive"
    points = np.array(
        [complex(x[i], x[i + 1]) for p, i in model.index.items() if p in model.figure.placed]
    )
    drawn = np.array([model.figure.at[p] for p in model.index if p in model.figure.placed])
    if _coincide(drawn, np.asarray(points / scale)):
        return "two points coincide"
    if _order_broken(model, x, scale):
        return "the order of points on a line is broken"
    return "a triangle is flat" if _collapsed(drawn, points) else ""


def _coincide(drawn: NDArray[np.complex128], points: NDArray[np.complex128]) -> bool:
    """Whether two points that are apart in the picture have become one."""
    shown = np.abs(drawn[:, None] - drawn[None])
    return bool(((shown > CLOSE) & (np.abs(points[:, None] - points[None]) < 1e-4)).any())


def _collapsed(drawn: NDArray[np.complex128], points: NDArray[np.complex128]) -> bool:
    """Whether three points that are clearly no line in the picture have become one."""
    shown, found = _flatness(drawn), _flatness(points)
    way = np.abs(drawn[:, None] - drawn[None])
    wide = np.maximum(np.maximum(way[:, :, None], way[:, None, :]), way[None]) > WIDE
    return bool((wide & (shown > 0.2) & (found < 1e-3)).any())


def _flatness(points: NDArray[np.complex128]) -> Floats:
    """[points, points, points] doubled area over the square of the longest side, 0 when flat."""
    way = points[None, :] - points[:, None]
    area = np.abs((way[:, :, None].conjugate() * way[:, None, :]).imag)
    size = np.abs(way) ** 2
    longest = np.maximum(np.maximum(size[:, :, None], size[:, None, :]), size[None, :, :])
    return np.asarray(area / np.maximum(longest, 1e-30))


def _order_broken(model: Model, x: Floats, scale: float) -> bool:
    at = model.figure.at
    for fact in model.figure.facts:
        if fact.head != "PointLiesOnLine" or not isinstance(fact.args[1], Term):
            continue
        names = (str(fact.args[0]), *map(str, fact.args[1].args))
        if (
            len(names) != 3
            or not set(names) <= model.figure.placed
            or not all(map(is_point, names))
        ):
            continue
        here, first, last = (at[name] for name in names)
        between = ((here - first) * (last - here).conjugate()).real > 0
        p, a, b = (complex(*x[model.index[n] : model.index[n] + 2]) for n in names)
        if between and ((p - a) * (b - p).conjugate()).real < -1e-6 * scale * abs(b - a):
            return True
    return False


def drift(model: Model, x: Floats) -> float:
    """Distance from the picture after the best similarity, as a part of the size.

    Parts that no stroke joins (two similar triangles) are compared one by one, and a mirror image
    counts as the figure itself; the worst part counts.
    """
    worst = 0.0
    for names in model.figure.parts:
        drawn = np.array([model.figure.at[p] for p in names])
        found = np.array([complex(*x[model.index[p] : model.index[p] + 2]) for p in names])
        drawn, found = drawn - drawn.mean(), found - found.mean()
        overlap = max(abs(np.vdot(drawn, found)), abs(np.vdot(drawn, found.conj()))) ** 2
        size = np.vdot(drawn, drawn).real * np.vdot(found, found).real + 1e-30
        worst = max(worst, float(np.sqrt(max(0.0, 1 - min(1.0, overlap / size)))))
    return worst
