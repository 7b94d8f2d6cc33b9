"""GeoQA: Chinese middle-school geometry with a diagram and four choices.

Data: chen-judge/GeoQA (Chen et al., ACL findings 2021); test, 754 problems.
Official protocol: https://github.com/chen-judge/GeoQA: choice accuracy of a program solver.
Reports on vision-language models use several translated copies of different sizes.
Metric: accuracy. Breakdown: none published.
Different here: any data folder of GeoQA problems is taken (`data/geoqa`, split `test` when it has
splits); its manifest says which copy it was made from, and so does the result.
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
        get="adora prep geoqa --from FOLDER --split test --out data/geoqa",
    ),
)
