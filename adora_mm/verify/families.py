r"""Families of values with one integer: `k\pi`, `\frac{\pi}{4} + n\pi`, `30° + 360°k`.

Two arithmetic progressions over all integers are the same set when their steps agree up to sign and
their starts differ by a whole number of steps. Other families match letter by letter.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from adora_mm.verify import numeric
from adora_mm.verify.items import Item
from adora_mm.verify.syntax import Node, substituted, symbol, symbols

INTEGER = "\u2124"
"""The name that the free integer of either side gets, so that k and n are one letter."""
_LETTERS = frozenset("kmnlt")


def with_integer(items: list[Item], stated: str) -> list[Item]:
    """Members with their integer letter renamed; if it is not stated it must be the only letter."""
    letter = stated or _only_letter(items)
    if not letter:
        return items
    renamed = {symbol(letter): symbol(INTEGER)}
    return [
        replace(
            item,
            chain=tuple(substituted(node, renamed) for node in item.chain),
            other=None,
            family=True,
        )
        for item in items
    ]


def _only_letter(items: list[Item]) -> str:
    found = frozenset().union(*(symbols(node) for item in items for node in item.chain))
    return next(iter(found)) if len(found) == 1 and found <= _LETTERS else ""


def same_progression(left: Node, right: Node) -> bool:
    """Whether two trees in the one free integer run through the same values."""
    if symbols(left) != {INTEGER} or symbols(right) != {INTEGER}:
        return False
    try:
        (start, step), (other_start, other_step) = _progression(left), _progression(right)
    except numeric.OutsideDomainError:
        return False
    if not step or not other_step:
        return False
    turns = (start - other_start) / step
    whole = numeric.context().nint(turns.real)
    return numeric.equal_values(abs(step), abs(other_step)) and (
        numeric.equal_values(turns + 1, whole + 1) or numeric.equal_values(turns, whole)
    )


def _progression(node: Node) -> tuple[Any, Any]:
    at = [numeric.value_at(node, {INTEGER: Fraction(k)}) for k in (0, 1, 2, 5)]
    step = at[1] - at[0]
    straight = numeric.equal_values(at[2] - at[1], step) and numeric.equal_values(
        at[3] - at[0], 5 * step
    )
    return at[0], step if straight else 0
