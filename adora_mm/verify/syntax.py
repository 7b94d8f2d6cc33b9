"""The syntax tree of an answer: one small frozen node type for numbers, expressions and containers.

`op` says what a node is, `args` holds its children, `value` its literal:

    num(Fraction)  sym(name)  const(pi|e|i|inf)  text(words)
    add mul neg div pow root(radicand, degree) pm(a, b) deg(a) percent(a) fact(a)
    func(name; args)  call(name; args)  based(digits; base)
    tuple list set interval(value="[)"; low, high) union inter matrix(row, ...) row ratio
    rel(value="<" ...; left, right)  big(value="sum"; lower, upper, body)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from adora_mm.verify.limits import MAX_NODES, LimitError


@dataclass(frozen=True, slots=True)
class Node:
    """One node; positional fields because the parser makes thousands of them."""

    op: str
    args: tuple[Node, ...] = ()
    value: Fraction | str | None = None
    decimals: int = 0
    """Digits after the point of a decimal literal; 0 for everything else."""


PI = Node("const", (), "pi")
EULER = Node("const", (), "e")
IMAGINARY = Node("const", (), "i")
INFINITY = Node("const", (), "inf")
REALS = Node("interval", (Node("neg", (INFINITY,)), INFINITY), "()")
CONTAINERS = frozenset({"tuple", "list", "set", "interval", "union", "inter", "matrix", "ratio"})


def number(value: int | Fraction, decimals: int = 0) -> Node:
    """A literal; `decimals` remembers how many digits stood after the point."""
    return Node("num", (), Fraction(value), decimals)


def symbol(name: str) -> Node:
    """A free variable."""
    return Node("sym", (), name)


def func(name: str, *args: Node) -> Node:
    """A known function applied to its arguments."""
    return Node("func", args, name)


def walk(node: Node) -> list[Node]:
    """All nodes of a tree, without recursion; raises LimitError above MAX_NODES."""
    found = [node]
    index = 0
    while index < len(found):
        found.extend(found[index].args)
        index += 1
        if len(found) > MAX_NODES:
            raise LimitError(f"the answer has more than {MAX_NODES} parts")
    return found


def symbols(node: Node) -> frozenset[str]:
    """Names of the free variables of a tree."""
    return frozenset(str(n.value) for n in walk(node) if n.op == "sym")


def substituted(node: Node, leaves: Mapping[Node, Node]) -> Node:
    """The tree with other nodes in place of some of its leaves."""
    if not node.args:
        return leaves.get(node, node)
    return replace(node, args=tuple(substituted(arg, leaves) for arg in node.args))


def render(node: Node) -> str:
    """One line of prefix notation for people: `(div 1 2)`."""
    if node.op == "num":
        return str(node.value)
    if node.op in ("sym", "const", "text"):
        return str(node.value)
    head = node.op if node.value is None else f"{node.op}:{node.value}"
    return f"({head} {' '.join(render(arg) for arg in node.args)})"
