"""Literals: decimals, scientific notation, repeated decimals, mixed numbers and number bases."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from adora_mm.verify.limits import MAX_DIGITS, AnswerError, LimitError
from adora_mm.verify.syntax import Node, number

if TYPE_CHECKING:
    from adora_mm.verify.parser import Parser

_REPEATED = re.compile(r"(\d{1,12}?)\1{2,}\d{0,3}$")


def literal(text: str) -> Node:
    """A decimal or scientific literal as an exact rational that remembers its decimals."""
    mantissa, _, exponent = text.lower().partition("e")
    power = int(exponent) if exponent else 0
    if abs(power) > MAX_DIGITS:
        raise LimitError(f"an exponent of ten is beyond {MAX_DIGITS}")
    whole, _, fraction = mantissa.partition(".")
    digits = int((whole + fraction) or "0")
    shift = len(fraction) - power
    if not fraction and not power:
        return number(digits)
    value = Fraction(digits, 10**shift) if shift > 0 else Fraction(digits * 10**-shift)
    return number(value, max(shift, 0))


def repeating(text: str, parser: Parser) -> Node:
    r"""A literal with what may follow it: `0.1\overline{6}`, `0.\dot{3}`, `0.333...`."""
    if parser.at_op(".") and parser.peek().text in ("overline", "dot", "bar"):
        parser.advance()
        return _with_period(text + ".", parser)
    if parser.at_op(".") and parser.peek().text == "(" and parser.peek(3).text == ")":
        period = parser.peek(2).text
        if not period.isdigit():
            raise AnswerError("a repeated decimal needs digits in its brackets")
        parser.index += 4
        return _repeat(text, "", period)
    if "." in text and parser.at_cmd("overline", "dot", "bar"):
        return _with_period(text, parser)
    if "." in text and "e" not in text.lower() and _ellipsis(parser):
        whole, _, fraction = text.partition(".")
        match = _REPEATED.search(fraction)
        if match is None:
            raise AnswerError(f"cannot tell how {text}... goes on")
        return _repeat(whole, fraction[: match.start()], match.group(1))
    return literal(text)


def _ellipsis(parser: Parser) -> bool:
    if parser.at_cmd("ldots"):
        parser.advance()
        return True
    if all(parser.peek(k).text == "." for k in range(3)):
        parser.index += 3
        return True
    return False


def _with_period(text: str, parser: Parser) -> Node:
    period = ""
    while parser.at_cmd("overline", "dot", "bar"):
        command = parser.advance().text
        braced = parser.at_op("{")
        parser.index += braced
        token = parser.advance()
        if token.kind != "num" or not token.text.isdigit():
            raise AnswerError("a repeated decimal needs digits under its bar")
        if braced:
            parser.expect("}")
        period += token.text
        if command == "dot" and parser.token.kind == "num":
            between = parser.advance().text
            period += between if parser.at_cmd("dot") else ""
    whole, _, fraction = text.partition(".")
    return _repeat(whole, fraction, period)


def _repeat(whole: str, fraction: str, period: str) -> Node:
    scale = 10 ** len(fraction)
    tail = Fraction(int(period), (10 ** len(period) - 1) * scale)
    return number(Fraction(int((whole + fraction) or "0"), scale) + tail)


def mixed_part(left: Node, parser: Parser) -> Node | None:
    r"""`1\frac{4}{5}` and `1 4/5` after the whole part: a mixed number; None for a product.

    Only a plain integer before a proper fraction of two plain integers is mixed; anything else,
    such as `3\frac{\sqrt2}{2}` or `4\frac{8}{3}`, is a product.
    """
    if left.op != "num" or left.decimals or left.value != int(_fraction(left)):
        return None
    at, nodes, depth, tokens = parser.index, parser.nodes, parser.depth, list(parser.tokens)
    if parser.at_cmd("frac"):
        part = parser.factor()
    elif parser.token.kind == "num" and parser.peek().text == "/" and parser.peek(2).kind == "num":
        top, bottom = parser.token.text, parser.peek(2).text
        if not (top.isdigit() and bottom.isdigit()):
            raise AnswerError("two numbers without a sign between them")
        parser.index += 3
        part = parser.postfix(Node("div", (number(int(top)), number(int(bottom)))))
    else:
        return None
    mark = part.op if part.op in ("deg", "percent") else ""
    part = part.args[0] if mark else part
    if part.op == "div" and all(arg.op == "num" and not arg.decimals for arg in part.args):
        top_value, bottom_value = _fraction(part.args[0]), _fraction(part.args[1])
        if 0 < top_value < bottom_value and left.value != 0:
            mixed = Node("add", (left, part))
            return Node(mark, (mixed,)) if mark else mixed
    parser.index, parser.nodes, parser.depth, parser.tokens = at, nodes, depth, tokens
    return None


def _fraction(node: Node) -> Fraction:
    assert isinstance(node.value, Fraction)
    return node.value


def in_base(digits: Node, base: Node) -> Node:
    """`52_8`: digits in a stated base, kept with the base so that it can be compared."""
    if digits.decimals or base.op != "num":
        raise AnswerError("a subscript that is neither a base nor an index")
    radix, text = _fraction(base), str(_fraction(digits))
    if radix.denominator != 1 or not 2 <= radix <= 36:
        raise AnswerError("a number base must be between 2 and 36")
    if any(int(char) >= radix for char in text):
        raise AnswerError(f"a digit is too large for base {radix}")
    return Node("based", (digits, number(int(text, int(radix))), base))
