r"""Vectors as sums of unit vectors (`2\mathbf i + 3\mathbf j`), and determinants."""

from __future__ import annotations

from adora_mm.verify import exact
from adora_mm.verify.limits import AnswerError, LimitError, NotExactError
from adora_mm.verify.syntax import IMAGINARY, Node, number, substituted, symbol, symbols

_AXES = (IMAGINARY, symbol("j"), symbol("k"))
_MAX_ORDER = 4


def components(node: Node, size: int) -> tuple[Node, ...] | None:
    """The coefficients of i, j, k in a sum of unit vectors; None for anything else.

    Without a j or k the letter i is the imaginary unit and there is no vector.
    """
    if size > len(_AXES) or not symbols(node) or not symbols(node) <= {"j", "k"}:
        return None
    if size == 2 and "k" in symbols(node):
        return None
    parts = tuple(_at(node, *(int(axis == one) for axis in _AXES)) for one in _AXES[:size])
    weighted = zip(map(number, (2, 3, 5)), parts, strict=False)
    total = Node("add", tuple(Node("mul", pair) for pair in weighted))
    try:
        straight = exact.evaluate(_at(node, 2, 3, 5)) == exact.evaluate(total)
        homogeneous = not exact.evaluate(_at(node, 0, 0, 0))
    except (NotExactError, LimitError):
        return None
    return parts if straight and homogeneous else None


def _at(node: Node, i: int, j: int, k: int) -> Node:
    return substituted(node, dict(zip(_AXES, map(number, (i, j, k)), strict=True)))


def determinant(rows: list[list[Node]]) -> Node:
    """Expansion along the first row, as an expression of the entries; up to order four."""
    if len(rows) != len(rows[0]) or len(rows) > _MAX_ORDER:
        raise AnswerError("a determinant must be square and of order four at most")
    if len(rows) == 1:
        return rows[0][0]
    terms = []
    for column, entry in enumerate(rows[0]):
        minor = determinant([row[:column] + row[column + 1 :] for row in rows[1:]])
        product = Node("mul", (entry, minor))
        terms.append(Node("neg", (product,)) if column % 2 else product)
    return Node("add", tuple(terms))


def negated(node: Node) -> Node:
    """The opposite of a value; of a matrix entry by entry."""
    if node.op != "matrix":
        return Node("neg", (node,))
    rows = (tuple(Node("neg", (entry,)) for entry in row.args) for row in node.args)
    return Node("matrix", tuple(Node("row", row) for row in rows))
