"""Least squares from several starts (MINPACK's, through scipy), with slopes by complex steps.

Columns of an array are starts. A pull towards given values, with a strength per unknown, keeps free
directions from wandering; its residuals also give MINPACK as many equations as unknowns, which a
figure that is free to move lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.geometry.model import Function

try:
    from scipy.optimize import least_squares
except ImportError as error:
    raise ValueError("geometry annotations need scipy: pip install 'adora-mm[geometry]'") from error

Floats = NDArray[np.float64]
STEP = 1e-30
"""Size of the complex step: its square vanishes beside any number."""
STALLED = 1e-5
"""A step that gains less, in parts of the cost, ends in a minimum that is not zero."""
ROUNDING = 1e-15
"""Tolerance on steps and slopes: a descent to zero goes as far as rounding lets it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pull:
    """Quadratic cost `(strengths * (x - towards))**2`, both [unknowns, columns]."""

    towards: Floats
    strengths: Floats


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
    """The unknowns [unknowns, columns] after at most `steps` evaluations, and the costs [columns].

    `weights` [functions, columns] multiply the residuals; `free` are the unknowns that may move. A
    column stops when a step lowers its cost by less than the part `enough`. One that starts where
    an equation has no finite value stays there, at an infinite cost.
    """
    moving = np.arange(len(x)) if free is None else np.asarray(free, dtype=int)
    pull = pull or Pull(towards=x, strengths=np.zeros_like(x))
    ends = [
        _descend(
            functions, x[:, k], weights[:, k], moving, pull.towards[moving, k],
            pull.strengths[moving, k], steps, enough,
        )
        for k in range(x.shape[1])
    ]  # fmt: skip
    return np.stack([end for end, _ in ends], axis=1), np.array([cost for _, cost in ends])


def _descend(
    functions: Sequence[Function],
    x: Floats,
    weights: Floats,
    moving: NDArray[np.int64],
    towards: Floats,
    strengths: Floats,
    steps: int,
    enough: float,
) -> tuple[Floats, float]:
    """One column's end and cost; `towards` and `strengths` are those of the moving unknowns."""

    def whole(part: Floats) -> Floats:
        moved = x.copy()
        moved[moving] = part
        return moved[:, None]

    def residuals(part: Floats) -> Floats:
        found = values(functions, whole(part))[:, 0] * weights
        return np.append(found, strengths * (part - towards))

    def slopes(part: Floats) -> Floats:
        found = jacobian(functions, whole(part))[0][:, moving] * weights[:, None]
        return np.concatenate([found, np.diag(strengths)])

    with np.errstate(all="ignore"):
        first = residuals(x[moving])
        if not np.isfinite(first).all():
            return x, np.inf
        if not len(moving):
            return x, float(np.sum(first**2))
        found = least_squares(
            residuals, x[moving], slopes, method="lm", x_scale="jac", ftol=enough, xtol=ROUNDING,
            gtol=ROUNDING, max_nfev=steps,
        )  # fmt: skip
    return whole(found.x)[:, 0], 2 * float(found.cost)
