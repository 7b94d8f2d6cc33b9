"""Knights and Knaves: who of 2 to 8 people tells the truth; text only, with one right assignment.

Source: Xie et al. 2024 (arXiv 2410.23123), as prepared for the LLM recipe of ADORA
(github.com/ShadeCloak/ADORA, data/kk/instruct); licence Apache-2.0.
Splits: train 900 and test 100 for each number of people, 3 to 7.

Form: parquet files `3ppl_test.parquet` ... with the columns `quiz`, `names`, `solution` (true for a
knight) and `solution_text_format`:
    "(1) Amelia is a knight\\n(2) Penelope is a knight\\n(3) Evelyn is a knave"
That text is the gold answer. Names and solution go to the metadata for the checker of this set;
the published prompt (`prompt`) is not used. Checked against all 5,000 rows.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import RowError, text, texts
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, table_rows
from data_prep.writer import Entry

_NAME = re.compile(r"(\d+)ppl_(train|test)")


def find(path: Path, split: str | None) -> Found:
    """One split (default: test) for all numbers of people, of the folder or one file."""
    split = split or "test"
    files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
    named = [(match, file) for file in files if (match := _NAME.fullmatch(file.stem))]
    chosen = [(int(match[1]), file) for match, file in named if match[2] == split]
    if not chosen:
        raise ValueError(f"{path}: no Knights and Knaves there: expected 3ppl_{split}.parquet ...")
    rows = (
        (where, (people, split, number, row))
        for people, file in sorted(chosen)
        for number, (where, row) in enumerate(table_rows(file), start=1)
    )
    return rows, _entry


SOURCE = Source(
    name="kk",
    title="Knights and Knaves",
    find=find,
    splits=("train", "test"),
    licence="Apache-2.0",
    summary="Knights and Knaves, 3 to 7 people (train 4,500, test 500), text only",
    needs="the folder with 3ppl_test.parquet ...",
)
read = SOURCE.read


def _entry(row: tuple[int, str, int, Any]) -> Entry:
    people, split, number, columns = row
    record = as_record(columns)
    names, solution = texts(record, "names"), record.get("solution")
    if not isinstance(solution, list) or len(solution) != len(names) or not names:
        raise RowError("bad solution", f"{len(names)} names, but solution {solution!r}")
    problem = Problem(
        id=f"kk-{split}-{people}ppl-{number}",
        question=text(record, "quiz"),
        answer=text(record, "solution_text_format"),
        source="kk",
        split=split,
        answer_type="text",
        metadata={
            "people": people,
            "names": list(names),
            "knights": [bool(value) for value in solution],
        },
    )
    return Entry(problem=problem)
