r"""MATH-Vision: competition problems with pictures, 16 subjects, levels 1 to 5; for evaluation.

Source: Wang et al., NeurIPS 2024 (Datasets and Benchmarks), github.com/mathllm/MATH-V; licence MIT.
Splits: testmini 304 (19 of each subject), test 3,040; testmini is part of test.

Form: `testmini.jsonl` or `test.jsonl` beside `images/`:
    {"id": "6", "question": "... In which picture ...?\n<image1>", "options": ["A", "B", "C", "D",
     "E"], "answer": "D", "solution": null, "level": 3, "subject": "logic", "image": "images/6.jpg"}

or the hub's `data/testmini-*.parquet` (`MathLLMs/MathVision`), with the picture in `decoded_image`.

The tags `<image1>` ... are removed: all pictures of a problem are in its one image. Options that
are only their own letter, `A` or `(A)`, stand in the picture; they become plain letters. Answers
stay as published, malformed ones too (`69{degrees}`, boxes, a form feed in place of `\f`): what
to make of them is the checker's decision. Checked against all 304 problems of testmini.jsonl; the
parquet form against the dataset card only.
"""

from __future__ import annotations

import re
import string
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import image_bytes, kept, text, texts
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, cell_images, table_rows
from data_prep.writer import Entry

SPLITS = ("testmini", "test")
_IMAGE_TAG = re.compile(r"<image\d*>")


def find(path: Path, split: str | None) -> Found:
    """One split (default: testmini) of the folder that holds its table."""
    split = split or SPLITS[0]
    files = [path / f"{split}.jsonl", *sorted(path.glob(f"data/{split}-*.parquet"))]
    files = files[:1] if files[0].is_file() else files[1:] or files
    to_entry = partial(_entry, folder=path.resolve(), split=split)
    return chain.from_iterable(map(table_rows, files)), to_entry


SOURCE = Source(
    name="mathvision",
    title="MATH-Vision",
    find=find,
    splits=SPLITS,
    licence="MIT",
    summary="MATH-Vision, 304 problems (testmini) or 3,040 (test); for evaluation",
    needs="the folder with testmini.jsonl or test.jsonl and images/, or the hub name",
    hub="MathLLMs/MathVision",
    evaluation_only=True,
)
read = SOURCE.read


def _entry(row: Any, *, folder: Path, split: str) -> Entry:
    record = as_record(row)
    choices = _plain_letters(texts(record, "options"))
    problem = Problem(
        id=f"mathvision-{text(record, 'id')}",
        question=_without_tags(text(record, "question")),
        answer=_published(record["answer"]) if "answer" in record else text(record, "answer"),
        choices=choices,
        source="mathvision",
        split=split,
        answer_type="choice" if choices else "",
        metadata=kept(record, "subject", "level"),
    )
    encoded = cell_images(record, "decoded_image", folder)
    return Entry(problem=problem, images=encoded or (image_bytes(folder, text(record, "image")),))


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
