"""DynaMath: variants of 501 seed questions; robust is who solves every variant of a seed.

Data: DynaMath/DynaMath (Zou et al., ICLR 2025), MIT; the published sample has ten variants of each
of 501 seeds. One variant is 501 problems.
Official protocol: https://github.com/DynaMath/DynaMath: JSON replies with a `short answer`; floats
within 0.001 of the gold, letters equal, texts by containment.
Metric: average accuracy over variants and worst-case accuracy (all variants of a seed right).
Breakdown: subject, level, answer type. The variants of a seed are one cluster.
Different here: a boxed answer instead of JSON (format failures are not maths failures); the
checker, then the official 0.001 for numbers; texts by value, not by containment ("not A" holds A).
"""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from adora_mm.types import Problem, Verdict
from data_prep.sources import dynamath as source
from evaluation.benchmarks.base import Benchmark
from evaluation.numbers import within_tolerance

TOLERANCE = Fraction(1, 1000)


def within_a_thousandth(problem: Problem, verdict: Verdict) -> Verdict:
    """The official tolerance of float answers."""
    if problem.metadata.get("published_type") not in ("float", "int"):
        return verdict
    return within_tolerance(problem.answer, verdict, [TOLERANCE])


BENCHMARKS = (
    Benchmark(
        name="dynamath",
        title="DynaMath",
        source="dynamath",
        split="",
        items=None,
        link="https://github.com/DynaMath/DynaMath",
        metric="average accuracy over variants, and worst case over the variants of a seed",
        categories=("subject", "level", "published_type"),
        cluster="seed",
        get=(
            "get dataset/ of github.com/DynaMath/DynaMath (one variant), or a folder of several "
            "such, then: adora prep dynamath --from FOLDER --out data/dynamath"
        ),
        relax=within_a_thousandth,
        annotations=partial(source.read, images=False),
    ),
)
