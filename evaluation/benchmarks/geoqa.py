"""GeoQA: Chinese middle-school geometry with a diagram and four choices.

Data: chen-judge/GeoQA (Chen et al., ACL findings 2021); test, 754 problems.
Official protocol: https://github.com/chen-judge/GeoQA: choice accuracy of a program solver.
Reports on vision-language models use several translated copies of different sizes.
Metric: accuracy. Breakdown: none published.
Different here: any data folder of GeoQA problems with a split `test` is taken (`data/geoqa`); its
manifest says which copy it was made from, and so does the result. The published folder has its
splits in pickles, which are not read: the test problems must lie in folders called `test`.
"""

from __future__ import annotations

from evaluation.benchmarks.base import LETTER, Benchmark

BENCHMARKS = (
    Benchmark(
        name="geoqa",
        title="GeoQA (test)",
        source="geoqa",
        split="test",
        items=754,
        link="https://github.com/chen-judge/GeoQA",
        metric="accuracy",
        prompt=LETTER,
        get=(
            "put the test problems into json/test and image/test of a folder, then: "
            "adora prep geoqa --from FOLDER --split test --out data/geoqa"
        ),
    ),
)
