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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import BadRows, RowError, convert, text, texts
from data_prep.writer import Entry

SPLITS = ("train", "test")
LICENCE = "Apache-2.0"
_NAME = re.compile(r"(\d+)ppl_(train|test)")


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
) -> Iterator[Entry]:
    """Entries of one split (default: test) for all numbers of people, from the folder or one file.

    Raises ValueError when no file fits, and for bad rows unless `bad` drops them.
    """
    split = split or "test"
    if split not in SPLITS:
        raise ValueError(f"Knights and Knaves has no split {split!r}; its splits: train, test")
    files = [path] if path.is_file() else sorted(path.glob("*.parquet"))
    named = [(match, file) for file in files if (match := _NAME.fullmatch(file.stem))]
    chosen = [(int(match[1]), file) for match, file in named if match[2] == split]
    if not chosen:
        raise ValueError(f"{path}: no Knights and Knaves there: expected 3ppl_{split}.parquet ...")
    rows = (
        (f"{file}, row {number}", (people, split, number, row))
        for people, file in sorted(chosen)
        for number, row in enumerate(_parquet(file), start=1)
    )
    yield from convert(rows, _entry, limit=limit, bad=bad)


def _parquet(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ValueError("parquet files need pyarrow: pip install pyarrow") from error
    try:
        with parquet.ParquetFile(file) as table:
            for batch in table.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError(f"{file}: cannot be read as parquet ({error})") from error


def _entry(row: tuple[int, str, int, Mapping[str, Any]]) -> Entry:
    people, split, number, record = row
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
