r"""We-Math: 1,740 visual problems of school mathematics with choices; for evaluation.

Source: Qiao et al., ACL 2025 (arXiv 2407.01284), github.com/We-Math/We-Math; CC BY-NC 4.0.
Split: testmini 1,740 (problems of one, two and three steps; the parts of a problem share `ID`, and
`key` says which part a row is).

Form: `testmini.json` beside the folders of pictures, or the parquet files of the hub's
`We-Math/We-Math`, where `image_path` holds the picture itself:
    {"ID": "2steps_1", "split": "testmini", "question": "According to the diagram ... OA = ( ) m",
     "option": "A. 300, 400;B. 400, 300;C. 3000, 4000;D. 4000, 3000; E. No correct answer",
     "answer": "C", "image_path": "2steps/image/1-1.png", "key": "2steps_1", "question number": 1,
     "knowledge concept": "Conversion Rates and Calculations Between Length Units", ...}
The options are one text; it is cut at the letters in order, so that commas and semicolons inside
an option stay. IDs repeat over the parts of a problem, so ids are row numbers. Checked against the
first 15 published records of testmini.json, without their pictures; the parquet form only against
the documented schema.
"""

from __future__ import annotations

import string
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.options import cut_options
from data_prep.sources.rows import RowError, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, cell_images, split_files, split_rows
from data_prep.writer import Entry


def find(path: Path, split: str | None, *, images: bool = True) -> Found:
    """Testmini; `images=False` leaves the pictures out, for scoring answers that exist already."""
    files = split_files(path, {"testmini": "testmini"})
    if not files:
        raise ValueError(f"{path}: no We-Math there: expected testmini.json or testmini-*.parquet")
    return split_rows(files), partial(_entry, images=images)


SOURCE = Source(
    name="wemath",
    title="We-Math",
    find=find,
    splits=("testmini",),
    licence="CC BY-NC 4.0",
    summary="We-Math, 1,740 visual problems with choices (testmini); for evaluation",
    needs="the folder with testmini.json and the pictures, or the hub name",
    hub="We-Math/We-Math",
    evaluation_only=True,
)
read = SOURCE.read


def _entry(row: tuple[str, int, Path, Any], *, images: bool) -> Entry:
    _, number, folder, columns = row
    record = as_record(columns)
    choices = option_texts(text(record, "option"))
    letter = text(record, "answer")
    if letter not in tuple(string.ascii_uppercase[: len(choices)]):
        raise RowError("bad answer letter", f"answer {letter!r} is none of {len(choices)} options")
    metadata = {
        "key": record.get("key"),
        "part": record.get("ID"),
        "concept": record.get("knowledge concept"),
    }
    problem = Problem(
        id=f"wemath-{number}",
        question=text(record, "question"),
        answer=letter,
        choices=choices,
        source="wemath",
        split="testmini",
        answer_type="choice",
        metadata={key: value for key, value in metadata.items() if value is not None},
    )
    pictures = cell_images(record, "image_path", folder) if images else ()
    return Entry(problem=problem, images=pictures)


def option_texts(column: str) -> tuple[str, ...]:
    """`A. 1;B. 2; C. 3` as ("1", "2", "3"). Raises RowError unless A, B, ... follow in order."""
    before, options = cut_options(column)
    if before or not options:
        raise RowError("bad option", f"column 'option' is no list of lettered options: {column!r}")
    if not all(options):
        raise RowError("bad option", f"column 'option' holds an empty option: {column!r}")
    return options
