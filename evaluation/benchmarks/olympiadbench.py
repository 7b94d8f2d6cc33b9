r"""OlympiadBench: open-ended olympiad problems; the English maths part in text.

Data: OpenBMB/OlympiadBench (He et al., ACL 2024), Apache-2.0; `OE_TO_maths_en_COMP`, 674 problems
(675 in the copy that most text-model reports use).
Official protocol: https://github.com/OpenBMB/OlympiadBench, `eval/auto_scoring_judge.py`: SymPy
equality, and for numbers a tolerance per problem (`error`; 1e-8 where none is given).
Metric: accuracy. Breakdown: subfield, answer type.
Different here: the project's checker in place of SymPy on strings; its decimal rules are stricter
than none and looser than 1e-8 (`docs/checker.md`). The published tolerance is applied as published,
one per member where several are given.
"""

from __future__ import annotations

from fractions import Fraction

from adora_mm.types import Problem, Verdict
from evaluation.benchmarks.base import Benchmark
from evaluation.numbers import within_tolerance


def published_tolerance(problem: Problem, verdict: Verdict) -> Verdict:
    """Numbers within the tolerance that the problem publishes."""
    published = problem.metadata.get("tolerance")
    if not isinstance(published, str):
        return verdict
    try:
        allowed = [Fraction(part.strip()) for part in published.split(",") if part.strip()]
    except (ValueError, ZeroDivisionError):
        return verdict
    return within_tolerance(problem.answer, verdict, allowed) if allowed else verdict


BENCHMARKS = (
    Benchmark(
        name="olympiadbench",
        title="OlympiadBench (open-ended maths, English, text)",
        source="olympiadbench",
        split="",
        items=674,
        link="https://github.com/OpenBMB/OlympiadBench",
        metric="accuracy",
        categories=("subfield", "published_type"),
        get=(
            "get OE_TO_maths_en_COMP as .json or .jsonl, then: "
            "adora prep olympiadbench --from FILE --out data/olympiadbench"
        ),
        relax=published_tolerance,
    ),
)
