"""AMC: two different sets that are both called AMC, named apart here; text only.

Data: `amc83` are 83 problems of AMC 12 2022 and 2023 (AI-MO/aimo-validation-amc, used by the ADORA
and many RL papers); `amc40` are 40 problems of AMC 12 2023 (used by Qwen2.5-Math). Answers are
numbers, the options of the original contest were removed. A score on one says little about the
other. The problems are the Mathematical Association of America's.
Official protocol: none beyond exact answers; reports use avg@k.
Metric: accuracy, avg@k and pass@k with `--samples k`.
Different here: always named with its size.
"""

from __future__ import annotations

from evaluation.benchmarks.base import Benchmark

_GET = (
    "get the {items} problems as a .jsonl with problem and answer, then: adora prep {name} --from "
    "FILE --out data/{name}"
)

BENCHMARKS = tuple(
    Benchmark(
        name=name,
        title=title,
        source=name,
        split="test",
        items=items,
        link=link,
        metric="accuracy, avg@k",
        get=_GET.replace("{items}", str(items)).replace("{name}", name),
    )
    for name, title, items, link in (
        (
            "amc83",
            "AMC, the 83 of aimo-validation",
            83,
            "https://huggingface.co/datasets/AI-MO/aimo-validation-amc",
        ),
        (
            "amc40",
            "AMC 2023, the 40 of Qwen2.5-Math",
            40,
            "https://github.com/QwenLM/Qwen2.5-Math",
        ),
    )
)
