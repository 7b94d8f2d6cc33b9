r"""AIME and AMC: five small evaluation sets of American contests, text only, each with a name.

| name | problems | published as |
|---|---|---|
| aime2024 | 30 | both AIME of 2024, `aime_2024` (MathRuler) |
| aime2025 | 30 | both AIME of 2025, `aime_2025` (MathRuler) |
| aime2021_2024 | 103 | selected from AIME 2021 to 2024, 14 of 2024, `aime_2021_2024` (ADORA) |
| amc83 | 83 | AMC 12 of 2022 and 2023, reworded to whole numbers (Project Numina) |
| amc40 | 40 | AMC 12 of 2023, reworded to whole numbers, `amc23` (Qwen2.5-Math) |

The 40 problems of amc40 are also in amc83, and 7 of aime2024 are, word for word, in aime2021_2024:
an accuracy "on AMC" or "on AIME" means nothing without the name. The problems are the property of
the MAA; the collections are Apache-2.0 (amc83, aime2021_2024, amc40) and MIT (MathRuler's).

Form: one table of one set, a folder that holds it under a name that begins as above, or the hub's
`HuggingFaceH4/aime_2024`, `AI-MO/aimo-validation-amc` (amc83) and `math-ai/amc23` (amc40):
    {"id": 60, "problem": "Every morning Aya ...", "answer": "204", "url": "https://...", ...}
    {"id": "2021-I-1", "question": "Zou and Chou ...", "answer": "97", "year": 2021, ...}
Ids are row numbers, because those of amc83 repeat (83 rows, 49 ids); the published id is kept in
the metadata. Answers that are floats (`142.0`) become whole numbers; one of aime2021_2024 is "080
or 081 (both were accepted)" and stays so. Checked against all five published files; the hub's
parquet files only against the cards of the first two.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import RawRows, kept, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import TABLES, as_record, revision_of, table_rows
from data_prep.writer import Entry

HUB = {
    "aime2024": "HuggingFaceH4/aime_2024",
    "amc83": "AI-MO/aimo-validation-amc",
    "amc40": "math-ai/amc23",
}
SETS: dict[str, tuple[int, str, tuple[str, ...]]] = {
    "aime2024": (30, "AIME of 2024", ("aime_2024", "aime2024", "aime24")),
    "aime2025": (30, "AIME of 2025", ("aime_2025", "aime2025", "aime25")),
    "aime2021_2024": (
        103,
        "AIME of 2021 to 2024 (ADORA's selection)",
        ("aime_2021_2024", "aime2021_2024"),
    ),
    "amc83": (
        83,
        "AMC 12 of 2022 and 2023",
        ("amc_validation_83", "aimo-validation-amc", "amc83"),
    ),
    "amc40": (40, "AMC 12 of 2023 (40 of amc83)", ("amc23_40", "amc23", "amc40")),
}
"""Name -> how many problems it has, what it is, and how its files are called."""


def find(path: Path, split: str | None, *, name: str) -> Found:
    """The set's table, alone or in a folder that holds it under one of its names."""
    return _rows(_file(path, name), name), partial(_entry, name=name)


SOURCES = tuple(
    Source(
        name=name,
        title=name,
        find=partial(find, name=name),
        splits=("test",),
        licence="problems by the MAA; collection Apache-2.0 or MIT",
        summary=f"{title}, {count} problems, text only; for evaluation",
        needs=f"{stems[0]}.jsonl, or a folder with it" + (", or the hub name" * (name in HUB)),
        hub=HUB.get(name, ""),
        evaluation_only=True,
    )
    for name, (count, title, stems) in SETS.items()
)


def _file(folder: Path, name: str) -> Path:
    if folder.is_file():
        return folder
    _, _, stems = SETS[name]
    tables = sorted(f for f in (*folder.glob("*"), *folder.glob("data/*")) if f.suffix in TABLES)
    found = [file for file in tables if file.stem.lower() in stems]
    if not found and revision_of(folder) and len(tables) == 1:
        found = tables  # the one file of a hub data set, whatever it is called
    if not found:
        raise ValueError(f"{folder}: no {name} there: expected {stems[0]}.jsonl or .parquet")
    return found[0]


def _rows(file: Path, name: str) -> RawRows:
    count = SETS[name][0]
    for number, (where, row) in enumerate(table_rows(file), start=1):
        if number > count:
            raise ValueError(f"{file}: has more than the {count} problems of {name}; another set?")
        yield where, (number, row)


def _entry(row: tuple[int, Any], *, name: str) -> Entry:
    number, columns = row
    record = as_record(columns)
    column = "problem" if record.get("problem") else "question"
    problem = Problem(
        id=f"{name}-{number}",
        question=text(record, column),
        answer=text(record, "answer"),
        source=name,
        split="test",
        answer_type="number",
        metadata=kept(record, "id", "url", "year", "problem_number", "solution"),
    )
    return Entry(problem=problem)
