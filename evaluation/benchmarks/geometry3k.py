"""Geometry3K: high-school geometry with a diagram, free-form or with four choices.

Data: lupantech/InterGPS or the parquet files of hiyouga/geometry3k (Lu et al., ACL 2021), MIT, the
test split, 601 problems. `geometry3k` is free-form, `geometry3k_choices` shows the four options.
Official protocol: https://github.com/lupantech/InterGPS: choice accuracy; a solver without an
answer guesses. Papers on vision-language models report either form, often without saying which.
Metric: accuracy. Breakdown: goal and diagram type, where the original layout gives them.
Different here: the two forms are two benchmarks, and nothing is guessed.
"""

from __future__ import annotations

from evaluation.benchmarks.base import BOXED, LETTER, Benchmark

_GET = (
    "adora prep geometry3k --from hiyouga/geometry3k {words}--out data/{name} "
    "(or --from the folder of the original layout)"
)

BENCHMARKS = tuple(
    Benchmark(
        name=name,
        title=title,
        source="geometry3k",
        split="test",
        items=601,
        link="https://github.com/lupantech/InterGPS",
        metric="accuracy",
        categories=("goal", "graph"),
        prompt=prompt,
        choices=choices,
        options={"keep_choices": choices},
        get=_GET.replace("{words}", "" if choices else "--no-choices ").replace("{name}", name),
    )
    for name, title, choices, prompt in (
        ("geometry3k", "Geometry3K (test, free-form)", False, BOXED),
        ("geometry3k_choices", "Geometry3K (test, four choices)", True, LETTER),
    )
)
