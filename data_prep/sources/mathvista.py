"""MathVista: 1,000 (testmini) and 5,141 (test) problems over charts, diagrams and photographs.

Source: Lu et al., ICLR 2024 (arXiv 2310.02255), github.com/lupantech/MathVista; licence
CC BY-SA 4.0, and its authors forbid training on it: a training run refuses this source.
Splits: testmini (with answers), test (answers are not published, so it cannot be read here).

Form: `testmini.json`, an object of
    "1": {"question": "When a spring ...", "image": "images/1.jpg", "choices": null, "unit": null,
          "precision": 1, "answer": "1.2", "question_type": "free_form", "answer_type": "float",
          "pid": "1", "metadata": {"language": "english", "source": "SciBench", "task": ...}}
beside `images/`. The official prompt names the unit and the kind of number in a hint; here the unit
joins the question and `precision` the metadata. Checked against all 1,000 annotations of testmini.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import BadRows, RowError, convert, image_bytes, text, texts
from data_prep.writer import Entry

SPLITS = ("testmini",)
LICENCE = "CC BY-SA 4.0; evaluation only, training on it is forbidden"
KEPT = ("source", "category", "task", "context", "grade", "language", "skills")


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
    images: bool = True,
) -> Iterator[Entry]:
    """Entries of testmini from the folder that holds `testmini.json`.

    `images=False` leaves the pictures out, for scoring answers that exist already. Raises
    ValueError for another split or a missing file, and for bad rows unless `bad` drops them.
    """
    if split not in (None, *SPLITS):
        raise ValueError(f"MathVista's split {split!r} has no answers; use testmini")
    to_entry = partial(_entry, folder=path.resolve(), images=images)
    yield from convert(json_members(path / "testmini.json"), to_entry, limit=limit, bad=bad)


def json_members(file: Path) -> Iterator[tuple[str, Any]]:
    """The members of a JSON object, each as (key, value). Raises ValueError for anything else."""
    if not file.is_file():
        raise ValueError(f"{file}: no such file")
    try:
        rows = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"{file}: cannot be read as JSON ({error})") from error
    if not isinstance(rows, dict):
        raise ValueError(f"{file}: expected a JSON object, not {type(rows).__name__}")
    for key, row in rows.items():
        yield f"{file}, key {key!r}", (key, row)


def _entry(member: tuple[str, Any], *, folder: Path, images: bool) -> Entry:
    key, row = member
    if not isinstance(row, dict):
        raise RowError("not an object", f"a row must be an object, not {row!r}")
    question, unit = text(row, "question"), row.get("unit")
    more = row.get("metadata")
    if not isinstance(more, dict):
        raise RowError("no metadata", f"column 'metadata' must be an object, not {more!r}")
    metadata = {name: more[name] for name in KEPT if name in more} | {
        "precision": row.get("precision"),
        "question_type": text(row, "question_type"),
        "published_type": text(row, "answer_type"),
    }
    choices = texts(row, "choices")
    problem = Problem(
        id=f"mathvista-{key}",
        question=f"{question} (Unit: {unit})" if unit else question,
        answer=text(row, "answer"),
        choices=choices,
        source="mathvista",
        split="testmini",
        answer_type="choice" if choices else "",
        metadata={name: value for name, value in metadata.items() if value is not None},
    )
    return Entry(
        problem=problem, images=(image_bytes(folder, text(row, "image")),) if images else ()
    )
