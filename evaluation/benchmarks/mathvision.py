"""MATH-Vision: competition problems with pictures.

Data: mathllm/MATH-V (Wang et al., NeurIPS 2024), MIT. `mathvision` is the test split, 3,040
problems; `mathvision_mini` is testmini, 304 of them (19 of each of the 16 subjects).
Official protocol: https://github.com/mathllm/MATH-V, `evaluation/evaluate.py`: the text after "the
answer is" or in the last box, normalised as a string, must equal the letter or the option's value.
Metric: accuracy. Breakdown: subject, level.
Different here: the answer is compared by value (`1/2` = `0.5`), because string rules reject right
answers; several letters are wrong. `--format mathv` scores published outputs (docs/evaluation.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from data_prep.sources import BadRows, jsonl
from data_prep.writer import Entry
from evaluation.benchmarks.base import Benchmark

_LINK = "https://github.com/mathllm/MATH-V"
_GET = (
    "get data/ and images/ of github.com/mathllm/MATH-V in one folder, then: "
    "adora prep mathvision --from FOLDER --split {split} --out data/{name}"
)


def read_annotations(path: Path, *, split: str, bad: BadRows) -> Iterator[Entry]:
    """Problems of `test.jsonl` or `testmini.jsonl` without pictures; ids as in the data folder."""
    columns = {"choices": "options"}
    return jsonl.read(path / f"{split}.jsonl", columns=columns, name="mathvision", bad=bad)


BENCHMARKS = tuple(
    Benchmark(
        name=name,
        title=f"MATH-Vision ({split})",
        source="mathvision",
        split=split,
        items=items,
        link=_LINK,
        metric="accuracy",
        categories=("subject", "level"),
        get=_GET.replace("{split}", split).replace("{name}", name),
        annotations=read_annotations,
    )
    for name, split, items in (
        ("mathvision", "test", 3040),
        ("mathvision_mini", "testmini", 304),
    )
)
