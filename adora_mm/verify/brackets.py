"""Everything that encloses: brackets, bars, fractions, roots, matrices; the table of commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from adora_mm.verify.limits import MAX_ITEMS, AnswerError, LimitError
from adora_mm.verify.numerals import in_base
from adora_mm.verify.syntax import REALS, Node, func, number, symbol
from adora_mm.verify.tokens import Token
from adora_mm.verify.vectors import determinant

if TYPE_CHECKING:
    from adora_mm.verify.parser import Parser

_CLOSERS = {"(": ")", "[": "]", "{": "}"}


def members(parser: Parser) -> list[Node]:
    """Expressions separated by commas or semicolons, up to a closing sign."""
    found = [parser.expression()]
    while parser.at_op(",", ";"):
        parser.advance()
        if parser.at_op(")", "]", "\\}", "}"):
            break
        found.append(parser.expression())
        if len(found) > MAX_ITEMS:
            raise LimitError(f"a list has more than {MAX_ITEMS} members")
    return found


def arguments(parser: Parser) -> tuple[Node, ...]:
    """The bracketed arguments of a function."""
    opening = parser.advance().text
    bars, parser.bars = parser.bars, 0
    found = tuple(members(parser))
    parser.bars = bars
    parser.expect(_CLOSERS[opening])
    return found


def bracket(parser: Parser) -> Node:
    """A group, tuple, interval, list, set or absolute value."""
    opening = parser.advance().text
    if opening == "|":
        return _bars(parser)
    bars, parser.bars = parser.bars, 0
    parser.enter()
    node = _inside(parser, opening)
    parser.depth -= 1
    parser.bars = bars
    return node


def _inside(parser: Parser, opening: str) -> Node:
    closers = {"\\{": ("\\}",), "{": ("}",)}.get(opening, (")", "]"))
    if parser.at_op(*closers):
        parser.advance()
        return Node("set" if opening in ("\\{", "{") else "tuple")
    found = members(parser)
    if opening == "{" and parser.at_cmd("over", "choose"):
        command = parser.advance().text
        bottom = parser.expression()
        pair = (found[0], bottom)
        found = [Node("div", pair) if command == "over" else func("binom", *pair)]
    if parser.at_op(":") and opening == "(":
        parser.advance()
        found = [Node("ratio", (found[0], parser.expression()))]
    if not parser.at_op(*closers):
        raise AnswerError(f"a bracket {opening!r} is not closed")
    closing = parser.advance().text
    return _container(opening, closing, found)


def _container(opening: str, closing: str, found: list[Node]) -> Node:
    if opening == "\\{":
        return Node("set", tuple(found))
    if opening == "{":
        return found[0] if len(found) == 1 else Node("set", tuple(found))
    if opening + closing == "()":
        return found[0] if len(found) == 1 else Node("tuple", tuple(found))
    if opening + closing == "[]" and all(
        (n.op == "interval" and n.value == "[]") or n.op == "list" for n in found
    ):
        if len({len(n.args) for n in found}) == 1:
            return Node("matrix", tuple(Node("row", n.args) for n in found))
        raise AnswerError("the rows of a matrix differ in length")
    if len(found) == 2:
        return Node("interval", tuple(found), opening + closing)
    if len(found) == 1 and found[0].op == "matrix":
        return found[0]
    if opening + closing == "[]":
        return Node("list", tuple(found))
    raise AnswerError(f"the brackets {opening} and {closing} do not belong together")


def _bars(parser: Parser) -> Node:
    parser.bars += 1
    parser.enter()
    inner = parser.expression()
    parser.depth -= 1
    parser.expect("|")
    parser.bars -= 1
    return _determinant(inner) if inner.op == "matrix" else func("abs", inner)


def _determinant(matrix: Node) -> Node:
    return determinant([list(row.args) for row in matrix.args])


def _det(parser: Parser, name: str) -> Node:
    matrix = parser.factor()
    if matrix.op != "matrix":
        raise AnswerError("a determinant of something that is no matrix")
    return _determinant(matrix)


def transposed(node: Node) -> Node:
    """`[1, 2]^T` and the transpose of a matrix."""
    rows = [row.args for row in node.args] if node.op == "matrix" else [node.args]
    return Node("matrix", tuple(Node("row", column) for column in zip(*rows, strict=True)))


def subscript(parser: Parser, node: Node) -> Node:
    """`x_1` is a variable of its own, `52_8` a number in base 8; the sign `_` has been read."""
    if node.op == "num":
        return in_base(node, parser.script())
    if node.op == "list" and len(node.args) == 1:  # [F(x)]_0^1: an antiderivative between bounds
        bounds = [parser.script()]
        if parser.at_op("^"):
            parser.advance()
            bounds.append(parser.script())
        return Node("big", (*bounds, *node.args), "between")
    if node.op != "sym":
        raise AnswerError("an index on something that is neither a letter nor a number")
    if not parser.at_op("{"):
        return symbol(f"{node.value}_{parser.advance().text}")
    parser.advance()
    index = ""
    while not parser.at_op("}"):
        if parser.token.kind == "end" or parser.at_op("{"):
            raise AnswerError("an index is not closed")
        index += parser.advance().text
    parser.advance()
    return symbol(f"{node.value}_{index}")


def tex_argument(parser: Parser) -> Node:
    r"""One TeX argument: a braced group, or one token (`\frac43` is 4/3)."""
    token = parser.token
    if token.kind == "num" and len(token.text) > 1 and token.text.isdigit():
        parser.tokens[parser.index : parser.index + 1] = [
            Token("num", token.text[0], token.spaced),
            Token("num", token.text[1:], False),
        ]
        parser.advance()
        return number(int(token.text[0]))
    return parser.script()


def _fraction(parser: Parser, name: str) -> Node:
    top = tex_argument(parser)
    return Node("div", (top, tex_argument(parser)))


def _root(parser: Parser, name: str) -> Node:
    degree = number(2)
    if parser.at_op("["):
        parser.advance()
        degree = parser.expression()
        parser.expect("]")
    return Node("root", (parser.script(), degree))


def _binomial(parser: Parser, name: str) -> Node:
    top = tex_argument(parser)
    return func("binom", top, tex_argument(parser))


def _rounded(parser: Parser, name: str) -> Node:
    parser.enter()
    inner = parser.expression()
    parser.depth -= 1
    if not parser.at_cmd("r" + name[1:]):
        raise AnswerError(f"\\{name} is not closed")
    parser.advance()
    return func(name[1:], inner)


def _angle_brackets(parser: Parser, name: str) -> Node:
    found = members(parser)
    if not parser.at_cmd("rangle"):
        raise AnswerError("\\langle is not closed")
    parser.advance()
    return Node("tuple", tuple(found))


def _bar_over(parser: Parser, name: str) -> Node:
    r"""`\overline{AB}`, `\vec{v}`: the letters under the mark, as a product."""
    return parser.script()


def _matrix(parser: Parser, name: str) -> Node:
    kind = _environment(parser)
    if "matrix" not in kind and kind != "array":
        raise AnswerError(f"unknown environment {kind[:40]!r}")
    if kind == "array" and parser.at_op("{"):
        while not parser.at_op("}") and parser.token.kind != "end":
            parser.advance()
        parser.expect("}")
    rows: list[list[Node]] = [[]]
    count = 0
    while not parser.at_cmd("end"):
        if parser.token.kind == "end":
            raise AnswerError("a matrix is not closed")
        if parser.at_op("&"):
            parser.advance()
        elif parser.at_op("\\\\"):
            parser.advance()
            rows.append([])
        else:
            rows[-1].append(parser.expression())
            count += 1
        if count > MAX_ITEMS:
            raise LimitError(f"a matrix has more than {MAX_ITEMS} entries")
    parser.advance()
    if _environment(parser) != kind:
        raise AnswerError("the ends of a matrix do not match")
    rows = [row for row in rows if row]
    if not rows or len({len(row) for row in rows}) != 1:
        raise AnswerError("the rows of a matrix differ in length")
    if kind == "vmatrix":
        return determinant(rows)
    return Node("matrix", tuple(Node("row", tuple(row)) for row in rows))


def _environment(parser: Parser) -> str:
    parser.expect("{")
    token = parser.advance()
    parser.expect("}")
    return token.text


def _big(parser: Parser, name: str) -> Node:
    """A sum, product, integral or limit left unevaluated: the bounds that are given, the body."""
    bounds: list[Node] = []
    while parser.at_op("_", "^"):
        parser.advance()
        bounds.append(_bound(parser))
    return Node("big", (*bounds, parser.product()), name)


def _bound(parser: Parser) -> Node:
    if not parser.at_op("{"):
        return parser.script()
    parser.advance()
    node = parser.expression()
    if parser.at_op("=") or parser.at_cmd("to"):
        parser.advance()
        node = Node("rel", (node, parser.expression()), "=")
    parser.expect("}")
    return node


def _number_set(parser: Parser, name: str) -> Node:
    if parser.at_op("{"):
        parser.advance()
        letter = parser.advance().text
        parser.expect("}")
    else:
        letter = parser.advance().text
    return REALS if letter == "R" else Node("text", (), f"set {letter}")


COMMANDS: dict[str, Callable[[Parser, str], Node]] = {
    "frac": _fraction, "sqrt": _root, "binom": _binomial, "lfloor": _rounded, "lceil": _rounded,
    "langle": _angle_brackets, "overline": _bar_over, "overrightarrow": _bar_over, "vec": _bar_over,
    "bar": _bar_over, "hat": _bar_over, "widehat": _bar_over, "begin": _matrix, "sum": _big,
    "int": _big, "prod": _big, "lim": _big, "mathbb": _number_set, "det": _det,
    "mathcal": _bar_over,
}  # fmt: skip
STARTERS = frozenset(COMMANDS) | {"pi", "infty"}
"""Commands that can begin a factor, so that a product sign may be left out before them."""
