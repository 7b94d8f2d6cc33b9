r"""The exact form of a number: integer, fraction, a*sqrt(b)/c, a multiple of pi; else a decimal.

Some form fits every number if it may be complicated enough. So a form is accepted only if so simple
a one would hardly fit by chance: the expected number of forms up to its size within the tolerance
has to stay below `CHANCE`.
"""

from __future__ import annotations

import math
from fractions import Fraction

import sympy

TOLERANCE = 1e-10
"""Relative; solutions are converged to about 1e-13."""
CHANCE = 2e-3
MAX_DENOMINATOR = 1000
MAX_ROOT_DENOMINATOR = 24


def exact_form(value: float) -> sympy.Expr | None:
    """The simplest exact number within the tolerance, or None."""
    for form in (_fraction(value), _root(value), _of_pi(value), _root_of_pi(value)):
        if form is not None:
            return form
    return None


def _near(value: float, other: float) -> bool:
    return abs(value - other) < _window(value)


def _window(value: float) -> float:
    return TOLERANCE * max(1.0, abs(value))


def _fraction(value: float) -> sympy.Expr | None:
    near = Fraction(value).limit_denominator(MAX_DENOMINATOR)
    # fractions with denominators up to q lie 0.3 * q**2 to the unit
    by_chance = 0.6 * near.denominator**2 * _window(value)
    if not near or by_chance > CHANCE or not _near(value, float(near)):
        return None
    return sympy.Rational(near.numerator, near.denominator)


def _root(value: float) -> sympy.Expr | None:
    """sqrt(n)/q, written with its square taken out: 5*sqrt(3)/2."""
    by_chance = 0.0
    for bottom in range(1, MAX_ROOT_DENOMINATOR + 1):
        by_chance += 4 * abs(value) * bottom**2 * _window(value)
        if by_chance > CHANCE:
            return None
        whole = round((value * bottom) ** 2)
        if whole > 0 and _near(abs(value), math.sqrt(whole) / bottom):
            return sympy.sqrt(whole) / bottom * (1 if value > 0 else -1)
    return None


def _of_pi(value: float) -> sympy.Expr | None:
    fraction = _fraction(value / math.pi)
    return None if fraction is None else fraction * sympy.pi


def _root_of_pi(value: float) -> sympy.Expr | None:
    root = _root(value / math.pi)
    return None if root is None else root * sympy.pi
