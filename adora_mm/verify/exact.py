"""The exact tier: polynomials over the rationals, square roots, i, pi, e and free symbols.

A value is a dict from monomials to rational coefficients. A monomial is `(radicand, imaginary,
powers)`: a squarefree integer under one root, 0 or 1 factors of i, and sorted powers of the other
atoms. The form is canonical (roots of different squarefree integers are independent over the
rationals, pi is transcendental), so two values are equal exactly when their dicts are. What does
not fit raises NotExactError and goes to the numeric tier; what is too large raises LimitError.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil, comb, factorial, floor, gcd, isqrt

from adora_mm.verify.limits import (
    MAX_BITS,
    MAX_EXPAND,
    MAX_FACTORIAL,
    MAX_TERMS,
    LimitError,
    NotExactError,
    spend,
)
from adora_mm.verify.syntax import Node

Monomial = tuple[int, int, tuple[tuple[str, int], ...]]
Exact = dict[Monomial, Fraction]

ONE: Monomial = (1, 0, ())
PI_ATOM, E_ATOM = "\u03c0", "\u212f"
_CONSTANTS: dict[str, Exact] = {
    "pi": {(1, 0, ((PI_ATOM, 1),)): Fraction(1)},
    "e": {(1, 0, ((E_ATOM, 1),)): Fraction(1)},
    "i": {(1, 1, ()): Fraction(1)},
}
_PRIMES = tuple(p for p in range(2, 1000) if all(p % q for q in range(2, isqrt(p) + 1)))
_COMPLETE = 10**9
"""Below this, trial division by the primes under 1000 finds every square factor."""


def evaluate(node: Node) -> Exact:
    """The exact value of a scalar tree; raises NotExactError or LimitError.

    Degree marks count as plain numbers here; trigonometric functions of them are not exact forms.
    """
    rule = _RULES.get(node.op)
    if rule is None:
        raise NotExactError(node.op)
    spend(1)
    return rule(node)


def rational(value: Exact) -> Fraction | None:
    """The value as a rational number, or None."""
    if not value:
        return Fraction(0)
    return value[ONE] if len(value) == 1 and ONE in value else None


def is_constant(value: Exact) -> bool:
    """Whether no free symbol occurs."""
    return all(name in (PI_ATOM, E_ATOM) for _, _, powers in value for name, _ in powers)


def scalar(value: Fraction) -> Exact:
    return {ONE: value} if value else {}


def add(left: Exact, right: Exact) -> Exact:
    total = dict(left)
    for mono, coefficient in right.items():
        merged = total.get(mono, 0) + coefficient
        if merged:
            total[mono] = merged
        else:
            del total[mono]
    return _bounded(total)


def scale(value: Exact, factor: Fraction) -> Exact:
    return {mono: c * factor for mono, c in value.items()} if factor else {}


def multiply(left: Exact, right: Exact) -> Exact:
    if len(left) * len(right) > MAX_TERMS * 40:
        raise LimitError("a product has too many terms")
    spend(len(left) * len(right) * (1 + (_bits(left) + _bits(right)) // 256))
    total: Exact = {}
    for mono_a, a in left.items():
        for mono_b, b in right.items():
            factor, mono = _times(mono_a, mono_b)
            merged = total.get(mono, 0) + a * b * factor
            if merged:
                total[mono] = merged
            else:
                total.pop(mono, None)
    return _bounded(total)


def _bits(value: Exact) -> int:
    return max(
        (c.numerator.bit_length() + c.denominator.bit_length() for c in value.values()), default=0
    )


def _bounded(value: Exact) -> Exact:
    if len(value) > MAX_TERMS:
        raise LimitError(f"an expression has more than {MAX_TERMS} terms")
    for c in value.values():
        if c.numerator.bit_length() > MAX_BITS or c.denominator.bit_length() > MAX_BITS:
            raise LimitError("a number is too large")
    return value


def _times(left: Monomial, right: Monomial) -> tuple[int, Monomial]:
    factor, common = 1, gcd(left[0], right[0])
    radicand = (left[0] // common) * (right[0] // common)
    factor *= common
    imaginary = left[1] + right[1]
    if imaginary == 2:
        factor, imaginary = -factor, 0
    if not left[2] or not right[2]:
        return factor, (radicand, imaginary, left[2] or right[2])
    powers = dict(left[2])
    for name, exponent in right[2]:
        powers[name] = powers.get(name, 0) + exponent
    return factor, (radicand, imaginary, tuple(sorted((n, e) for n, e in powers.items() if e)))


def invert(value: Exact) -> Exact:
    """1/value for one term, or for two terms a + b*sqrt(n) or a + b*i by their conjugate."""
    if len(value) == 1:
        (((radicand, imaginary, powers), c),) = value.items()
        flipped = tuple((name, -exponent) for name, exponent in powers)
        return {(radicand, imaginary, flipped): (-1 if imaginary else 1) / (c * radicand)}
    if len(value) == 2 and not any(powers for _, _, powers in value):
        (first, a), (second, b) = value.items()
        conjugate = {first: a, second: -b}
        norm = multiply(value, conjugate)
        if len(norm) == 1:
            return multiply(conjugate, invert(norm))
    raise NotExactError("a quotient by a sum")


def power(base: Exact, exponent: int) -> Exact:
    """An integer power, with its size checked before it is computed."""
    if exponent < 0:
        if not base:
            raise NotExactError("division by zero")
        return power(invert(base), -exponent)
    if not base:
        return {} if exponent else {ONE: Fraction(1)}
    bits = max(max(c.numerator.bit_length(), c.denominator.bit_length()) for c in base.values())
    radical_bits = max(mono[0].bit_length() for mono in base)
    if exponent * (bits + radical_bits) > 2 * MAX_BITS:
        if len(base) == 1 and (value := rational(base)) is not None and abs(value) == 1:
            return {ONE: value if exponent % 2 else Fraction(1)}
        if len(base) > 1 or bits > 1 or exponent > 10**9:
            raise LimitError("a power is too large")
    if len(base) > 1 and exponent > MAX_EXPAND:
        raise NotExactError("a high power of a sum")
    if len(base) == 1 and ONE in base:
        return {ONE: base[ONE] ** exponent}
    result: Exact = {ONE: Fraction(1)}
    square = base
    while exponent:
        if exponent & 1:
            result = multiply(result, square)
        exponent >>= 1
        if exponent:
            square = multiply(square, square)
    return result


def square_root(value: Fraction) -> Exact:
    """sqrt(value) = k * sqrt(n) with squarefree n; i for negative values."""
    if value < 0:
        return multiply(square_root(-value), _CONSTANTS["i"])
    if not value:
        return {}
    outside, inside = _split_squares(value.numerator * value.denominator)
    return {(inside, 0, ()): Fraction(outside, value.denominator)}


def _split_squares(n: int) -> tuple[int, int]:
    root = isqrt(n)
    if root * root == n:
        return root, 1
    outside, inside = 1, 1
    for p in _PRIMES:
        if p * p > n:
            break
        while n % (p * p) == 0:
            n //= p * p
            outside *= p
        if n % p == 0:
            n //= p
            inside *= p
    root = isqrt(n)
    if root * root == n:
        return outside * root, inside
    if n >= _COMPLETE:
        raise NotExactError("a radicand too large to reduce")
    return outside, inside * n


def integer_root(value: Fraction, degree: int) -> Exact:
    """The real root of a rational number if it is rational."""
    if degree == 2:
        return square_root(value)
    if value < 0 and degree % 2 == 0:
        raise NotExactError("an even root of a negative number")
    parts = [_exact_root(abs(part), degree) for part in (value.numerator, value.denominator)]
    return scalar(Fraction(parts[0] if value >= 0 else -parts[0], parts[1]))


def _exact_root(n: int, degree: int) -> int:
    if n < 2:
        return n
    if degree > n.bit_length():
        raise NotExactError("an irrational root")
    root = round(n ** (1 / degree)) if n.bit_length() < 1000 else 0
    for candidate in (root - 1, root, root + 1):
        if candidate > 0 and candidate**degree == n:
            return candidate
    raise NotExactError("an irrational root")


# -- rules of the node kinds ------------------------------------------------------------------
def _number(node: Node) -> Exact:
    assert isinstance(node.value, Fraction)
    return {ONE: node.value} if node.value else {}


def _constant(node: Node) -> Exact:
    if node.value not in _CONSTANTS:
        raise NotExactError("infinity")
    return _CONSTANTS[str(node.value)]


def _sum(node: Node) -> Exact:
    total: Exact = {}
    for arg in node.args:
        total = add(total, evaluate(arg))
    return total


def _product(node: Node) -> Exact:
    total = evaluate(node.args[0])
    for arg in node.args[1:]:
        total = multiply(total, evaluate(arg))
    return total


def _quotient(node: Node) -> Exact:
    top, bottom = evaluate(node.args[0]), evaluate(node.args[1])
    if not bottom:
        raise NotExactError("division by zero")
    return multiply(top, invert(bottom))


def _power(node: Node) -> Exact:
    exponent = rational(evaluate(node.args[1]))
    if exponent is None:
        raise NotExactError("a variable exponent")
    base = evaluate(node.args[0])
    if exponent.denominator == 1:
        return power(base, int(exponent))
    value = rational(base)
    if value is None or exponent.denominator > 64 or value < 0:
        raise NotExactError("a fractional power of an expression")
    return power(integer_root(value, exponent.denominator), exponent.numerator)


def _root(node: Node) -> Exact:
    degree, value = rational(evaluate(node.args[1])), rational(evaluate(node.args[0]))
    if degree is None or value is None or degree.denominator != 1 or not 2 <= degree <= 64:
        raise NotExactError("a root of an expression")
    return integer_root(value, int(degree))


def _integer(node: Node, largest: int) -> int:
    value = rational(evaluate(node))
    if value is None or value.denominator != 1:
        raise NotExactError("not an integer")
    if not 0 <= value <= largest:
        raise (LimitError if value > largest else NotExactError)("outside the exact range")
    return int(value)


def _factorial(node: Node) -> Exact:
    return scalar(Fraction(factorial(_integer(node.args[0], MAX_FACTORIAL))))


def _function(node: Node) -> Exact:
    if node.value == "binom":
        top = _integer(node.args[0], MAX_FACTORIAL)
        return scalar(Fraction(comb(top, _integer(node.args[1], MAX_FACTORIAL))))
    if node.value in ("abs", "floor", "ceil"):
        value = rational(evaluate(node.args[0]))
        if value is None:
            raise NotExactError(str(node.value))
        if node.value == "abs":
            return scalar(abs(value))
        return scalar(Fraction(floor(value) if node.value == "floor" else ceil(value)))
    raise NotExactError(str(node.value))


_RULES: dict[str, Callable[[Node], Exact]] = {
    "num": _number,
    "const": _constant,
    "sym": lambda node: {(1, 0, ((str(node.value), 1),)): Fraction(1)},
    "add": _sum,
    "mul": _product,
    "neg": lambda node: scale(evaluate(node.args[0]), Fraction(-1)),
    "div": _quotient,
    "pow": _power,
    "root": _root,
    "deg": lambda node: evaluate(node.args[0]),
    "percent": lambda node: scale(evaluate(node.args[0]), Fraction(1, 100)),
    "fact": _factorial,
    "func": _function,
}

_SCALE = 10**60
_PI_60 = Fraction(3141592653589793238462643383279502884197169399375105820974944, 10**60)
_E_60 = Fraction(2718281828459045235360287471352662497757247093699959574966968, 10**60)


def approximate(value: Exact) -> Fraction | None:
    """A real constant to about 50 digits as a rational; None with symbols or an imaginary part."""
    total = Fraction(0)
    for (radicand, imaginary, powers), coefficient in value.items():
        if imaginary:
            return None
        term = coefficient
        for name, exponent in powers:
            if name not in (PI_ATOM, E_ATOM) or abs(exponent) > 40:
                return None
            term *= (_PI_60 if name == PI_ATOM else _E_60) ** exponent
        if radicand != 1:
            term *= Fraction(isqrt(radicand * _SCALE**2), _SCALE)
        total += term
    return total
