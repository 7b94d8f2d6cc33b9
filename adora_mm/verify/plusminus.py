"""Plus-minus signs: an expression with them stands for several values."""

from __future__ import annotations

from dataclasses import replace

from adora_mm.verify.limits import MAX_PM, LimitError
from adora_mm.verify.syntax import Node, walk


def expand_pm(node: Node) -> list[Node]:
    """The values of an expression with plus-minus signs; mp moves against pm."""
    count = sum(n.op == "pm" for n in walk(node))
    if not count:
        return [node]
    if count > MAX_PM:
        raise LimitError(f"more than {MAX_PM} plus-minus signs")
    both = any(n.op == "pm" and n.value == "mp" for n in walk(node))
    if both or count == 1:
        return [_signed(node, 1), _signed(node, -1)]
    values = [node]
    while any(n.op == "pm" for n in walk(values[0])):
        values = [_first_signed(value, sign)[0] for value in values for sign in (1, -1)]
    return values


def _signed(node: Node, sign: int) -> Node:
    args = tuple(_signed(arg, sign) for arg in node.args)
    if node.op == "pm":
        return _plus(args, sign if node.value == "pm" else -sign)
    return replace(node, args=args) if args else node


def _plus(args: tuple[Node, ...], sign: int) -> Node:
    return Node("add", (args[0], args[1] if sign > 0 else Node("neg", (args[1],))))


def _first_signed(node: Node, sign: int) -> tuple[Node, bool]:
    if node.op == "pm":
        return _plus(node.args, sign), True
    args, done = [], False
    for arg in node.args:
        new, hit = (arg, False) if done else _first_signed(arg, sign)
        args.append(new)
        done = done or hit
    return (replace(node, args=tuple(args)) if done else node), done
