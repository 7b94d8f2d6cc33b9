"""MathVista: 1,000 (testmini) and 5,141 (test) problems over charts, diagrams and photographs.

Source: Lu et al., ICLR 2024 (arXiv 2310.02255), github.com/lupantech/MathVista; licence
CC BY-SA 4.0, and its authors forbid training on it: a training run refuses this source.
Splits: testmini (with answers), test (answers are not published, so it cannot be read here).

Form: `testmini.json`, an object of
    "1": {"question": "When a spring ...", "image": "images/1.jpg", "choices": null, "unit": null,
          "precision": 1, "answer": "1.2", "question_type": "free_form", "answer_type": "float",
          "pid": "1", "metadata": {"language": "english", "source": "SciBench", "task": ...}}
beside `images/`; or the hub's `data/testmini-*.parquet` (`AI4Math/MathVista`), the same columns and
the picture in `decoded_image`. The official prompt names the unit and the kind of number in a hint;
here the unit joins the question and `precision` the metadata. Checked against all 1,000 annotations
of testmini; the parquet form against the dataset card only.
"""

from __future__ import annotations

from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import RowError, image_bytes, text, texts
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, cell_images, table_rows
from data_prep.writer import Entry

KEPT = ("source", "category", "task", "context", "grade", "language", "skills")


def find(path: Path, split: str | None, *, images: bool = True) -> Found:
    """Testmini; `images=False` leaves the pictures out, for scoring answers that exist already."""
    if split not in (None, "testmini"):
        raise ValueError(f"MathVista's split {split!r} has no answers; use testmini")
    to_entry = partial(_entry, folder=path.resolve(), images=images)
    file = path / "testmini.json"
    tables = [file] if file.is_file() else sorted(path.glob("data/testmini-*.parquet")) or [file]
    return chain.from_iterable(map(table_rows, tables)), to_entry


SOURCE = Source(
    name="mathvista",
    title="MathVista",
    find=find,
    licence="CC BY-SA 4.0; evaluation only, training on it is forbidden",
    summary="MathVista testmini, 1,000 problems; evaluation only",
    needs="the folder with testmini.json and images/, or the hub name",
    hub="AI4Math/MathVista",
    evaluation_only=True,
)
read = SOURCE.read


def _entry(columns: Any, *, folder: Path, images: bool) -> Entry:
    row = as_record(columns)
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
        id=f"mathvista-{text(row, '_key' if '_key' in row else 'pid')}",
        question=f"{question} (Unit: {unit})" if unit else question,
        answer=text(row, "answer"),
        choices=choices,
        source="mathvista",
        split="testmini",
        answer_type="choice" if choices else "",
        metadata={name: value for name, value in metadata.items() if value is not None},
    )
    if not images:
        return Entry(problem=problem)
    encoded = cell_images(row, "decoded_image", folder)
    return Entry(problem=problem, images=encoded or (image_bytes(folder, text(row, "image")),))
