"""The last tier, only in workers: sympy on trees that were already parsed and bounded.

It evaluates sums, products, integrals and limits that an answer left unevaluated, and compares what
the numeric tier could not. sympy gets built objects, never strings. A comparison that it cannot
settle is not equal; a comparison that takes too long is the pool's to kill.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from adora_mm.verify.limits import UndecidedError
from adora_mm.verify.syntax import Node

MAX_SUM_TERMS = 10_000


def symbolically_equal(gold: Node, other: Node) -> bool:
    """Whether sympy can show that two scalar trees are equal."""
    import sympy

    left, right = _convert(gold), _convert(other)
    if not isinstance(left, sympy.Expr) or not isinstance(right, sympy.Expr):
        return bool(left == right)
    difference = (left - right).doit()
    if difference.is_zero:
        return True
    if difference.is_number:
        return _is_zero_number(difference)
    return bool(sympy.simplify(difference) == 0)


def _is_zero_number(value: Any) -> bool:
    import sympy

    approximate = sympy.N(value, 40)
    if approximate.is_finite and abs(approximate) > sympy.Float(10) ** -30:
        return False
    return bool(sympy.simplify(value) == 0) or bool(approximate.is_finite)


def _convert(node: Node) -> Any:
    rule = _RULES.get(node.op)
    if rule is None:
        raise UndecidedError(f"no symbolic form for {node.op}")
    return rule(node)


def _args(node: Node) -> list[Any]:
    return [_convert(arg) for arg in node.args]


def _number(node: Node) -> Any:
    import sympy

    assert isinstance(node.value, Fraction)
    return sympy.Rational(node.value.numerator, node.value.denominator)


def _constant(node: Node) -> Any:
    import sympy

    return {"pi": sympy.pi, "e": sympy.E, "i": sympy.I, "inf": sympy.oo}[str(node.value)]


def _symbol(node: Node) -> Any:
    import sympy

    return sympy.Symbol(str(node.value), real=True)


def _combine(name: str) -> Any:
    def build(node: Node) -> Any:
        import sympy

        args = _args(node)
        if name == "neg":
            return -args[0]
        if name == "div":
            return args[0] / args[1]
        if name == "root":
            return sympy.real_root(args[0], args[1]) if args[1] != 2 else sympy.sqrt(args[0])
        return {"add": sympy.Add, "mul": sympy.Mul, "pow": sympy.Pow, "fact": sympy.factorial}[
            name
        ](*args)

    return build


def _function(node: Node) -> Any:
    import sympy

    name, args = str(node.value), _args(node)
    if name in ("log", "ln", "lg"):
        base = args[1] if len(args) > 1 else (10 if name == "lg" else None)
        return sympy.log(args[0]) if base is None else sympy.log(args[0], base)
    table = {
        "abs": sympy.Abs, "floor": sympy.floor, "ceil": sympy.ceiling, "binom": sympy.binomial,
        "exp": sympy.exp, "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan,
        "arccot": sympy.acot, "max": sympy.Max, "min": sympy.Min, "gcd": sympy.gcd,
        "lcm": sympy.lcm, "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "cot": sympy.cot,
        "sec": sympy.sec, "csc": sympy.csc, "sinh": sympy.sinh, "cosh": sympy.cosh,
        "tanh": sympy.tanh, "coth": sympy.coth,
    }  # fmt: skip
    if name not in table:
        raise UndecidedError(f"no symbolic form for {name}")
    return table[name](*args)


def _unevaluated(node: Node) -> Any:
    import sympy

    bounds, body = node.args[:-1], node.args[-1]
    if node.value == "int":
        integrand, variable = _split_differential(body)
        limits = [_convert(bound) for bound in bounds]
        return sympy.Integral(
            _convert(integrand), (sympy.Symbol(variable, real=True), *limits)
        ).doit()
    if not bounds or bounds[0].op != "rel":
        raise UndecidedError("a sum or limit without a variable")
    variable, start = _symbol(bounds[0].args[0]), _convert(bounds[0].args[1])
    if node.value == "lim":
        return sympy.limit(_convert(body), variable, start)
    if len(bounds) != 2:
        raise UndecidedError("a sum without an upper bound")
    end = _convert(bounds[1])
    if end.is_number and start.is_number and end.is_finite and abs(end - start) > MAX_SUM_TERMS:
        raise UndecidedError("a sum of too many terms")
    build = sympy.Sum if node.value == "sum" else sympy.Product
    return build(_convert(body), (variable, start, end)).doit()


def _split_differential(body: Node) -> tuple[Node, str]:
    """`x^2 dx` as the integrand and its variable."""
    parts = list(body.args) if body.op == "mul" else [body]
    for at in range(len(parts) - 1):
        if parts[at].op == "sym" and parts[at].value == "d" and parts[at + 1].op == "sym":
            rest = parts[:at] + parts[at + 2 :]
            integrand = (
                Node("mul", tuple(rest))
                if len(rest) > 1
                else rest[0]
                if rest
                else Node("num", (), Fraction(1))
            )
            return integrand, str(parts[at + 1].value)
    raise UndecidedError("an integral without its differential")


_RULES: dict[str, Any] = {
    "num": _number, "const": _constant, "sym": _symbol, "func": _function, "big": _unevaluated,
    "add": _combine("add"), "mul": _combine("mul"), "neg": _combine("neg"), "div": _combine("div"),
    "pow": _combine("pow"), "root": _combine("root"), "fact": _combine("fact"),
    "deg": lambda node: _convert(node.args[0]),
    "percent": lambda node: _convert(node.args[0]) / 100,
}  # fmt: skip
