"""Levenberg-Marquardt for several starts at once, with derivatives by complex steps.

The usual algorithm (Marquardt 1963, damping scaled by the diagonal): each column of the array is
one problem with its own damping; a step that does not lower its column's cost is not taken. A pull
towards given values, with a weight per unknown, keeps free directions from wandering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.geometry.model import Function

Floats = NDArray[np.float64]
STEP = 1e-30
"""Size of the complex step: its square vanishes beside any number."""
DONE = 1e-26
"""A cost below this is zero."""
STALLED = 1e-5
"""A step that gains less, in parts of the cost, ends in a minimum that is not zero."""
STUCK = 1e12
"""Damping at which a column has stopped moving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Quadratic cost `weights * (x - towards)**2`, both [unknowns, columns]."""

    towards: Floats
    weights: Floats


def values(functions: Sequence[Function], x: Floats) -> Floats:
    """[functions, columns]"""
    if not functions:
        return np.zeros((0, x.shape[1]))
    return np.array([function(x) for function in functions])


def jacobian(functions: Sequence[Function], x: Floats) -> Floats:
    """[columns, functions, unknowns]"""
    size, columns = x.shape
    if not functions:
        return np.zeros((columns, 0, size))
    steps = np.repeat(x.astype(complex), size, axis=1)
    places = np.arange(size * columns)
    steps[places % size, places] += 1j * STEP
    slopes = np.array([function(steps).imag for function in functions]) / STEP
    return slopes.reshape(len(functions), columns, size).transpose(1, 0, 2)


def minimize(
    functions: Sequence[Function],
    x: Floats,
    weights: Floats,
    *,
    steps: int,
    free: Sequence[int] | None = None,
    pull: Pull | None = None,
    enough: float = STALLED,
) -> tuple[Floats, Floats]:
    """The unknowns [unknowns, columns] after at most `steps`, and the costs [columns].

    `weights` [functions, columns] multiply the residuals; `free` are the unknowns that may move. A
    column stops when a step lowers its cost by less than the part `enough`.
    """
    moving = np.arange(len(x)) if free is None else np.asarray(free, dtype=int)
    x = x.copy()
    damping = np.full(x.shape[1], 1e-2)
    cost = _cost(functions, x, weights, pull)
    active = np.isfinite(cost) & (cost > DONE)
    for _ in range(steps):
        if not active.any():
            break
        here = np.flatnonzero(active)
        slopes = jacobian(functions, x[:, here])[:, :, moving] * weights[:, here].T[:, :, None]
        residuals = values(functions, x[:, here]) * weights[:, here]
        part = (
            None
            if pull is None
            else Pull(towards=pull.towards[:, here], weights=pull.weights[:, here])
        )
        shift = _shift(slopes, residuals, x[:, here], part, moving, damping[here])
        trial = x[:, here].copy()
        trial[moving] -= shift.T
        tried = _cost(functions, trial, weights[:, here], part)
        better = np.isfinite(tried) & (tried < cost[here])
        finished = better & ((tried < DONE) | (cost[here] - tried < enough * cost[here]))
        taken = here[better]
        x[:, taken] = trial[:, better]
        cost[taken] = tried[better]
        damping[taken] = np.maximum(damping[taken] / 8, 1e-14)
        damping[here[~better]] *= 4
        active[here[finished]] = False
        active &= damping < STUCK
    return x, cost


def _cost(functions: Sequence[Function], x: Floats, weights: Floats, pull: Pull | None) -> Floats:
    with np.errstate(all="ignore"):
        cost = np.sum((values(functions, x) * weights) ** 2, axis=0)
    if pull is not None:
        cost = cost + np.sum(pull.weights * (x - pull.towards) ** 2, axis=0)
    return cost


def _shift(
    slopes: Floats,
    residuals: Floats,
    x: Floats,
    pull: Pull | None,
    moving: NDArray[np.int64],
    damping: Floats,
) -> Floats:
    """[columns, moving] the damped Gauss-Newton step."""
    gradient = np.einsum("cfu,fc->cu", slopes, residuals)
    normal = np.einsum("cfu,cfv->cuv", slopes, slopes)
    places = np.arange(len(moving))
    if pull is not None:
        gradient = gradient + (pull.weights * (x - pull.towards))[moving].T
        normal[:, places, places] += pull.weights[moving].T
    diagonal = normal[:, places, places]
    floor = 1e-6 * diagonal.max(axis=1, initial=0.0, keepdims=True) + 1e-12
    normal[:, places, places] += damping[:, None] * np.maximum(diagonal, floor) + 1e-15 * floor
    normal = np.where(np.isfinite(normal), normal, 0.0)
    gradient = np.where(np.isfinite(gradient), gradient, 0.0)
    try:
        return np.asarray(np.linalg.solve(normal, gradient[:, :, None])[:, :, 0])
    except np.linalg.LinAlgError:
        return np.asarray(gradient * 0)
