"""Equations and inequalities: the same line or circle is written up to a factor."""

from __future__ import annotations

from adora_mm.verify import numeric
from adora_mm.verify.containers import in_order
from adora_mm.verify.profiles import Profile
from adora_mm.verify.syntax import CONTAINERS, Node, symbols, walk

_ORDERS = frozenset({"<", ">", "<=", ">="})


def same_relation(left: Node, right: Node, profile: Profile) -> bool:
    """Whether two relations hold for the same values.

    Equations agree when left - right is the same up to a constant factor, inequalities when the
    factor is positive and both are strict or both are not.
    """
    signs = str(left.value), str(right.value)
    ordered = _ORDERS.issuperset(signs)
    if ordered:
        if signs[0][1:] != signs[1][1:]:
            return False
        if signs[0][0] != signs[1][0]:
            right = Node("rel", right.args[::-1], left.value)
    elif signs[0] != signs[1]:
        return False
    if left == right:
        return True
    sides = [Node("add", (rel.args[0], Node("neg", (rel.args[1],)))) for rel in (left, right)]
    if any(n.op in CONTAINERS or n.op in ("call", "text") for side in sides for n in walk(side)):
        return in_order(left.args, right.args, profile)
    names = sorted(symbols(sides[0]) | symbols(sides[1]))
    if not names:
        return False
    if numeric.proportional(sides[0], sides[1], names, positive=ordered):
        return True
    cleared = [_without_denominators(side) for side in sides]
    return (
        not ordered
        and cleared != sides
        and numeric.proportional(cleared[0], cleared[1], names, positive=False)
    )


def _without_denominators(side: Node) -> Node:
    """`y - 6/x` times x: a letter below a fraction bar hides a polynomial equation."""
    found = {n.args[1] for n in walk(side) if n.op == "div" and symbols(n.args[1])}
    return Node("mul", (side, *sorted(found, key=repr))) if found else side
