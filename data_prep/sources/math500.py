"""MATH-500: the 500 test problems of MATH that Lightman et al. held out, text only.

Source: Hendrycks et al. 2021 (arXiv 2103.03874), the split of Lightman et al. 2023 (2305.20050),
github.com/openai/prm800k; licence MIT.

Form: `math500.jsonl`, or `test.jsonl` as the hub's `HuggingFaceH4/MATH-500` has it, of
    {"problem": "Convert the point ...", "solution": "...", "answer": "\\\\left( 3, ...", "subject":
     "Precalculus", "level": 2, "unique_id": "test/precalculus/807.json"}
Checked against all 500.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, table_rows
from data_prep.writer import Entry

FILES = ("math500.jsonl", "math_500.jsonl", "test.jsonl")


def find(path: Path, split: str | None) -> Found:
    files = [path] if path.is_file() else [path / name for name in FILES if (path / name).is_file()]
    if not files:
        raise ValueError(f"{path}: no MATH-500 there: expected {' or '.join(FILES)}")
    return table_rows(files[0]), _entry


SOURCE = Source(
    name="math500",
    title="MATH-500",
    find=find,
    splits=("test",),
    licence="MIT",
    summary="MATH-500, 500 of MATH's test problems, text only; for evaluation",
    needs="math500.jsonl, its folder, or the hub name",
    hub="HuggingFaceH4/MATH-500",
    evaluation_only=True,
)
read = SOURCE.read


def _entry(row: Any) -> Entry:
    record = as_record(row)
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
