"""MATH-500: the 500 test problems of MATH that Lightman et al. held out, text only.

Source: Hendrycks et al. 2021 (arXiv 2103.03874), the split of Lightman et al. 2023 (2305.20050),
github.com/openai/prm800k; licence MIT.

Form: `math500.jsonl` (or `test.jsonl`) of
    {"problem": "Convert the point ...", "solution": "...", "answer": "\\\\left( 3, ...", "subject":
     "Precalculus", "level": 2, "unique_id": "test/precalculus/807.json"}
Checked against all 500.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adora_mm.types import Problem
from data_prep.sources.rows import BadRows, convert, jsonl_rows, parse_object, text
from data_prep.writer import Entry

LICENCE = "MIT"
FILES = ("math500.jsonl", "math_500.jsonl", "test.jsonl")


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
) -> Iterator[Entry]:
    """All entries, from the file or its folder; the only split is `test`.

    Raises ValueError when there is no such file, and for bad rows unless `bad` drops them.
    """
    if split not in (None, "test"):
        raise ValueError(f"MATH-500 has no split {split!r}; it is part of MATH's test split")
    files = [path] if path.is_file() else [path / name for name in FILES if (path / name).is_file()]
    if not files:
        raise ValueError(f"{path}: no MATH-500 there: expected {' or '.join(FILES)}")
    yield from convert(jsonl_rows(files[0]), _entry, limit=limit, bad=bad)


def _entry(line: bytes) -> Entry:
    record = parse_object(line)
    name = text(record, "unique_id").removeprefix("test/").removesuffix(".json")
    problem = Problem(
        id=f"math500-{name}",
        question=text(record, "problem"),
        answer=text(record, "answer"),
        source="math500",
        split="test",
        metadata={"subject": text(record, "subject"), "level": record.get("level")},
    )
    return Entry(problem=problem)
