"""Data folders of this project's own making: generated, redrawn and variant problems.

Data: `synthetic` is the generator's test split (`adora prep synthetic`), `redrawn` are known
problems drawn anew, `variants` are several draws of the same problem; each is a data folder
(docs/data.md). Official protocol: none, these are ours.
Metric: accuracy; worst case over the variants of a problem where the metadata says `variant_of`.
Breakdown: family, difficulty, where the metadata has them.
"""

from __future__ import annotations

from evaluation.benchmarks.base import BOXED, Benchmark

BENCHMARKS = tuple(
    Benchmark(
        name=name,
        title=title,
        source="",
        split="test",
        items=None,
        link="docs/data.md",
        metric=metric,
        categories=("family", "difficulty"),
        prompt=BOXED,
        cluster=cluster,
        get=get,
    )
    for name, title, metric, cluster, get in (
        (
            "synthetic",
            "Generated geometry (test)",
            "accuracy",
            "",
            "adora prep synthetic --count test=300 --out data/synthetic",
        ),
        (
            "redrawn",
            "Redrawn problems (test)",
            "accuracy",
            "",
            "give a data folder of redrawn problems with --data",
        ),
        (
            "variants",
            "Variants of problems (test)",
            "average and worst case over the variants of a problem",
            "variant_of",
            "give a data folder whose metadata has variant_of with --data",
        ),
    )
)
