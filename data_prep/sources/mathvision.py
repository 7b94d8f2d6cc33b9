r"""MATH-Vision: competition problems with pictures, 16 subjects, levels 1 to 5; for evaluation.

Source: Wang et al., NeurIPS 2024 (Datasets and Benchmarks), github.com/mathllm/MATH-V; licence MIT.
Splits: testmini 304 (19 of each subject), test 3,040; testmini is part of test.

Form: `testmini.jsonl` or `test.jsonl` beside `images/`:
    {"id": "6", "question": "... In which picture ...?\n<image1>", "options": ["A", "B", "C", "D",
     "E"], "answer": "D", "solution": null, "level": 3, "subject": "logic", "image": "images/6.jpg"}

The tags `<image1>` ... are removed: all pictures of a problem are in its one image. Options that
are only their own letter, `A` or `(A)`, stand in the picture; they become plain letters. Answers
stay as published, malformed ones too (`69{degrees}`, boxes, a form feed in place of `\f`): what
to make of them is the checker's decision. Checked against all 304 problems of testmini.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from adora_mm.types import Problem
from data_prep.sources.rows import (
    BadRows,
    convert,
    image_bytes,
    jsonl_rows,
    parse_object,
    text,
    texts,
)
from data_prep.writer import Entry

SPLITS = ("testmini", "test")
LICENCE = "MIT"
_IMAGE_TAG = re.compile(r"<image\d*>")


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
) -> Iterator[Entry]:
    """Entries of one split (default: testmini) from the folder that holds its `.jsonl`.

    Raises ValueError for an unknown split or a missing file, and for bad rows unless `bad` drops
    them.
    """
    split = split or SPLITS[0]
    if split not in SPLITS:
        raise ValueError(f"MATH-Vision has no split {split!r}; its splits: {', '.join(SPLITS)}")
    to_entry = partial(_entry, folder=path.resolve(), split=split)
    yield from convert(jsonl_rows(path / f"{split}.jsonl"), to_entry, limit=limit, bad=bad)


def _entry(line: bytes, *, folder: Path, split: str) -> Entry:
    record = parse_object(line)
    choices = _plain_letters(texts(record, "options"))
    metadata = {key: record.get(key) for key in ("subject", "level")}
    problem = Problem(
        id=f"mathvision-{text(record, 'id')}",
        question=_without_tags(text(record, "question")),
        answer=_published(record["answer"]) if "answer" in record else text(record, "answer"),
        choices=choices,
        source="mathvision",
        split=split,
        answer_type="choice" if choices else "",
        metadata={key: value for key, value in metadata.items() if value is not None},
    )
    return Entry(problem=problem, images=(image_bytes(folder, text(record, "image")),))


def _published(answer: object) -> str:
    """The answer with its own spaces and control characters, which `text` would strip."""
    return (
        answer if isinstance(answer, str) and answer.strip() else text({"answer": answer}, "answer")
    )


def _without_tags(question: str) -> str:
    lines = (
        re.sub(r"[ \t]+", " ", line).strip() for line in _IMAGE_TAG.sub(" ", question).split("\n")
    )
    return re.sub(r" ([,.?!;:])", r"\1", "\n".join(line for line in lines if line))


def _plain_letters(options: tuple[str, ...]) -> tuple[str, ...]:
    letters = tuple(string.ascii_uppercase[: len(options)])
    return letters if tuple(option.strip("()") for option in options) == letters else options
