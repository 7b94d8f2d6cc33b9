"""Solve a figure numerically, and say whether the answer is determined.

From the picture, and from shaken copies of it, the equations are solved by least squares: first the
scale (the numbers are not pixels) and the letters, then everything under a pull to the picture that
fades, so that free directions stay where they are drawn. A solution counts only if

- every equation holds to 1e-8 of the figure's size,
- the gradient of the asked quantity lies in the row space of the Jacobian: what is left free
  (place, turn, parts that nothing fixes) does not change the answer,
- it is no degenerate figure: no two points coincide, radii and lengths are positive, points stay
  between the ends of their segments as in the picture,
- at least two starts agree on it, and it does not stray far from the picture.

Everything else is refused with a reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data_prep.geometry.algebra import AlgebraError, letters, parse_expression
from data_prep.geometry.constraints import MALFORMED, add_facts
from data_prep.geometry.figure import Figure
from data_prep.geometry.least_squares import Floats, Pull, jacobian, minimize, values
from data_prep.geometry.literals import Term
from data_prep.geometry.measures import measure
from data_prep.geometry.model import Function, Measure, Model
from data_prep.geometry.soundness import drift, fault

ZERO = 1e-8
RANK = 1e-7
ROW_SPACE = 1e-5
MAX_DRIFT = 0.5
FAR = "far from the picture"
SAME = 1e-6
STARTS = 6
SHAKES = (0.0, 0.02, 0.0, 0.1, 0.0, 0.2)
RANKS = (0, 0, 1, 1, 2, 0)
"""Which of the scales, best first, each start takes; and how far it is shaken."""
SCALES = 10 ** np.linspace(-0.5, 3.0, 15)
FADING = (1e-1, 1e-2, 1e-3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """One start's end."""

    x: Floats
    scale: float
    value: float
    drift: float
    determined: bool
    fault: str
    """Why the figure is degenerate; empty when it is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came out for a figure."""

    status: str
    """`solved`, or the class of failure."""
    detail: str = ""
    value: float | None = None
    kind: str = ""
    drift: float = 0.0
    positions: dict[str, complex] = field(default_factory=dict)
    radii: tuple[float, ...] = ()
    unknowns: dict[str, float] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()
    residual: float = 0.0
    """The largest scaled residual of the best start."""


def solve(
    figure: Figure, *, starts: int = STARTS, without: frozenset[str] = frozenset()
) -> Outcome:
    """Solve a figure; `without` are sources of equations to leave out."""
    if figure.target is None:
        return Outcome(status="no question")
    model = Model(figure)
    add_facts(model, figure.facts)
    model.equations = [e for e in model.equations if e.source not in without]
    skipped = tuple(model.skipped)
    known = set(model.letter_index)
    try:
        target = measure(model, figure.target)
    except MALFORMED as error:
        return Outcome(status="unsupported question", detail=str(error), skipped=skipped)
    loose = _letters(figure.target) - known
    if loose:
        detail = f"nothing says what {', '.join(sorted(loose))} is"
        return Outcome(status="letter without meaning", detail=detail, skipped=skipped)
    return _solve(model, target, starts, skipped)


def givens_of(figure: Figure) -> list[str]:
    """The literals that state numbers, in order."""
    model = Model(figure)
    add_facts(model, figure.facts)
    return list(dict.fromkeys(e.source for e in model.equations if e.given))


def _letters(target: Term | str) -> set[str]:
    if not isinstance(target, str):
        return set()
    try:
        return letters(parse_expression(target))
    except AlgebraError:
        return set()


def _solve(
    model: Model, target: Measure, starts: int, skipped: tuple[tuple[str, str], ...]
) -> Outcome:
    functions = [equation.function for equation in model.equations]
    x, scales = _starts(model, functions, target, starts)
    weights = _weights(model, scales)
    pulled = ((np.arange(model.size) < model.shape_unknowns) & _has_place(model))[:, None]
    for strength in FADING:
        pull = Pull(towards=x, weights=np.where(pulled, (strength / scales) ** 2, 0.0))
        x, _ = minimize(functions, x, weights, steps=14, pull=pull, enough=0.03)
    x, _ = minimize(functions, x, weights, steps=90)
    with np.errstate(all="ignore"):
        worst = np.abs(values(functions, x) * weights).max(axis=0, initial=0.0)
    worst = np.where(np.isfinite(worst), worst, np.inf)
    ends = [
        _judge(model, functions, target, x[:, k], float(scales[k]))
        for k in np.flatnonzero(worst < ZERO)
    ]
    residual = float(worst.min())
    if not ends:
        return Outcome(status="no solution", skipped=skipped, residual=residual)
    return _choose(model, target, ends, skipped, residual)


def _starts(
    model: Model, functions: Sequence[Function], target: Measure, starts: int
) -> tuple[Floats, Floats]:
    """The picture and shaken copies, at the scales at which the numbers fit best."""
    rng = np.random.default_rng(1)
    places = list(model.letter_index.values())
    sized = any(equation.kind in ("length", "area") for equation in model.equations)
    scales = SCALES if sized else np.ones(1)
    x = np.array([*model.start, *np.ones(len(places))])[:, None] * scales
    x[places] = 20.0 if not sized else np.maximum(scales / 3, 1.0)
    x, cost = minimize(functions, x, _weights(model, scales), steps=12, free=places)
    order = np.argsort(np.where(np.isfinite(cost), cost, np.inf))
    picked = order[np.minimum(np.resize(RANKS, starts), len(order) - 1)]
    x, scales = x[:, picked], scales[picked]
    noise = rng.normal(size=(model.shape_unknowns, starts)) * np.resize(SHAKES, starts)
    wild = ~_has_place(model)[: model.shape_unknowns]
    noise[wild] = rng.normal(size=(int(wild.sum()), starts)) * 0.4
    x[: model.shape_unknowns] += noise * scales
    radii = list(model.radius_index.values())
    x[radii] = np.abs(x[radii])
    return x, scales


