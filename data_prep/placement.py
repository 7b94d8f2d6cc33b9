"""Where labels go: every label proposes positions, the best free one wins, in order.

A proposal is a box centre with a cost (how far from the natural place). A box is free when it
stays inside the picture and keeps `gap` pixels from all ink (a mask of the picture) and from the
labels placed before it. Among the free boxes the cheapest wins; crowded ones pay. When none is
free the caller must pose the figure differently. Ink is counted with a summed-area table, so that
a proposal costs a few look-ups however much is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GAP_PX = 1
"""Blank pixels that every label keeps to lines and to the border."""
APART_PX = 2
"""More blank pixels between two labels, or they read as one."""
COMFORT_PX = 4
"""Clearance above which more distance is not worth anything."""
CROWDING_COST = 3.0
"""Cost per pixel of clearance below the comfortable one."""


class LabelOverlap(ValueError):
    """No position keeps this label clear of lines, other labels and the border."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A label that looks for a place."""

    text: str
    width: int
    height: int
    centers: Floats
    """[K, 2] proposed box centres in pixels."""
    costs: Floats
    """[K] lower is nearer to the natural place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A label with its ink box; right and bottom are exclusive."""

    text: str
    left: int
    top: int
    right: int
    bottom: int


def place(wishes: list[Wish], ink: NDArray[np.uint8], grid_px: int = 0) -> list[Placed]:
    """Place all labels in order; `ink` is [H, W], non-zero where something is drawn.

    With `grid_px` the upper left corner of every label lies on a grid of that many pixels (one in
    from the line), for readers whose eyes are patches of that size. Raises LabelOverlap when a
    label finds no place.
    """
    table = np.zeros((ink.shape[0] + 1, ink.shape[1] + 1), dtype=np.int64)
    table[1:, 1:] = (ink > 0).cumsum(axis=0).cumsum(axis=1)
    placed: list[Placed] = []
    taken = np.zeros((0, 4), dtype=np.int64)
    for wish in wishes:
        size = np.array([wish.width, wish.height])
        low = np.rint(wish.centers - size / 2).astype(np.int64)
        if grid_px:
            low = np.rint((low - 1) / grid_px).astype(np.int64) * grid_px + 1
        boxes = np.concatenate([low, low + size], axis=1)
        clearance = np.minimum(_ink_clearance(boxes, table), _box_clearance(boxes, taken))
        cost = wish.costs + CROWDING_COST * (COMFORT_PX - np.minimum(clearance, COMFORT_PX))
        cost = np.where(clearance >= GAP_PX, cost, np.inf)
        best = int(np.argmin(cost))
        if not np.isfinite(cost[best]):
            raise LabelOverlap(f"no free place for the label {wish.text!r}")
        taken = np.concatenate([taken, boxes[best : best + 1]])
        left, top, right, bottom = (int(value) for value in boxes[best])
        placed.append(Placed(text=wish.text, left=left, top=top, right=right, bottom=bottom))
    return placed


def _ink_clearance(boxes: Ints, table: Ints) -> Ints:
    """[K] blank pixels around each box, up to the comfortable number; -1 when there are none."""
    clearance = np.full(len(boxes), -1)
    height, width = table.shape
    limit = np.array([width - 1, height - 1, width - 1, height - 1])
    inside = (boxes[:, :2].min(axis=1) >= 1) & (boxes[:, 2:] <= limit[:2] - 1).all(axis=1)
    for margin in range(COMFORT_PX + 1):
        grown = np.clip(boxes + margin * np.array([-1, -1, 1, 1]), 0, limit)
        left, top, right, bottom = grown.T
        ink = table[bottom, right] - table[top, right] - table[bottom, left] + table[top, left]
        clearance[inside & (ink == 0)] = margin
    return clearance


def _box_clearance(boxes: Ints, taken: Ints) -> Ints:
    """[K] spare pixels between each box and the nearest placed one; large when there is none."""
    if not len(taken):
        return np.full(len(boxes), COMFORT_PX)
    before = taken[None, :, :2] - boxes[:, None, 2:]
    after = boxes[:, None, :2] - taken[None, :, 2:]
    clearance: Ints = np.maximum(before, after).max(axis=2).min(axis=1) - APART_PX
    return clearance
