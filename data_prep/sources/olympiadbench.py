r"""OlympiadBench: olympiad problems in mathematics and physics, some with pictures.

Source: He et al., ACL 2024 (arXiv 2402.14008), github.com/OpenBMB/OlympiadBench; Apache-2.0.
Splits: the files are named by kind, for instance `OE_TO_maths_en_COMP` (open-ended, text only,
English, 674 problems; the widely used copy of this part holds 675), which is read unless `--split`
names another.

Form: a `.jsonl` file, a `.json` list or the hub's parquet files (`Hothan/OlympiadBench`) of
    {"id": 1606, "subfield": "Combinatorics", "context": null, "question": "Xenia and ...",
     "solution": ["..."], "final_answer": ["2"], "is_multiple_answer": false, "unit": null,
     "answer_type": "Numerical", "error": null}
A context joins the question. Several final answers become one list. A unit joins the gold. `error`
is the published tolerance of the answer, for some answers one per member (`"1e-1"`, `"0.01,0.1"`);
it goes to the metadata as a text. Theorem-proving rows (no final answer) are bad rows. Pictures
(`image_1`, ...) stand in the parquet file, or are read from the folder of the file. Checked against
the 675 text problems; the parquet form against the columns that users of the hub's set name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import RowError, text, texts
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import TABLES, as_record, cell_images, table_rows
from data_prep.writer import Entry

PART = "OE_TO_maths_en_COMP"
_PICTURE_TAG = re.compile(r"<image_\d+>")


def find(path: Path, split: str | None) -> Found:
    """One file; in a folder, the one whose path holds `split`, or else `olympiad` or `PART`."""
    file = path if path.is_file() else _find(path, split)
    to_entry = partial(_entry, folder=file.parent.resolve(), split=split or "test")
    return table_rows(file), to_entry


SOURCE = Source(
    name="olympiadbench",
    title="OlympiadBench",
    find=find,
    licence="Apache-2.0",
    summary="OlympiadBench, 675 English maths problems in text; for evaluation",
    needs="the file (.jsonl, .json, .parquet), the folder of one, or the hub name",
    hub="Hothan/OlympiadBench",
    evaluation_only=True,
)
read = SOURCE.read


def _find(folder: Path, split: str | None) -> Path:
    tables = [
        file
        for file in (*folder.glob("*"), *folder.glob("OlympiadBench/**/*"))
        if file.suffix in TABLES
    ]
    files: list[Path] = []
    for name in (split,) if split else ("olympiad", PART):
        files = files or [f for f in tables if name in f.relative_to(folder).as_posix()]
    if len(files) != 1:
        found = ", ".join(sorted(file.name for file in files)) or "none"
        raise ValueError(
            f"{folder}: expected one OlympiadBench file, found {found}; give the file itself"
        )
    return files[0]


def _entry(row: Any, *, folder: Path, split: str) -> Entry:
    record = as_record(row)
    context = record.get("context")
    question = text(record, "question")
    pictures = [key for key in sorted(record) if re.fullmatch(r"image_\d+", key)]
    metadata = {
        "subfield": record.get("subfield"),
        "published_type": record.get("answer_type"),
        "tolerance": record.get("error"),
        "several_answers": record.get("is_multiple_answer"),
    }
    problem = Problem(
        id=f"olympiadbench-{text(record, 'id')}",
        question=_PICTURE_TAG.sub("", f"{context}\n\n{question}" if context else question).strip(),
        answer=_gold(record),
        source="olympiadbench",
        split=split,
        metadata={key: value for key, value in metadata.items() if value not in (None, "")},
    )
    images = tuple(data for key in pictures for data in cell_images(record, key, folder))
    return Entry(problem=problem, images=images)


def _gold(record: Mapping[str, Any]) -> str:
    answers = texts(record, "final_answer")
    if not answers:
        raise RowError("no final answer", "column 'final_answer' is empty (a proof?)")
    gold = answers[0] if len(answers) == 1 else ", ".join(answers)
    unit = record.get("unit")
    return f"{gold} {unit}" if unit and len(answers) == 1 else gold