def _has_place(model: Model) -> NDArray[np.bool_]:
    """Unknowns that the picture shows."""
    shown = np.ones(model.size, dtype=bool)
    for name, place in model.index.items():
        if name not in model.figure.placed:
            shown[place : place + 2] = False
    return shown


def _weights(model: Model, scales: Floats) -> Floats:
    """[equations, columns] what makes residuals parts of the figure's size."""
    rules: dict[str, Floats] = {
        "length": 1 / scales,
        "area": 1 / scales**2,
        "angle": np.full(len(scales), 1 / 60),
        "number": np.full(len(scales), 0.1),
        "ratio": np.ones(len(scales)),
    }
    rows = [rules[equation.kind] for equation in model.equations]
    return np.array(rows).reshape(len(rows), len(scales))


# -- judging ------------------------------------------------------------------------------------


def _judge(
    model: Model, functions: Sequence[Function], target: Measure, x: Floats, scale: float
) -> Solution:
    column = x[:, None]
    value = float(target.function(column)[0])
    return Solution(
        x=x,
        scale=scale,
        value=value,
        drift=drift(model, x),
        determined=_determined(model, functions, target, column, scale),
        fault=fault(model, x, scale, value),
    )


def _determined(
    model: Model, functions: Sequence[Function], target: Measure, x: Floats, scale: float
) -> bool:
    rows, gradient = _scaled_slopes(model, functions, target, x, scale)
    if not (np.isfinite(rows).all() and np.isfinite(gradient).all()):
        return False
    _, singular, basis = np.linalg.svd(rows, full_matrices=False)
    largest = float(singular.max(initial=1.0))
    basis = basis[singular > RANK * largest]
    outside = gradient - basis.T @ (basis @ gradient)
    return bool(np.linalg.norm(outside) < ROW_SPACE * max(float(np.linalg.norm(gradient)), 1e-12))


def _scaled_slopes(
    model: Model, functions: Sequence[Function], target: Measure, x: Floats, scale: float
) -> tuple[Floats, Floats]:
    """Jacobian [equations, unknowns] and gradient [unknowns] at x [unknowns, 1], of order one."""
    sizes = np.where(
        np.arange(model.size) < model.shape_unknowns, scale, np.maximum(np.abs(x[:, 0]), 1)
    )
    rows = jacobian(functions, x)[0] * sizes * _weights(model, np.array([scale]))
    return rows, jacobian([target.function], x)[0, 0] * sizes


def linearized(figure: Figure, outcome: Outcome, left_out: str) -> tuple[list[str], Floats, Floats]:
    """The literal of each equation, their slopes and the target's, at a solution."""
    model = Model(figure)
    add_facts(model, figure.facts)
    model.equations = [e for e in model.equations if e.source != left_out]
    assert figure.target is not None
    target = measure(model, figure.target)
    x = np.zeros((model.size, 1))
    for name, place in model.index.items():
        x[place : place + 2, 0] = outcome.positions[name].real, outcome.positions[name].imag
    x[list(model.radius_index.values()), 0] = outcome.radii
    for letter, place in model.letter_index.items():
        x[place, 0] = outcome.unknowns[letter]
    points = np.array(list(outcome.positions.values()))
    scale = max(float(np.ptp(points.real)), float(np.ptp(points.imag)), 1e-9)
    functions = [equation.function for equation in model.equations]
    rows, gradient = _scaled_slopes(model, functions, target, x, scale)
    return [equation.source for equation in model.equations], rows, gradient


def _choose(
    model: Model,
    target: Measure,
    ends: Sequence[Solution],
    skipped: tuple[tuple[str, str], ...],
    residual: float,
) -> Outcome:
    sound = [end for end in ends if not end.fault]
    if not sound:
        return Outcome(
            status="degenerate", detail=ends[0].fault, skipped=skipped, residual=residual
        )
    fixed = [end for end in sound if end.determined]
    if not fixed:
        return Outcome(status="undetermined", skipped=skipped, residual=residual)
    best = min(fixed, key=lambda end: end.drift)
    agreeing = [
        end for end in fixed if abs(end.value - best.value) < SAME * max(1, abs(best.value))
    ]
    status, detail = "solved", ""
    if len(agreeing) < 2:
        status, detail = "starts disagree", f"{len(agreeing)} of {len(sound)} starts"
    elif best.drift > MAX_DRIFT:
        status, detail = FAR, f"drift {best.drift:.2f}"
    return Outcome(
        status=status,
        detail=detail,
        value=best.value,
        kind=target.kind,
        drift=best.drift,
        positions={p: complex(*best.x[i : i + 2]) for p, i in model.index.items()},
        radii=tuple(float(best.x[model.radius_index[ring]]) for ring in model.figure.rings),
        unknowns={name: float(best.x[place]) for name, place in model.letter_index.items()},
        skipped=skipped,
        residual=residual,
    )
