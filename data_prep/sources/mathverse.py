"""MathVerse: 788 visual maths problems, each in several versions that move facts into the picture.

Source: Zhang et al., ECCV 2024 (arXiv 2403.14624), github.com/ZrrSkywalker/MathVerse; licence MIT.
Splits: testmini 3,940 (788 problems in five versions with picture), testmini_text_only 788.

Form: `testmini.json` or `testmini_text_only.json`, a list of
    {"sample_index": "1", "problem_index": "1", "problem_version": "Text Only", "question": "As
     shown in the figure, ... ()\\nChoices:\\nA:40°\\nB:60°", "image": "", "answer": "D",
     "question_type": "multi-choice", "metadata": {"split": "testmini", "source": "GeoQA",
     "subject": "Plane Geometry", "subfield": "Angle"}, ...}
Images lie beside the file or in its `images/`; in the hub's `testmini.parquet` and
`testmini_text_only.parquet` (`AI4Math/MathVerse`) the column `image` holds them. Options are split
off the question. In the version `Vision Only` the question is empty because it stands in the
picture: the problem then says so, and its options stay in the picture too. Golds stay as published.
Checked against the 788 of testmini_text_only; testmini and the parquet files only against the
published schema.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.options import split_options
from data_prep.sources.rows import RowError, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, cell_images, table_rows
from data_prep.writer import Entry

SPLITS = ("testmini", "testmini_text_only")
VISION_ONLY = "Answer the question that is shown in the picture."


def find(path: Path, split: str | None, *, images: bool = True) -> Found:
    """One split (default: the first that is there); `images=False` leaves the pictures out."""
    wanted = (split,) if split else SPLITS
    files = [(name, path / f"{name}.{kind}") for name in wanted for kind in ("parquet", "json")]
    found = [(name, file) for name, file in files if file.is_file()]
    if not found:
        expected = " or ".join(f"{name}.json" for name in wanted)
        raise ValueError(f"{path}: no MathVerse there: expected {expected}")
    name, file = found[0]
    return table_rows(file), partial(_entry, folder=path.resolve(), split=name, images=images)


SOURCE = Source(
    name="mathverse",
    title="MathVerse",
    find=find,
    splits=SPLITS,
    licence="MIT",
    summary="MathVerse, 788 problems in six versions; for evaluation",
    needs="the folder with testmini.json or testmini_text_only.json, and images/, or the hub name",
    hub="AI4Math/MathVerse",
    evaluation_only=True,
)
read = SOURCE.read


def _entry(columns: Any, *, folder: Path, split: str, images: bool) -> Entry:
    row = as_record(columns)
    version = text(row, "problem_version")
    number = text(row, "sample_index")
    question, choices = _question(row)
    prefix = "mathverse-text" if split == "testmini_text_only" else "mathverse"
    more = row.get("metadata")
    metadata = {
        "version": version,
        "problem_index": text(row, "problem_index"),
        "question_type": text(row, "question_type"),
        **({key: more.get(key) for key in ("subject", "subfield", "source")} if more else {}),
    }
    problem = Problem(
        id=f"{prefix}-{number}",
        question=question,
        answer=text(row, "answer"),
        choices=choices,
        source="mathverse",
        split=split,
        answer_type="choice" if metadata["question_type"] == "multi-choice" else "",
        metadata={key: value for key, value in metadata.items() if value is not None},
    )
    return Entry(problem=problem, images=_images(folder, row) if images else ())


def _question(row: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    question = row.get("question")
    if not isinstance(question, str):
        raise RowError("no question", f"column 'question' must be a text, not {question!r}")
    if not question.strip():
        if row.get("problem_version") != "Vision Only":
            raise RowError("no question", "the question is empty")
        return VISION_ONLY, ()
    if row.get("question_type") != "multi-choice":
        return question.strip(), ()
    return split_options(question)


def _images(folder: Path, row: Mapping[str, Any]) -> tuple[bytes, ...]:
    inner = folder / "images"
    there = isinstance(row.get("image"), str) and (inner / row["image"]).is_file()
    return cell_images(row, "image", inner if there else folder)
