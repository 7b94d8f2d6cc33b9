"""MATH-500: 500 competition problems in text.

Data: the 500 test problems of MATH (Hendrycks et al. 2021) chosen by Lightman et al. 2023, MIT.
Official protocol: https://github.com/openai/prm800k, `prm800k/grading`: string normalisation, then
SymPy equality.
Metric: accuracy. Breakdown: subject, level.
Different here: the project's checker decides equality.
"""

from __future__ import annotations

from evaluation.benchmarks.base import Benchmark

BENCHMARKS = (
    Benchmark(
        name="math500",
        title="MATH-500",
        source="math500",
        split="test",
        items=500,
        link="https://github.com/openai/prm800k",
        metric="accuracy",
        categories=("subject", "level"),
        get="get the 500 problems as math500.jsonl, then: "
        "adora prep math500 --from math500.jsonl --out data/math500",
    ),
)
