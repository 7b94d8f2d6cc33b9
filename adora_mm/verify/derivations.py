"""Answers that show their last steps: `c^2 = 25, c = 5` answers 5.

Only equations in the one letter that the last member gives count as steps, and its value has to
satisfy each of them; otherwise the answer stays a list of several members.
"""

from __future__ import annotations

from adora_mm.verify import exact, numeric
from adora_mm.verify.items import Item
from adora_mm.verify.limits import LimitError, NotExactError, UndecidedError
from adora_mm.verify.syntax import Node, substituted, symbol, symbols, walk


def follows(items: list[Item]) -> bool:
    """Whether the last member is the value of a letter that all members before it are about."""
    last = items[-1]
    if last.label is None or len(last.chain) != 1 or symbols(last.chain[0]):
        return False
    for item in items[:-1]:
        relation = item.relation
        if relation is None or relation.value != "=":
            return False
        if symbols(relation) != {last.label} or not _holds(relation, last.label, last.chain[0]):
            return False
    return True


def _holds(relation: Node, name: str, value: Node) -> bool:
    sides = [substituted(side, {symbol(name): value}) for side in relation.args]
    if any(n.op in ("big", "pm", "text") for side in sides for n in walk(side)):
        return False
    try:
        try:
            return exact.evaluate(sides[0]) == exact.evaluate(sides[1])
        except NotExactError:
            return numeric.equal_values(*numeric.constants(sides[0], sides[1]))
    except (LimitError, UndecidedError, numeric.OutsideDomainError):
        return False
