"""Equality of two scalars: exact forms first, then 50 digits; decimals by stated rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from adora_mm.verify import exact, numeric
from adora_mm.verify.limits import LimitError, NotExactError, UndecidedError
from adora_mm.verify.profiles import Profile
from adora_mm.verify.syntax import Node, symbols, walk

_PI_RATIO = Fraction(314, 100)
_SHAPED = frozenset({"text", "tuple", "set", "list", "interval", "matrix", "call", "rel"})
_last_resort: list[Callable[[Node, Node], bool]] = []


def set_last_resort(equality: Callable[[Node, Node], bool]) -> None:
    """Install the symbolic tier; done by workers only, so that callers stay bounded."""
    _last_resort[:] = [equality]


def exact_value(node: Node) -> exact.Exact | None:
    """The exact form of a tree, or None when it has none within the limits."""
    try:
        return exact.evaluate(node)
    except (NotExactError, LimitError):
        return None


def is_infinite(node: Node) -> int:
    """1 for infinity, -1 for minus infinity, 0 otherwise."""
    if node.op == "neg":
        return -is_infinite(node.args[0])
    if node.op == "add" and len(node.args) == 1:
        return is_infinite(node.args[0])
    return int(node.op == "const" and node.value == "inf")


def decimals_of(node: Node) -> int | None:
    """Digits after the point when the tree is one decimal literal with a sign at most."""
    while node.op == "neg":
        node = node.args[0]
    return node.decimals if node.op == "num" and node.decimals else None


def equal(gold: Node, other: Node, profile: Profile) -> bool:
    """Whether `other` has the value of `gold`; raises UndecidedError or LimitError."""
    if gold == other:
        return True
    infinite = is_infinite(gold), is_infinite(other)
    if any(infinite):
        return infinite[0] == infinite[1]
    if gold.op == "based" or other.op == "based":
        return _same_based(gold, other)
    left, right = exact_value(gold), exact_value(other)
    if left is not None and right is not None:
        return left == right or _rounded(gold, other, left, right, profile)
    try:
        if any(n.op == "big" for tree in (gold, other) for n in walk(tree)):
            raise UndecidedError("an unevaluated sum, product or integral")
        return _numerically(gold, other, profile)
    except UndecidedError:
        if not _last_resort:
            raise
        return _last_resort[0](gold, other)


def _same_based(gold: Node, other: Node) -> bool:
    if gold.op == other.op == "based":
        return gold.args[1].value == other.args[1].value
    based, plain = (gold, other) if gold.op == "based" else (other, gold)
    return plain.op == "num" and plain.value == based.args[0].value


def _rounded(
    gold: Node, other: Node, left: exact.Exact, right: exact.Exact, profile: Profile
) -> bool:
    if not (exact.is_constant(left) and exact.is_constant(right)):
        return False
    value, target = exact.approximate(right), exact.approximate(left)
    return (
        value is not None
        and target is not None
        and rounding_matches(gold, other, target, value, profile)
    )


def rounding_matches(
    gold: Node, other: Node, target: Fraction, value: Fraction, profile: Profile
) -> bool:
    """The decimal rules: see docs/checker.md, "Decimals"."""
    places = decimals_of(gold)
    if places is not None:
        if not profile.round_decimal_gold:
            return False
        own = decimals_of(other)
        if own is not None and own < places:
            return False
        if _round(value, places) == target:
            return True
        return (
            profile.pi_as_3_14
            and _has_pi(other)
            and _round(value * _PI_RATIO / _pi(), places) == target
        )
    places = decimals_of(other)
    if places is None or places < profile.min_decimals or _terminates(target):
        return False
    digits = len(str(abs(value.numerator * 10**places // value.denominator)).lstrip("0"))
    if digits < profile.min_significant:
        return False
    if _round(target, places) == value:
        return True
    if profile.accept_truncation and _truncate(target, places) == value:
        return True
    return (
        profile.pi_as_3_14 and _has_pi(gold) and _round(target * _PI_RATIO / _pi(), places) == value
    )


def _terminates(value: Fraction) -> bool:
    """Finite decimals need no rounding; irrational values arrive here as long fractions."""
    denominator = value.denominator
    if denominator.bit_length() > 120:
        return False
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1


def _round(value: Fraction, places: int) -> Fraction:
    """Half away from zero, as schools round."""
    scaled = abs(value) * 10**places
    whole = (scaled + Fraction(1, 2)) // 1
    return Fraction(int(whole) if value >= 0 else -int(whole), 10**places)


def _truncate(value: Fraction, places: int) -> Fraction:
    whole = int(abs(value) * 10**places)
    return Fraction(whole if value >= 0 else -whole, 10**places)


def _has_pi(node: Node) -> bool:
    return any(n.op == "const" and n.value == "pi" for n in walk(node))


def _pi() -> Fraction:
    value = exact.approximate({(1, 0, ((exact.PI_ATOM, 1),)): Fraction(1)})
    assert value is not None
    return value


def _numerically(gold: Node, other: Node, profile: Profile) -> bool:
    names = sorted(symbols(gold) | symbols(other))
    if any(n.op in _SHAPED for tree in (gold, other) for n in walk(tree)):
        return _same_shape(gold, other, profile)
    try:
        if names:
            if symbols(gold) != symbols(other) and not _may_cancel(gold, other):
                return False
            return numeric.equal_expressions(gold, other, names)
        left, right = numeric.constants(gold, other)
    except numeric.OutsideDomainError:
        return False  # 1/0 and tan 90° are no values, so they equal none
    if numeric.equal_values(left, right):
        return True
    pair = _fraction(left), _fraction(right)
    if pair[0] is None or pair[1] is None:
        return False
    if rounding_matches(gold, other, pair[0], pair[1], profile):
        return True
    return _has_bare_log(gold) != _has_bare_log(other) and _numerically(
        _decadic(gold), _decadic(other), profile
    )


def _has_bare_log(node: Node) -> bool:
    return any(n.op == "func" and n.value == "log" and len(n.args) == 1 for n in walk(node))


def _decadic(node: Node) -> Node:
    """`log` without a base read as the logarithm to base 10."""
    if node.op == "func" and node.value == "log" and len(node.args) == 1:
        return Node("func", (_decadic(node.args[0]),), "lg")
    return replace(node, args=tuple(_decadic(arg) for arg in node.args)) if node.args else node


def _may_cancel(gold: Node, other: Node) -> bool:
    """A symbol on one side only can cancel when the same side also holds it twice."""
    for tree, missing in (
        (gold, symbols(gold) - symbols(other)),
        (other, symbols(other) - symbols(gold)),
    ):
        names = [n.value for n in walk(tree) if n.op == "sym"]
        if any(names.count(name) > 1 for name in missing):
            return True
    return False


def _fraction(value: Any) -> Fraction | None:
    if value.imag or abs(value) > 10**60:
        return None
    ctx = numeric.context()
    return Fraction(int(ctx.nint(value.real * ctx.mpf(10) ** 45)), 10**45)


def _same_shape(gold: Node, other: Node, profile: Profile) -> bool:
    """Trees with parts that have no value (f(x), words inside) match part by part only."""
    if gold.op != other.op or len(gold.args) != len(other.args) or gold.value != other.value:
        return False
    return all(equal(a, b, profile) for a, b in zip(gold.args, other.args, strict=True))


def within_limits(node: Node) -> bool:
    """Whether a constant can be evaluated at all; used to tell whose fault a LimitError is."""
    if symbols(node) or exact_value(node) is not None:
        return True
    try:
        numeric.constants(node, node)
    except LimitError:
        return False
    except (numeric.OutsideDomainError, UndecidedError):
        return True
    return True
