"""Plain numbers in answers, for benchmarks that publish a tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from adora_mm.types import Verdict
from adora_mm.verify import exact
from adora_mm.verify.answers import parse_answer
from adora_mm.verify.items import Item
from adora_mm.verify.limits import LimitError, NotExactError, start_work

ROUNDING = Fraction(101, 100)
"""A difference of exactly the tolerance must not fail on the last decimal that was written."""


def within_tolerance(gold: str, verdict: Verdict, allowed: Sequence[Fraction]) -> Verdict:
    """Overrule an `incorrect` when every number lies within its tolerance of the gold's, in order.

    One tolerance is that of all members. Another unit or another label than the gold's stays wrong.
    """
    if verdict.outcome != "incorrect" or not verdict.extracted:
        return verdict
    golds, answers = _members(gold), _members(verdict.extracted)
    if not golds or not answers or len(golds) != len(answers):
        return verdict
    limits = list(allowed) if len(allowed) == len(golds) else [allowed[0]] * len(golds)
    for (wanted, wanted_item), (value, item), limit in zip(golds, answers, limits, strict=True):
        if abs(wanted - value) > limit * ROUNDING or _contradict(wanted_item, item):
            return verdict
    return Verdict(
        outcome="correct",
        extracted=verdict.extracted,
        reason=f"within the published tolerance of {', '.join(f'{float(a):g}' for a in allowed)}",
    )


def _members(answer: str) -> list[tuple[Fraction, Item]] | None:
    """The numbers that an answer is (irrational ones to about 50 digits), each with its label and
    unit; None for anything else, for instance a formula with letters, or words."""
    start_work()
    found: list[tuple[Fraction, Item]] = []
    try:
        for item in parse_answer(answer).items:
            value = exact.evaluate(item.chain[-1]) if item.chain else None
            number = None if value is None else exact.rational(value)
            if number is None and value is not None:
                number = exact.approximate(value)
            if number is None:
                return None
            found.append((number, item))
    except (LimitError, NotExactError, ArithmeticError, RecursionError):
        return None
    return found


def _contradict(left: Item, right: Item) -> bool:
    units = left.unit is not None and right.unit is not None and left.unit != right.unit
    return units or (None not in (left.label, right.label) and left.label != right.label)
