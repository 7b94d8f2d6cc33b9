"""The numeric tier: mpmath at 50 digits, for constants and at fixed points for free symbols.

Every operation is bounded first (sizes of exponents, factorials and arguments), so that a tower of
powers raises LimitError. Each thread has its own mpmath context: precision is not shared state.
With free symbols, real semantics hold: a point where an even root or a logarithm meets a negative
number is outside the domain and is skipped. Integer points are used when the expression only makes
sense there (factorials, floors, powers of negative constants).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from adora_mm.verify.limits import LimitError, UndecidedError, spend
from adora_mm.verify.syntax import Node, walk

DIGITS = 50
MAX_LOG2 = 40_000
"""Largest base-2 logarithm of an intermediate value."""
MAX_GAMMA = 20_000
MAX_TRIG = 10**40
_ZERO_LOG2 = -120
_local = threading.local()
_REAL_POINTS = (
    Fraction(1723, 1301), Fraction(2897, 1009), Fraction(-1453, 997), Fraction(733, 1187),
    Fraction(-3361, 811), Fraction(5849, 1531), Fraction(281, 1613), Fraction(-499, 1283),
    Fraction(7919, 677), Fraction(-9001, 1409), Fraction(1009, 557), Fraction(3571, 883),
    Fraction(613, 409), Fraction(-2333, 719),
)  # fmt: skip
_INTEGER_POINTS = (7, 12, 5, 10, 3, 8, 13, 6, 11, 4, 9, 14, 17, 16)
TRIALS = 9
NEEDED = 3


class OutsideDomainError(Exception):
    """A value that is not defined at this point."""


def context() -> Any:
    """This thread's own mpmath context."""
    ctx = getattr(_local, "ctx", None)
    if ctx is None:
        import mpmath

        ctx = mpmath.MPContext()
        ctx.dps = DIGITS
        _local.ctx = ctx
    return ctx


def constants(left: Node, right: Node) -> tuple[Any, Any]:
    """The values of two constant expressions; raises LimitError or OutsideDomainError.

    Odd roots of negative numbers are real unless an i occurs on either side.
    """
    real = not any(n.op == "const" and n.value == "i" for tree in (left, right) for n in walk(tree))
    return _evaluate(left, {}, context(), real), _evaluate(right, {}, context(), real)


def equal_values(left: Any, right: Any) -> bool:
    """Equal to 35 digits relative, or both nothing."""
    ctx = context()
    size = max(abs(left), abs(right))
    return bool(abs(left - right) <= size * ctx.mpf(10) ** -35) or bool(size < ctx.mpf(10) ** -60)


def points(trees: tuple[Node, ...], names: list[str]) -> list[dict[str, Fraction]]:
    """Fixed points for the free symbols of several trees, integers where only those make sense."""
    integer = any(_needs_integers(tree) for tree in trees)
    found = []
    for trial in range(TRIALS):
        values = {}
        for k, name in enumerate(names):
            at = (trial * (k + 1) + 5 * k) % 14
            values[name] = Fraction(_INTEGER_POINTS[at]) if integer else _REAL_POINTS[at]
        found.append(values)
    return found


def equal_expressions(left: Node, right: Node, names: list[str]) -> bool:
    """Whether two expressions agree wherever both are defined, tried at fixed points.

    One point of disagreement decides; agreement needs three points. Raises UndecidedError when too
    few points are in both domains.
    """
    agreed = 0
    for values in points((left, right), names):
        try:
            pair = value_at(left, values), value_at(right, values)
        except OutsideDomainError:
            continue
        if not equal_values(*pair):
            return False
        agreed += 1
    if agreed < NEEDED:
        raise UndecidedError("too few points where both sides are defined")
    return True


def proportional(left: Node, right: Node, names: list[str], *, positive: bool) -> bool:
    """Whether left = c * right for one non-zero constant c (positive if asked for)."""
    ratio, agreed = None, 0
    for values in points((left, right), names):
        try:
            a, b = value_at(left, values), value_at(right, values)
        except OutsideDomainError:
            continue
        if not a and not b:
            continue
        if not a or not b:
            return False
        if ratio is None:
            ratio = a / b
        elif not equal_values(a / b, ratio):
            return False
        agreed += 1
    if ratio is None or agreed < NEEDED:
        raise UndecidedError("too few points where both sides are defined")
    return not positive or (ratio.imag == 0 and ratio.real > 0)


