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

from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import image_bytes, kept, text, texts
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, split_rows
from data_prep.writer import Entry

SPLITS = ("train", "test")


def find(path: Path, split: str | None, *, keep_choices: bool = True) -> Found:
    """One split (default: both) of the unpacked archive."""
    root = next((r for r in (path, path / "PGPS9K_all") if (r / "Diagram").is_dir()), None)
    names = SPLITS if split is None else (split,)
    files = [] if root is None else [(n, root / "PGPS9K" / f"{n}.json") for n in names]
    if root is None or not all(file.is_file() for _, file in files):
        raise ValueError(
            f"{path}: no PGPS9K there: expected PGPS9K/train.json and PGPS9K/test.json beside "
            "Diagram/"
        )
    to_entry = partial(_entry, diagrams=(root / "Diagram").resolve(), keep_choices=keep_choices)
    return split_rows(files), to_entry


SOURCE = Source(
    name="pgps9k",
    title="PGPS9K",
    find=find,
    splits=SPLITS,
    licence="none stated, for research; check before use",
    summary="9,022 geometry problems with 4,000 diagrams (train, test)",
    needs="the unpacked archive, with PGPS9K/ and Diagram/",
)
read = SOURCE.read


def _entry(row: tuple[str, int, Path, Any], *, diagrams: Path, keep_choices: bool) -> Entry:
    split, _, _, columns = row
    record = as_record(columns)
    choices = texts(record, "choices") if keep_choices else ()
    clauses = [*texts(record, "parsing_stru_seqs"), *texts(record, "parsing_sem_seqs")]
    problem = Problem(
        id=f"pgps9k-{split}-{text(record, '_key')}",
        question=text(record, "text"),
        answer=text(record, "answer"),
        choices=choices,
        source="pgps9k",
        split=split,
        answer_type="choice" if choices else "number",
        metadata=kept(record, "type", "book", "page") | ({"clauses": clauses} if clauses else {}),
    )
    return Entry(problem=problem, images=(image_bytes(diagrams, text(record, "diagram")),))
