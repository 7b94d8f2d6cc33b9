r"""MATH: 12,500 competition problems with worked solutions, text only.

Source: Hendrycks et al. 2021 (arXiv 2103.03874), github.com/hendrycks/math; licence MIT. Most
problems come from the AMC and AIME; the hub took the first copy down in January 2025 at the wish of
their owner. Splits: train 7,500, test 5,000. MATH-500 is part of test.

Form, either of
1. the original folders `train/algebra/1.json ... test/precalculus/999.json`, one object each:
       {"problem": "What is ... $x$?", "level": "Level 5", "type": "Algebra",
        "solution": "We have ... so $x = \\boxed{7}$."}
2. the same columns in tables, a folder for each subject (`algebra/train-00000-of-00001.parquet`,
   hub `EleutherAI/hendrycks_math`) or one for each split.

The gold is the last box of the solution, as in the authors' own scorer; a solution without one is a
bad row. Written from the dataset card and that scorer, tested on files of that schema; of real
rows, only the 500 solutions of MATH-500 were read: their last box is the answer stated there.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from adora_mm.verify.extract import boxes
from data_prep.sources.rows import RowError, kept, parse_object, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, split_files, split_rows
from data_prep.writer import Entry

SPLITS = ("train", "test")


def find(path: Path, split: str | None) -> Found:
    """One split (default: all) of a folder of either form, or of a table."""
    published = _published(path, split)
    if published:
        return ((str(file), (name, mark, file)) for name, mark, file in published), _from_file
    tables = split_files(path, dict(zip(SPLITS, SPLITS, strict=True)), split)
    if not tables:
        raise ValueError(
            f"{path}: no MATH there: expected train/algebra/1.json ..., or tables named after "
            "their split"
        )
    return split_rows(tables), _from_row


SOURCE = Source(
    name="math",
    title="MATH",
    find=find,
    splits=SPLITS,
    licence="MIT; problems by the MAA and others",
    summary="MATH, 12,500 competition problems, text only (train 7,500, test 5,000)",
    needs="the folder with train/ and test/, or the parquet files, or the hub name",
    hub="EleutherAI/hendrycks_math",
)
read = SOURCE.read


def _published(path: Path, split: str | None) -> list[tuple[str, str, Path]]:
    """(split, subject and number, file) of the original folders, in that order."""
    found: list[tuple[int, str, int, Path]] = []
    for file in path.glob("*/*/*.json"):
        name, subject = file.parts[-3:-1]
        if name in SPLITS and split in (None, name) and file.stem.isdecimal():
            found.append((SPLITS.index(name), subject, int(file.stem), file))
    return [(SPLITS[i], f"{subject}-{n}", file) for i, subject, n, file in sorted(found)]


def _from_file(row: tuple[str, str, Path]) -> Entry:
    split, mark, file = row
    return _entry(split, mark, parse_object(file.read_bytes()))


def _from_row(row: tuple[str, int, Path, Any]) -> Entry:
    split, number, _, columns = row
    return _entry(split, str(number), as_record(columns))


def _entry(split: str, mark: str, record: Mapping[str, Any]) -> Entry:
    if "unique_id" in record:
        raise RowError("MATH-500", "this is MATH-500, an evaluation set: `adora prep math500`")
    solution = text(record, "solution")
    found, _ = boxes(solution)
    if not found or not found[-1].strip():
        raise RowError("no boxed answer", "column 'solution' holds no boxed answer")
    problem = Problem(
        id=f"math-{split}-{mark}",
        question=text(record, "problem"),
        answer=found[-1].strip(),
        source="math",
        split=split,
        metadata=kept(record, "type", "level") | {"solution": solution},
    )
    return Entry(problem=problem)
