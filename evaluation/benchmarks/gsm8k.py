"""GSM8K: grade-school word problems in text.

Data: openai/grade-school-math (Cobbe et al. 2021), MIT, the test split, 1,319 problems.
Official protocol: https://github.com/openai/grade-school-math: the number after `####` must equal
the gold's, without commas.
Metric: accuracy.
Different here: the answer is asked in a box and compared by value.
"""

from __future__ import annotations

from evaluation.benchmarks.base import Benchmark

BENCHMARKS = (
    Benchmark(
        name="gsm8k",
        title="GSM8K (test)",
        source="gsm8k",
        split="test",
        items=1319,
        link="https://github.com/openai/grade-school-math",
        metric="accuracy",
        get="get test.jsonl of github.com/openai/grade-school-math, then: "
        "adora prep gsm8k --from test.jsonl --split test --out data/gsm8k",
    ),
)
