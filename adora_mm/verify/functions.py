"""Named functions and their arguments, with or without brackets, and products."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from adora_mm.verify import brackets
from adora_mm.verify.limits import AnswerError
from adora_mm.verify.numerals import mixed_part
from adora_mm.verify.syntax import CONTAINERS, Node, func, number
from adora_mm.verify.vocabulary import FUNCTIONS, INVERSES

if TYPE_CHECKING:
    from adora_mm.verify.parser import Parser


def multiply(left: Node, right: Node) -> Node:
    """A product, kept flat from the left; a number times a matrix goes into its entries."""
    if right.op == "matrix" and left.op not in CONTAINERS:
        rows = (tuple(multiply(left, entry) for entry in row.args) for row in right.args)
        return Node("matrix", tuple(Node("row", row) for row in rows))
    return Node("mul", (*left.args, right) if left.op == "mul" else (left, right))


def named(parser: Parser, name: str) -> Node:
    if name in ("abs", "floor", "ceil", "sqrt", "cbrt"):
        args = brackets.arguments(parser) if parser.at_op("(", "{") else (parser.factor(),)
        if len(args) != 1:
            raise AnswerError(f"{name} takes one argument")
        degree = {"sqrt": 2, "cbrt": 3}.get(name)
        return Node("root", (args[0], number(degree))) if degree else func(name, *args)
    return function(parser, FUNCTIONS[name])


def function(parser: Parser, name: str) -> Node:
    """A named function, with the conventions sin^2 x, sin^{-1} x and log_b x."""
    power: Node | None = None
    base: Node | None = None
    while parser.at_op("^", "_"):
        if parser.advance().text == "^":
            power = parser.exponent()
        else:
            base = parser.script()
    if power is not None and name in INVERSES and is_minus_one(power):
        name, power = INVERSES[name], None
    args = brackets.arguments(parser) if parser.at_op("(") else (open_argument(parser),)
    node = func("log", args[0], base) if base is not None else func(name, *args)
    return node if power is None else Node("pow", (node, power))


def open_argument(parser: Parser) -> Node:
    """`sin 2x cos x`: factors up to a sum, another function or a relation."""
    parser.enter()
    if parser.at_op("-"):
        parser.advance()
        node = Node("neg", (parser.factor(),))
    else:
        node = parser.factor()
    while parser.starts_factor() and not parser.at_function() and not parser.at_op("(", "[", "|"):
        fraction = mixed_part(node, parser)
        node = fraction if fraction is not None else multiply(node, parser.factor())
    if parser.at_op("/") and parser.peek().kind == "num" and node.op != "call":
        parser.advance()
        node = Node("div", (node, parser.factor()))
    parser.depth -= 1
    return node


def is_minus_one(node: Node) -> bool:
    return node.op == "neg" and node.args[0].value == Fraction(1)
