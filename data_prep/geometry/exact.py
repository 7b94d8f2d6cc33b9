r"""The exact form of a number: integer, fraction, a*sqrt(b)/c, multiple of pi; else a decimal.

A form is accepted only if it is simple beside the number's accuracy: a solver that is right to ten
digits meets a fraction with a denominator up to 60 by chance once in some millions.
"""

from __future__ import annotations

import math
from fractions import Fraction

import sympy

TOLERANCE = 1e-8
MAX_DENOMINATOR = 60
MAX_ROOT_DENOMINATOR = 24
MAX_RADICAND = 200_000


def exact_form(value: float) -> sympy.Expr | None:
    """The simplest exact number within the tolerance, or None."""
    for form in (_fraction(value), _root(value), _of_pi(value), _root_of_pi(value)):
        if form is not None:
            return form
    return None


def _close(value: float, other: float) -> bool:
    return abs(value - other) < TOLERANCE * max(1.0, abs(value))


def _fraction(value: float) -> sympy.Expr | None:
    near = Fraction(value).limit_denominator(MAX_DENOMINATOR)
    if abs(value) < 1e7 and _close(value, float(near)):
        return sympy.Rational(near.numerator, near.denominator)
    thousandths = Fraction(round(value * 1000), 1000)
    if _close(value, float(thousandths)):
        return sympy.Rational(thousandths.numerator, thousandths.denominator)
    return None


def _root(value: float) -> sympy.Expr | None:
    """sqrt(n)/q with its square taken out: 5*sqrt(3)/2."""
    for bottom in range(1, MAX_ROOT_DENOMINATOR + 1):
        square = (value * bottom) ** 2
        whole = round(square)
        if 0 < whole < MAX_RADICAND and _close(abs(value), math.sqrt(whole) / bottom):
            return sympy.sqrt(whole) / bottom * (1 if value > 0 else -1)
    return None


def _of_pi(value: float) -> sympy.Expr | None:
    near = Fraction(value / math.pi).limit_denominator(MAX_DENOMINATOR)
    if near and _close(value, float(near) * math.pi):
        return sympy.Rational(near.numerator, near.denominator) * sympy.pi
    hundredths = Fraction(round(value / math.pi * 100), 100)
    if hundredths and _close(value, float(hundredths) * math.pi):
        return sympy.Rational(hundredths.numerator, hundredths.denominator) * sympy.pi
    return None


def _root_of_pi(value: float) -> sympy.Expr | None:
    root = _root(value / math.pi) if 0 < abs(value) < 1e4 else None
    return None if root is None else root * sympy.pi
