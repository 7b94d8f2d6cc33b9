"""DynaMath: 501 seed questions, each a program that draws variants; a model should solve them all.

Source: Zou et al., ICLR 2025 (arXiv 2411.00836), github.com/DynaMath/DynaMath; licence MIT.
Splits: none; the published sample holds ten variants of each seed.

Two forms are read:

1. one variant in `dataset.json` beside `image/`, or several in folders `variant1`, `variant2`, ...
   (any names, read in order) that each hold such a file and its images:
       {"1": {"question": "What is the period of this function? ...", "answer": "2.0944",
        "image": "image/image1.png", "answer_type": "float", "subject": "analytic geometry",
        "level": "high school"}, ...}
2. the parquet files of the hub's `DynaMath/DynaMath_Sample`, one for each variant (`data/sample1-*`
   or `data/sample_variant1-*`), where the columns `id`, `ground_truth`, `knowledge_level` and
   `decoded_image` stand for the key, `answer`, `level` and `image`.

The key is the seed; it goes to the metadata with the variant, so that all variants of a seed are
known to belong together. Options are split off the question. Golds stay as published (also
`5.000000000000001`). Checked against the 501 problems of one variant; the folders of several
variants are this project's own arrangement, and the parquet form follows the dataset card only.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.options import split_options
from data_prep.sources.rows import text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, cell_images, table_rows
from data_prep.writer import Entry

FILE = "dataset.json"
_SAMPLE = re.compile(r"sample(?:_variant)?(\d+)-")


def find(path: Path, split: str | None, *, images: bool = True) -> Found:
    """All variants, or with `split="variant2"` one of them; `images=False` leaves pictures out."""
    files = [(name, file) for name, file in _variants(path) if split in (None, name)]
    if not files:
        wanted = f" of variant {split!r}" if split else ""
        raise ValueError(f"{path}: no DynaMath there: expected {FILE}{wanted}, or folders with it")
    numbers = {name: n for n, name in enumerate(dict.fromkeys(name for name, _ in files), start=1)}
    rows = (
        (where, (numbers[name], file.parent.resolve(), row))
        for name, file in files
        for where, row in table_rows(file)
    )
    return rows, partial(_entry, images=images)


SOURCE = Source(
    name="dynamath",
    title="DynaMath",
    find=find,
    licence="MIT",
    summary="DynaMath, 501 seeds in one or more variants; for evaluation",
    needs="the folder with dataset.json and image/, the folder of several such, or the hub name",
    hub="DynaMath/DynaMath_Sample",
    evaluation_only=True,
)
read = SOURCE.read


def _variants(path: Path) -> list[tuple[str, Path]]:
    """(variant, file) of either form, in the order of the variants."""
    if (path / FILE).is_file():
        return [(path.name, path / FILE)]
    files = [(file.parent.name, file) for file in path.glob(f"*/{FILE}")]
    for file in path.glob("data/*.parquet"):
        if match := _SAMPLE.match(file.name):
            files.append((f"variant{match[1]}", file))
    return sorted(files, key=_order)


def _order(named: tuple[str, Path]) -> tuple[int, str, Path]:
    digits = re.findall(r"\d+", named[0])
    return (int(digits[-1]) if digits else 0, *named)


def _entry(row: tuple[int, Path, Any], *, images: bool) -> Entry:
    variant, folder, columns = row
    record = as_record(columns)
    of_hub = "ground_truth" in record
    seed = text(record, "id" if of_hub else "_key")
    kind = text(record, "answer_type")
    question = text(record, "question")
    choices: tuple[str, ...] = ()
    if kind == "multiple choice":
        question, choices = split_options(question)
    problem = Problem(
        id=f"dynamath-{seed}-v{variant}",
        question=question,
        answer=text(record, "ground_truth" if of_hub else "answer"),
        choices=choices,
        source="dynamath",
        split="test",
        answer_type={"multiple choice": "choice", "float": "number", "int": "number"}.get(kind, ""),
        metadata={
            "seed": seed,
            "variant": variant,
            "published_type": kind,
            "subject": " ".join(text(record, "subject").split()),
            "level": text(record, "knowledge_level" if of_hub else "level"),
        },
    )
    if not images:
        return Entry(problem=problem)
    column = "decoded_image" if of_hub else "image"
    return Entry(problem=problem, images=cell_images(record, column, folder))
