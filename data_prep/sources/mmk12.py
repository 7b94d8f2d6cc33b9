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

import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from adora_mm.prompts import IMAGE_TAG
from adora_mm.types import Problem
from data_prep.sources.rows import BadRows, RowError, convert, text
from data_prep.sources.tables import as_record, cell_images, local_copy, split_files, split_rows
from data_prep.writer import Entry

SPLITS = ("train", "test")
LICENCE = "Apache-2.0"
_OPTION = re.compile(r"^\s*\(?([A-H])\s*[.\uff0e\u3001:\uff1a)]\s*")


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
) -> Iterator[Entry]:
    """Entries of one split (default: both) from a folder of tables or a hub name.

    Raises ValueError for an unknown split or layout, and for bad rows unless `bad` drops them.
    """
    if split is not None and split not in SPLITS:
        raise ValueError(f"MMK12 has no split {split!r}; its splits: {', '.join(SPLITS)}")
    files = split_files(local_copy(path), {"train": "train", "test": "test"}, split)
    if not files:
        raise ValueError(f"{path}: no MMK12 there: expected train-*.parquet and test-*.parquet")
    yield from convert(split_rows(files), _entry, limit=limit, bad=bad)


def _entry(row: tuple[str, int, Path, Any]) -> Entry:
    split, _, folder, columns = row
    record = as_record(columns)
    question = IMAGE_TAG.sub("", text(record, "question")).strip()
    answer = text(record, "answer")
    choices: tuple[str, ...] = ()
    if split == "test":
        question, choices = cut_choices(question)
        if answer not in string.ascii_uppercase[: len(choices)]:
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


def cut_choices(question: str) -> tuple[str, tuple[str, ...]]:
    """The question and its options: the lines at its end that begin with A., B., ... in order.

    A line between two options belongs to the one before it. Without options: an empty tuple.
    """
    lines = question.split("\n")
    starts: list[int] = []
    for index, line in enumerate(lines):
        found = _OPTION.match(line)
        if found and found.group(1) == string.ascii_uppercase[len(starts)]:
            starts.append(index)
    if len(starts) < 2:
        return question, ()
    blocks = [
        "\n".join(lines[begin:end])
        for begin, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]
    options = tuple(_OPTION.sub("", each, count=1).strip() for each in blocks)
    return "\n".join(lines[: starts[0]]).strip(), options
