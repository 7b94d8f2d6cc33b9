r"""PGPS9K: 9,022 geometry problems with 4,000 diagrams, numeric answers and four choices.

Source: Zhang, Yin and Liu, IJCAI 2023, github.com/mingliangzhang2018/PGPS; the archive
`PGPS9K_all.zip` comes from its homepage. Licence: none stated, for research.
Splits: train 8,022, test 1,000.

Form: `PGPS9K/train.json` and `PGPS9K/test.json` beside `Diagram/`, each one object:
    {"prob_13": {"diagram": "img_13.png", "text": "Find m \\angle 1.", "answer": "62.000",
     "choices": ["28.000", "56.000", "62.000", "118.000"], "type": "Angle Bisector",
     "parsing_stru_seqs": ["line A B C"], "parsing_sem_seqs": ["m \\angle 2 = 62"],
     "expression": ["Equal", "V0", "V1"], "book": "...", "page": 12}}
The answer is a number to three decimals. The clauses (`parsing_*`) state what the diagram shows;
they go to the metadata, as `clauses`. A third of the problems come from Geometry3K, test problems
among them: audit against Geometry3K's test split before training. Written from the README and the
loader of the repository; tested on files of that schema, not on real ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import BadRows, RawRows, convert, image_bytes, text, texts
from data_prep.sources.tables import as_record, table_rows
from data_prep.writer import Entry

SPLITS = ("train", "test")
LICENCE = "none stated, for research; check before use"


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
    keep_choices: bool = True,
) -> Iterator[Entry]:
    """Entries of one split (default: both) from the unpacked archive.

    Raises ValueError for an unknown layout or split, and for bad rows unless `bad` drops them.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"PGPS9K has no split {split!r}; its splits: {', '.join(SPLITS)}")
    root = next((r for r in (path, path / "PGPS9K_all") if (r / "Diagram").is_dir()), None)
    names = SPLITS if split is None else (split,)
    files = [] if root is None else [(n, root / "PGPS9K" / f"{n}.json") for n in names]
    if root is None or not all(file.is_file() for _, file in files):
        raise ValueError(
            f"{path}: no PGPS9K there: expected PGPS9K/train.json and PGPS9K/test.json beside "
            "Diagram/"
        )
    to_entry = partial(_entry, diagrams=(root / "Diagram").resolve(), keep_choices=keep_choices)
    yield from convert(_rows(files), to_entry, limit=limit, bad=bad)


def _rows(files: list[tuple[str, Path]]) -> RawRows:
    for split, file in files:
        for where, row in table_rows(file):
            yield where, (split, row)


def _entry(row: tuple[str, Any], *, diagrams: Path, keep_choices: bool) -> Entry:
    split, columns = row
    record = as_record(columns)
    choices = texts(record, "choices") if keep_choices else ()
    clauses = [*texts(record, "parsing_stru_seqs"), *texts(record, "parsing_sem_seqs")]
    kept = {key: record.get(key) for key in ("type", "book", "page")} | {"clauses": clauses}
    problem = Problem(
        id=f"pgps9k-{split}-{text(record, '_key')}",
        question=text(record, "text"),
        answer=text(record, "answer"),
        choices=choices,
        source="pgps9k",
        split=split,
        answer_type="choice" if choices else "number",
        metadata={key: value for key, value in kept.items() if value not in (None, [])},
    )
    return Entry(problem=problem, images=(image_bytes(diagrams, text(record, "diagram")),))