def value_at(node: Node, values: Mapping[str, Fraction]) -> Any:
    """The value at a point, with real semantics when the point has coordinates."""
    return _evaluate(node, values, context(), bool(values))


def _needs_integers(tree: Node) -> bool:
    for node in walk(tree):
        if node.op == "fact" or (node.op == "func" and node.value in ("floor", "ceil", "binom")):
            return True
        if (
            node.op == "pow"
            and node.args[0].op == "neg"
            and node.args[1].op not in ("num", "neg", "div")
        ):
            return True
    return False


def _bounded(value: Any, ctx: Any) -> Any:
    if not value:
        return value
    if ctx.isnan(value) or ctx.isinf(value):
        raise OutsideDomainError("not a finite number")
    if abs(ctx.mag(value)) > MAX_LOG2:
        raise LimitError("a value is too large")
    return value


def _evaluate(node: Node, values: Mapping[str, Fraction], ctx: Any, real: bool) -> Any:
    spend(10)
    op = node.op
    if op == "num":
        assert isinstance(node.value, Fraction)
        return ctx.mpf(node.value.numerator) / node.value.denominator
    if op == "sym":
        if node.value not in values:
            raise UndecidedError(f"no value for {node.value}")
        value = values[str(node.value)]
        return ctx.mpf(value.numerator) / value.denominator
    if op == "const":
        if node.value == "inf":
            raise OutsideDomainError("infinity")
        return {"pi": +ctx.pi, "e": +ctx.e, "i": ctx.mpc(0, 1)}[str(node.value)]
    if op == "func":
        return _bounded(_function(node, values, ctx, real), ctx)
    args = [_evaluate(arg, values, ctx, real) for arg in node.args]
    rule = _OPERATIONS.get(op)
    if rule is None:
        raise UndecidedError(f"no numeric value for {op}")
    return _bounded(rule(args, ctx, real), ctx)


def _divide(args: list[Any], ctx: Any, real: bool) -> Any:
    if not args[1] or (
        ctx.mag(args[1]) < _ZERO_LOG2 - 20 and ctx.mag(args[1]) < ctx.mag(args[0] or 1) - 150
    ):
        raise OutsideDomainError("division by zero")
    return args[0] / args[1]


def _power(args: list[Any], ctx: Any, real: bool) -> Any:
    base, exponent = args
    if not base:
        if exponent.real <= 0 if hasattr(exponent, "real") else exponent <= 0:
            raise OutsideDomainError("zero to a power that is not positive")
        return base
    if abs(exponent) > 10**7 or abs(exponent) * (abs(ctx.mag(base)) + 1) > MAX_LOG2:
        if base == 1:
            return base
        raise LimitError("a power is too large")
    if real and base.imag == 0 and base.real < 0 and not ctx.isint(exponent):
        return _odd_power(base.real, exponent, ctx)
    return base**exponent


def _odd_power(base: Any, exponent: Any, ctx: Any) -> Any:
    """A negative real to 1/3, 2/3, ... is real; other fractional powers are outside the domain."""
    for denominator in (3, 5, 7):
        top = exponent * denominator
        nearest = ctx.nint(top)
        if abs(top - nearest) < ctx.mpf(10) ** -40:
            return (abs(base) ** exponent) * (-1 if int(nearest) % 2 else 1)
    raise OutsideDomainError("a fractional power of a negative number")


def _root(args: list[Any], ctx: Any, real: bool) -> Any:
    radicand, degree = args
    if not ctx.isint(degree) or not 2 <= degree <= 1000:
        return _power([radicand, 1 / degree if degree else ctx.inf], ctx, real)
    n = int(degree.real)
    if radicand.imag == 0 and radicand.real < 0:
        if n % 2:
            return -((-radicand.real) ** (ctx.mpf(1) / n))
        if real:
            raise OutsideDomainError("an even root of a negative number")
    return ctx.sqrt(radicand) if n == 2 else radicand ** (ctx.mpf(1) / n)


