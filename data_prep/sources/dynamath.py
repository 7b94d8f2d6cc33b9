"""DynaMath: 501 seed questions, each a program that draws variants; a model should solve them all.

Source: Zou et al., ICLR 2025 (arXiv 2411.00836), github.com/DynaMath/DynaMath; licence MIT.
Splits: none; the published sample holds ten variants of each seed.

Form: one variant in `dataset.json` beside `image/`, or several in folders `variant1`, `variant2`,
... (any names, read in order) that each hold such a file and its images:
    {"1": {"question": "What is the period of this function? ...", "answer": "2.0944", "image":
     "image/image1.png", "answer_type": "float", "subject": "analytic geometry",
     "level": "high school"}, ...}
The key is the seed; it goes to the metadata with the variant, so that all variants of a seed are
known to belong together. Options are split off the question. Golds stay as published (also
`5.000000000000001`). Checked against the 501 problems of one variant; the folders of several
variants are this project's own arrangement.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.options import split_options
from data_prep.sources.rows import image_bytes, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, table_rows
from data_prep.writer import Entry

FILE = "dataset.json"


def find(path: Path, split: str | None, *, images: bool = True) -> Found:
    """All variants, or with `split="variant2"` one folder; `images=False` leaves pictures out."""
    files = [path / FILE] if (path / FILE).is_file() else sorted(path.glob(f"*/{FILE}"), key=_order)
    if split is not None:
        files = [file for file in files if file.parent.name == split]
    if not files:
        wanted = f" of variant {split!r}" if split else ""
        raise ValueError(f"{path}: no DynaMath there: expected {FILE}{wanted}, or folders with it")
    rows = (
        (where, (variant, file.parent.resolve(), row))
        for variant, file in enumerate(files, start=1)
        for where, row in table_rows(file)
    )
    return rows, partial(_entry, images=images)


SOURCE = Source(
    name="dynamath",
    title="DynaMath",
    find=find,
    licence="MIT",
    summary="DynaMath, 501 seeds in one or more variants; for evaluation",
    needs="the folder with dataset.json and image/, or the folder of several such",
    evaluation_only=True,
)
read = SOURCE.read


def _order(file: Path) -> tuple[int, str]:
    digits = re.findall(r"\d+", file.parent.name)
    return (int(digits[-1]) if digits else 0, file.parent.name)


def _entry(row: tuple[int, Path, Any], *, images: bool) -> Entry:
    variant, folder, columns = row
    record = as_record(columns)
    seed = text(record, "_key")
    kind = text(record, "answer_type")
    question = text(record, "question")
    choices: tuple[str, ...] = ()
    if kind == "multiple choice":
        question, choices = split_options(question)
    problem = Problem(
        id=f"dynamath-{seed}-v{variant}",
        question=question,
        answer=text(record, "answer"),
        choices=choices,
        source="dynamath",
        split="test",
        answer_type={"multiple choice": "choice", "float": "number", "int": "number"}.get(kind, ""),
        metadata={
            "seed": seed,
            "variant": variant,
            "published_type": kind,
            "subject": " ".join(text(record, "subject").split()),
            "level": text(record, "level"),
        },
    )
    return Entry(
        problem=problem, images=(image_bytes(folder, text(record, "image")),) if images else ()
    )
