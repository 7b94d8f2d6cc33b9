"""AIME 2024 and 2025: 30 problems each, answers are integers from 0 to 999; text only.

Data: the two papers (I and II) of a year as one `.jsonl`; the copies in circulation name the
columns `problem` and `answer`. The problems are the Mathematical Association of America's.
Official protocol: the exam's, one integer per problem; reports use avg@32 or avg@64 at temperature
0.6 to 1.0, because 30 problems make one point worth 3.3 %.
Metric: accuracy, avg@k and pass@k with `--samples k`.
Different here: the interval is bootstrapped over problems, so that it shows how wide it is.
"""

from __future__ import annotations

from evaluation.benchmarks.base import Benchmark

_GET = (
    "get the {year} problems as a .jsonl with problem and answer, then: adora prep aime{year} "
    "--from FILE --out data/{name}"
)

BENCHMARKS = tuple(
    Benchmark(
        name=name,
        title=f"AIME {year}",
        source=f"aime{year}",
        split="test",
        items=30,
        link="https://maa.org/maa-invitational-competitions/",
        metric="accuracy, avg@k",
        get=_GET.replace("{year}", year).replace("{name}", name),
    )
    for name, year in (("aime24", "2024"), ("aime25", "2025"))
)
