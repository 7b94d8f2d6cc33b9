"""GSM8K: grade-school word problems with worked solutions, text only.

Source: Cobbe et al. 2021 (arXiv 2110.14168), github.com/openai/grade-school-math; licence MIT.
Splits: train 7,473, test 1,319.

Form: a table per split, `train.jsonl`, `gsm8k_train.jsonl` or the hub's `main/train-*.parquet`, of
    {"question": "Natalia sold clips to 48 ...", "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips
     in May.\\n...\\n#### 72"}
The gold answer is what follows `####`, without thousands separators (`1,080` -> `1080`). The worked
solution, without its calculator marks, goes to the metadata. Checked against both `.jsonl`
files; the parquet form against the dataset card only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import RowError, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import TABLES, as_record, split_rows
from data_prep.writer import Entry

SPLITS = ("train", "test")
_CALCULATOR = re.compile(r"<<[^>]*>>")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def find(path: Path, split: str | None) -> Found:
    """One split (default: all there are) of a table, or of the folder of both."""
    return split_rows(_files(path, split)), _entry


SOURCE = Source(
    name="gsm8k",
    title="GSM8K",
    find=find,
    splits=SPLITS,
    licence="MIT",
    summary="8,792 word problems, text only (train, test)",
    needs="train.jsonl or test.jsonl, the folder of both, or the hub name",
    hub="openai/gsm8k",
)
read = SOURCE.read


def _files(path: Path, split: str | None) -> list[tuple[str, Path]]:
    folder = path / "main" if (path / "main").is_dir() else path
    candidates = [path] if path.is_file() else sorted((*folder.glob("*"), *folder.glob("data/*")))
    found: list[tuple[str, Path]] = []
    for name in SPLITS if split is None else (split,):
        pattern = re.compile(rf"(gsm8k[-_.])?{name}(-\d+-of-\d+)?")
        found += [
            (name, file)
            for file in candidates
            if file.suffix in TABLES and pattern.fullmatch(file.stem)
        ]
    if not found:
        raise ValueError(
            f"{path}: no GSM8K there: expected train.jsonl, test.jsonl, gsm8k_train.jsonl or "
            "gsm8k_test.jsonl"
        )
    return found


def _entry(row: tuple[str, int, Path, Any]) -> Entry:
    split, number, _, line = row
    record = as_record(line)
    solution, mark, gold = text(record, "answer").rpartition("####")
    gold = gold.strip().replace(",", "")
    if not mark or not _NUMBER.fullmatch(gold):
        raise RowError("no final number", f"column 'answer' has no number after '####': {gold!r}")
    problem = Problem(
        id=f"gsm8k-{split}-{number}",
        question=text(record, "question"),
        answer=gold,
        source="gsm8k",
        split=split,
        answer_type="number",
        metadata={"solution": _CALCULATOR.sub("", solution).strip()},
    )
    return Entry(problem=problem)
