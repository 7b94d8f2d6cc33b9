"""GSM8K: grade-school word problems with worked solutions, text only.

Source: Cobbe et al. 2021 (arXiv 2110.14168), github.com/openai/grade-school-math; licence MIT.
Splits: train 7,473, test 1,319.

Form: a file per split, `train.jsonl` (or any name with the split in it), of
    {"question": "Natalia sold clips to 48 ...", "answer": "Natalia sold 48/2 = <<48/2=24>>24 clips
     in May.\\n...\\n#### 72"}
The gold answer is what follows `####`, without thousands separators (`1,080` -> `1080`). The worked
solution, without its calculator marks `<<...>>`, goes to the metadata. Checked against both files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from adora_mm.types import Problem
from data_prep.sources.rows import BadRows, RowError, convert, jsonl_rows, parse_object, text
from data_prep.writer import Entry

SPLITS = ("train", "test")
LICENCE = "MIT"
_CALCULATOR = re.compile(r"<<[^>]*>>")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
) -> Iterator[Entry]:
    """Entries of one split (default: all there are) from a `.jsonl` file or the folder of both.

    Raises ValueError when no file fits, and for bad rows unless `bad` drops them.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"GSM8K has no split {split!r}; its splits: {', '.join(SPLITS)}")
    rows = (
        (where, (name, number, line))
        for name, file in _files(path, split)
        for number, (where, line) in enumerate(jsonl_rows(file), start=1)
    )
    yield from convert(rows, _entry, limit=limit, bad=bad)


def _files(path: Path, split: str | None) -> list[tuple[str, Path]]:
    candidates = [path] if path.is_file() else sorted(path.glob("*.jsonl"))
    found: list[tuple[str, Path]] = []
    for name in SPLITS if split is None else (split,):
        pattern = re.compile(rf"(gsm8k[-_.])?{name}")
        found += [(name, file) for file in candidates if pattern.fullmatch(file.stem)]
    if not found:
        raise ValueError(
            f"{path}: no GSM8K there: expected train.jsonl, test.jsonl, gsm8k_train.jsonl or "
            "gsm8k_test.jsonl"
        )
    return found


def _entry(row: tuple[str, int, bytes]) -> Entry:
    split, number, line = row
    record = parse_object(line)
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