def _factorial(args: list[Any], ctx: Any, real: bool) -> Any:
    value = args[0]
    if value.imag or abs(value) > MAX_GAMMA:
        raise LimitError("a factorial is too large")
    if value.real < 0 and ctx.isint(value):
        raise OutsideDomainError("a factorial of a negative integer")
    return ctx.gamma(value + 1)


_OPERATIONS: dict[str, Any] = {
    "add": lambda args, ctx, real: ctx.fsum(args),
    "mul": lambda args, ctx, real: ctx.fprod(args),
    "neg": lambda args, ctx, real: -args[0],
    "div": _divide,
    "pow": _power,
    "root": _root,
    "fact": _factorial,
    "deg": lambda args, ctx, real: args[0],
    "percent": lambda args, ctx, real: args[0] / 100,
}
_TRIG = frozenset({"sin", "cos", "tan", "cot", "sec", "csc"})


def _function(node: Node, values: Mapping[str, Fraction], ctx: Any, real: bool) -> Any:
    name = str(node.value)
    args = [_evaluate(arg, values, ctx, real) for arg in node.args]
    x = args[0]
    if name in _TRIG:
        if abs(x) > MAX_TRIG:
            raise LimitError("the argument of a function is too large")
        if any(part.op == "deg" for part in walk(node.args[0])):
            x = x * ctx.pi / 180
        return _trigonometric(name, x, ctx)
    if name in ("ln", "log", "lg"):
        return _logarithm(name, args, ctx, real)
    if name in ("exp", "sinh", "cosh", "tanh", "coth"):
        if abs(x) > MAX_LOG2 // 2:
            raise LimitError("the argument of a function is too large")
        return 1 / ctx.tanh(x) if name == "coth" else getattr(ctx, name)(x)
    if name in ("floor", "ceil"):
        nearest = ctx.nint(x.real)
        # A value within 30 digits of an integer is that integer (sums of roots may be exact).
        return nearest if abs(x - nearest) < ctx.mpf(10) ** -30 else getattr(ctx, name)(x.real)
    if name == "binom":
        return _binomial(args, ctx)
    if name in ("arcsin", "arccos", "arctan"):
        if real and name != "arctan" and abs(x) > 1:
            raise OutsideDomainError(name)
        return getattr(ctx, "a" + name[3:])(x)
    if name in ("min", "max"):
        return (min if name == "min" else max)(arg.real for arg in args)
    if name == "abs":
        return abs(x)
    raise UndecidedError(f"no numeric value for {name}")


def _trigonometric(name: str, x: Any, ctx: Any) -> Any:
    top, bottom = {
        "sin": ("sin", ""), "cos": ("cos", ""), "tan": ("sin", "cos"), "cot": ("cos", "sin"),
        "sec": ("", "cos"), "csc": ("", "sin"),
    }[name]  # fmt: skip
    numerator = getattr(ctx, top)(x) if top else ctx.mpf(1)
    if not bottom:
        return numerator if abs(numerator) > ctx.mpf(10) ** -45 else ctx.mpf(0)
    denominator = getattr(ctx, bottom)(x)
    if abs(denominator) < ctx.mpf(10) ** -45:
        raise OutsideDomainError(name)
    return numerator / denominator


def _logarithm(name: str, args: list[Any], ctx: Any, real: bool) -> Any:
    x = args[0]
    if not x or (x.imag == 0 and x.real < 0):
        raise OutsideDomainError("a logarithm of a number that is not positive")
    if name == "lg" or (len(args) == 1 and name == "log"):
        # log without a base: natural unless both sides agree anyway; see docs/checker.md.
        return ctx.log(x) / (ctx.log(10) if name == "lg" else 1)
    if len(args) == 1:
        return ctx.log(x)
    base = args[1]
    if base.imag or base.real <= 0 or base == 1:
        raise OutsideDomainError("the base of a logarithm")
    return ctx.log(x) / ctx.log(base)


def _binomial(args: list[Any], ctx: Any) -> Any:
    top, bottom = args
    if top.imag or bottom.imag or max(abs(top), abs(bottom)) > MAX_GAMMA:
        raise LimitError("a binomial coefficient is too large")
    return ctx.binomial(top, bottom)
