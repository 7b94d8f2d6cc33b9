"""MathVista: mathematical reasoning over charts, diagrams, tables and photographs.

Data: AI4Math/MathVista (Lu et al., ICLR 2024), CC BY-SA 4.0, testmini, 1,000 problems. Training on
it is forbidden; a training run refuses it.
Official protocol: https://github.com/lupantech/MathVista: GPT extracts the answer; a choice becomes
the most similar option by edit distance; integers are cut off, floats are rounded to `precision`.
Metric: accuracy. Breakdown: task, context, grade, language, question type, source.
Different here: no paid extractor, and no nearest option: an answer that names no option is wrong,
where the official rule always picks one (a guess right one time in four). Floats: the gold rounded
to `precision` decimals, as published. A decimal for an integer is not cut off: 4.9 is not 4.
"""

from __future__ import annotations

from adora_mm.types import Problem, Verdict
from evaluation.benchmarks.base import Benchmark
from evaluation.numbers import single_number


def rounded_to_precision(problem: Problem, verdict: Verdict) -> Verdict:
    """A float answer counts when it rounds to the gold at the published number of decimals."""
    precision = problem.metadata.get("precision")
    if verdict.outcome != "incorrect" or problem.metadata.get("published_type") != "float":
        return verdict
    if not isinstance(precision, int | float):
        return verdict
    gold, answer = single_number(problem.answer), single_number(verdict.extracted or "")
    if gold is None or answer is None or round(answer, int(precision)) != gold:
        return verdict
    return Verdict(
        outcome="correct",
        extracted=verdict.extracted,
        reason=f"rounds to the gold at the published {int(precision)} decimals",
    )


BENCHMARKS = (
    Benchmark(
        name="mathvista",
        title="MathVista (testmini)",
        source="mathvista",
        split="testmini",
        items=1000,
        link="https://github.com/lupantech/MathVista",
        metric="accuracy",
        categories=("task", "context", "grade", "language", "question_type", "source"),
        get=(
            "get testmini.json and images/ of AI4Math/MathVista in one folder, then: "
            "adora prep mathvista --from FOLDER --out data/mathvista"
        ),
        relax=rounded_to_precision,
        evaluation_only=True,
        without_images=True,
    ),
)
