"""Did held-out accuracy move? The answer in words that claim no more than the data carry.

The verdict compares the first with the last evaluation of a series; it never picks the best step,
which would count luck as progress. The interval of the difference follows Newcombe's hybrid score
method (Statistics in Medicine 17, 1998, method 10), which needs only the two Wilson intervals. It
treats both evaluations as independent; they usually share their problems, so it is rather wide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from adora_mm.metrics.scores import Difference, compare
from adora_mm.report.run_data import EvalRow, Outcomes
from adora_mm.report.wording import NOTHING, percent

Direction = Literal["rose", "fell", "unclear", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the top of the page says about held-out accuracy."""

    direction: Direction
    """`rose` and `fell` only when the difference excludes zero; `unknown`: nothing to compare."""
    headline: str
    text: str


def paired(
    first: EvalRow, last: EvalRow, outcomes: Outcomes, others: Outcomes
) -> Difference | None:
    """The difference of two evaluations problem by problem; None when they share none."""
    before = outcomes.get((first.step, *first.series), {})
    after = others.get((last.step, *last.series), {})
    if not before.keys() & after.keys():
        return None
    return compare(before, after, {name: name for name in before})


def in_pairs(difference: Difference) -> str:
    """A paired difference in words."""
    change, low, high = (
        f"{100 * value:+.1f}" for value in (difference.difference, difference.low, difference.high)
    )
    text = f"Problem by problem: {change} points, 95\u00a0% interval {low} to {high}"
    if difference.only_first is None:
        return f"{text}."
    return (
        f"{text}; {difference.only_second:,} became right, {difference.only_first:,} became wrong."
    )


def interval(row: EvalRow) -> str:
    """The recorded 95 % bounds of an evaluation, in percent."""
    if row.low is None or row.high is None:
        return "no interval"
    return f"{100 * row.low:.1f}{NOTHING}{100 * row.high:.1f}"


def difference_interval(before: EvalRow, after: EvalRow) -> tuple[float, float] | None:
    """95 % interval of `after - before` (fractions), or None without recorded bounds."""
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return None
    change = after.accuracy - before.accuracy
    down = math.hypot(after.accuracy - after.low, before.high - before.accuracy)
    up = math.hypot(after.high - after.accuracy, before.accuracy - before.low)
    return change - down, change + up


def intervals_overlap(before: EvalRow, after: EvalRow) -> bool:
    """Whether the recorded bounds share a value; True when bounds are missing."""
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return True
    return before.low <= after.high and after.low <= before.high


def headline_series(evals: tuple[EvalRow, ...]) -> list[EvalRow]:
    """The series the verdict speaks about: `val` before other names, greedy before sampled."""
    if not evals:
        return []
    chosen = min(evals, key=lambda row: (row.name != "val", row.mode != "greedy")).series
    return [row for row in evals if row.series == chosen]


def judge(evals: tuple[EvalRow, ...]) -> Verdict:
    """Say in words whether held-out accuracy moved between the first and the last evaluation."""
    rows = headline_series(evals)
    if not rows:
        return Verdict(
            direction="unknown",
            headline="No held-out evaluation recorded",
            text="This page cannot say whether the model improved: accuracy on training problems "
            "is no substitute for held-out problems.",
        )
    if len(rows) == 1:
        return Verdict(
            direction="unknown",
            headline=f"One evaluation so far: {percent(rows[0].accuracy)}",
            text=f"{_described(rows[0])}: {_measured(rows[0])}. "
            "There is nothing to compare it with yet.",
        )
    return _compare(rows[0], rows[-1])


def other_series(evals: tuple[EvalRow, ...]) -> list[str]:
    """One line for each series beside the headline's: first, last and their difference."""
    headline = headline_series(evals)
    lines = []
    for name in dict.fromkeys(row.series for row in evals):
        rows = [row for row in evals if row.series == name]
        if rows == headline:
            continue
        line = f"{_described(rows[0])}: {_measured(rows[0])}"
        if len(rows) > 1:
            line += f", {_measured(rows[-1])}. {_evidence(rows[0], rows[-1])}"
        lines.append(line)
    return lines


def _compare(first: EvalRow, last: EvalRow) -> Verdict:
    bounds = difference_interval(first, last)
    direction: Direction = "unclear"
    if bounds is not None and bounds[0] > 0:
        direction = "rose"
    elif bounds is not None and bounds[1] < 0:
        direction = "fell"
    if direction == "unclear":
        headline = "No clear change in held-out accuracy"
    else:
        weak = ", but the intervals overlap" if intervals_overlap(first, last) else ""
        headline = f"Held-out accuracy {direction}{weak}"
    late = "" if first.step == 0 else " (after training had begun)"
    text = (
        f"{_described(first)}: {_measured(first)}{late}, {_measured(last)}. "
        f"{_evidence(first, last)}"
    )
    if first.n != last.n:
        text += f" The number of answers differs: {first.n} before, {last.n} after."
    return Verdict(
        direction=direction,
        headline=f"{headline}: {percent(first.accuracy)} → {percent(last.accuracy)}",
        text=text,
    )


def _evidence(first: EvalRow, last: EvalRow) -> str:
    """The sentence on intervals: do they overlap, and does the difference exclude zero?"""
    bounds = difference_interval(first, last)
    if bounds is None:
        return "No intervals were recorded, so chance cannot be ruled out."
    low, high = (f"{100 * bound:+.1f}" for bound in bounds)
    change = 100 * (last.accuracy - first.accuracy)
    difference = f"difference {change:+.1f} points, 95\u00a0% interval {low} to {high}"
    if not intervals_overlap(first, last):
        return f"The two 95\u00a0% intervals do not overlap ({difference})."
    if bounds[0] > 0 or bounds[1] < 0:
        return (
            f"The two 95\u00a0% intervals overlap, yet the interval of the difference excludes "
            f"zero: weak evidence of a change ({difference})."
        )
    return (
        f"The two 95\u00a0% intervals overlap: these evaluations cannot tell the change "
        f"from chance ({difference})."
    )


def _described(row: EvalRow) -> str:
    details = [part for part in (row.mode, "" if row.n is None else f"n = {row.n:,}") if part]
    return row.name + (f" ({', '.join(details)})" if details else "")


def _measured(row: EvalRow) -> str:
    return f"{percent(row.accuracy)} ({interval(row)}) at step {row.step:,}"
