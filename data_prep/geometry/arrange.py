"""How solved coordinates are placed on the page: as the book places them.

A solution is free to turn and to mirror, and parts that nothing joins lie anywhere. Each part is
turned (and mirrored back) to look like the picture and put where the picture has it; parts that
would overlap are moved apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.geometry.figure import Figure

MARGIN = 0.15
"""Room between parts, in parts of the larger one."""
Complexes = NDArray[np.complex128]


def arrange(
    figure: Figure, positions: Mapping[str, complex], radii: Sequence[float]
) -> dict[str, complex]:
    """Positions on the page of the points that belong to a drawn part."""
    placed: dict[str, complex] = {}
    boxes: list[tuple[float, float, float, float]] = []
    scale = _scale(figure, positions)
    centers = {ring.center for ring in figure.rings}
    for names in sorted(figure.components, key=lambda names: (-len(names), names)):
        if len(names) < 2 and not centers.intersection(names):
            continue
        found = np.array([positions[p] for p in names])
        found = _like_picture(figure, names, found, scale)
        reach = _reach(figure, names, radii)
        box = _box(found, reach)
        shift = _way_out(box, boxes)
        boxes.append((box[0] + shift, box[1], box[2] + shift, box[3]))
        placed.update(zip(names, (complex(z) + shift for z in found), strict=True))
    return placed


def _scale(figure: Figure, positions: Mapping[str, complex]) -> float:
    names = [p for p in figure.at if p in figure.placed]
    drawn = np.array([figure.at[p] for p in names] or [0j])
    found = np.array([positions[p] for p in names] or [0j])
    return float(np.std(found) / max(float(np.std(drawn)), 1e-9)) or 1.0


def _like_picture(
    figure: Figure, names: Sequence[str], found: Complexes, scale: float
) -> Complexes:
    """A part turned, mirrored and moved to where the picture has it."""
    shown = np.array([name in figure.placed for name in names])
    if shown.sum() < 2:
        return found
    drawn = np.array([figure.at[name] for name in names])
    middle = drawn[shown].mean()
    flat = drawn[shown] - middle
    found = found - found[shown].mean()
    if abs(np.vdot(found[shown].conj(), flat)) > abs(np.vdot(found[shown], flat)) * (1 + 1e-6):
        found = found.conj()
    turn = np.vdot(found[shown], flat)
    return np.asarray(found * (turn / abs(turn) if abs(turn) > 1e-12 else 1) + middle * scale)


def _reach(figure: Figure, names: Sequence[str], radii: Sequence[float]) -> dict[int, float]:
    """Radius of the circles by the place of their centre."""
    pairs = zip(figure.rings, radii, strict=True)
    return {names.index(ring.center): radius for ring, radius in pairs if ring.center in names}


def _box(found: Complexes, reach: Mapping[int, float]) -> tuple[float, float, float, float]:
    spread = np.array([reach.get(number, 0.0) for number in range(len(found))])
    return (
        float((found.real - spread).min()),
        float((found.imag - spread).min()),
        float((found.real + spread).max()),
        float((found.imag + spread).max()),
    )


def _way_out(
    box: tuple[float, float, float, float], others: Sequence[tuple[float, float, float, float]]
) -> float:
    """How far to the right a box has to go to be clear of the others."""
    shift = 0.0
    for other in sorted(others):
        margin = MARGIN * max(other[2] - other[0], box[2] - box[0])
        apart = (
            box[0] + shift > other[2] + margin / 2
            or box[2] + shift < other[0] - margin / 2
            or box[1] > other[3] + margin / 2
            or box[3] < other[1] - margin / 2
        )
        if not apart:
            shift = other[2] + margin - box[0]
    return shift
