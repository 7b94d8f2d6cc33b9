"""MathVista: mathematical reasoning over charts, diagrams, tables and photographs.

Data: AI4Math/MathVista (Lu et al., ICLR 2024), CC BY-SA 4.0, testmini, 1,000 problems. Training on
it is forbidden; a training run refuses it.
Official protocol: https://github.com/lupantech/MathVista: GPT extracts the answer; a choice becomes
the most similar option by edit distance; integers are cut off, floats are rounded to `precision`.
Metric: accuracy. Breakdown: task, context, grade, language, question type, source.
Different here: the checker reads the answer, and an extractor is optional (`--extractor-url`). No
nearest option: an answer that names no option is wrong, where the official rule always picks one (a
guess right one time in four). Floats round to the gold's own decimals, which are the published
`precision`. A decimal for an integer is not cut off: 4.9 is not 4.
"""

from __future__ import annotations

from functools import partial

from data_prep.sources import mathvista as source
from evaluation.benchmarks.base import Benchmark

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
        evaluation_only=True,
        annotations=partial(source.read, images=False),
    ),
)
