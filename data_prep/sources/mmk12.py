r"""MMK12: school problems with pictures, 15,616 to train on (free-form), 2,000 to test (choices).

Source: Meng et al. 2025 (MM-Eureka, arXiv 2503.07365), hub `FanqingM/MMK12`; licence Apache-2.0.
Splits: train 15,616 (mathematics), test 2,000 (500 each of mathematics, physics, chemistry and
biology).

Form: `data/train-*.parquet` and `data/test-*.parquet`:
    {"id": "...", "question": "As shown in the figure, <image> in triangle ABC ...",
     "answer": "$$30^\\circ$$", "subject": "math", "image": <encoded>}
In the test split the options stand at the end of the question, a line each (`A. ...`), and the
answer is a letter: they become choices. Written from the dataset card and from code that reads it;
tested on a file of that schema, not on the real one.
"""

from __future__ import annotations

import string
from pathlib import Path
from typing import Any

from adora_mm.prompts import IMAGE_TAG
from adora_mm.types import Problem
from data_prep.sources.options import split_options
from data_prep.sources.rows import RowError, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, cell_images, split_files, split_rows
from data_prep.writer import Entry


def find(path: Path, split: str | None) -> Found:
    """One split (default: both) of a folder of tables."""
    files = split_files(path, {"train": "train", "test": "test"}, split)
    if not files:
        raise ValueError(f"{path}: no MMK12 there: expected train-*.parquet and test-*.parquet")
    return split_rows(files), _entry


SOURCE = Source(
    name="mmk12",
    title="MMK12",
    find=find,
    splits=("train", "test"),
    licence="Apache-2.0",
    summary="MMK12, 15,616 (train) and 2,000 (test) school problems with pictures",
    needs="the parquet files, or the hub name",
    hub="FanqingM/MMK12",
)
read = SOURCE.read


def _entry(row: tuple[str, int, Path, Any]) -> Entry:
    split, _, folder, columns = row
    record = as_record(columns)
    question = IMAGE_TAG.sub("", text(record, "question")).strip()
    answer = text(record, "answer")
    choices: tuple[str, ...] = ()
    if split == "test":
        question, choices = split_options(question)
        if answer not in tuple(string.ascii_uppercase[: len(choices)]):
            raise RowError("bad answer letter", f"answer {answer!r}, options {len(choices)}")
    subject = record.get("subject")
    problem = Problem(
        id=f"mmk12-{split}-{text(record, 'id')}",
        question=question,
        answer=answer,
        choices=choices,
        source="mmk12",
        split=split,
        answer_type="choice" if choices else "expression",
        metadata={"subject": subject} if subject else {},
    )
    return Entry(problem=problem, images=cell_images(record, "image", folder))
