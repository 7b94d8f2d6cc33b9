"""Any `.jsonl` file: a map from this project's field names to the file's columns.

Form: one object a row. With `columns={"question": "problem", "id": "unique_id"}` a row such as
    {"problem": "Simplify $2/4$.", "answer": "1/2", "unique_id": "algebra/7"}
becomes a problem. Fields that are not mapped are looked up under their own names. `question` and
`answer` must be there; `id` (default: the row's number), `images` (a path or a list of paths),
`choices`, `split` and `answer_type` may be. Columns named in `keep` go to the metadata.
Licence: that of the file; say it with --licence. Checked against MATH-500, AIME 2024 and 2025,
AMC 2023, and the text part of OlympiadBench.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.prompts import IMAGE_TAG
from adora_mm.types import Problem
from data_prep.sources.rows import (
    BadRows,
    RowError,
    convert,
    image_bytes,
    jsonl_rows,
    parse_object,
    text,
    texts,
)
from data_prep.writer import Entry

FIELDS = ("question", "answer", "id", "images", "choices", "split", "answer_type")


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
    columns: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    name: str = "",
    image_root: Path | None = None,
) -> Iterator[Entry]:
    """Entries of a file. `split` selects rows by the split column, or names the split without one.

    `name` is the source's name and the prefix of ids (default: the file's stem); images are looked
    up inside `image_root` (default: the file's folder). Raises ValueError for an unknown field in
    `columns`, a missing file, and for bad rows unless `bad` drops them.
    """
    names = dict(zip(FIELDS, FIELDS, strict=True)) | dict(columns or {})
    unknown = sorted(set(names) - set(FIELDS))
    if unknown:
        raise ValueError(f"no field {unknown[0]!r} to map; fields: {', '.join(FIELDS)}")
    to_entry = partial(
        _entry,
        columns=names,
        keep=tuple(keep),
        name=name or path.stem,
        wanted_split=split,
        image_root=(image_root or path.parent).resolve(),
    )
    rows = (
        (where, (number, line)) for number, (where, line) in enumerate(jsonl_rows(path), start=1)
    )
    yield from convert(rows, to_entry, limit=limit, bad=bad)


def _entry(
    row: tuple[int, bytes],
    *,
    columns: Mapping[str, str],
    keep: Sequence[str],
    name: str,
    wanted_split: str | None,
    image_root: Path,
) -> Entry | None:
    number, line = row
    record = parse_object(line)
    split = _optional(record, columns["split"])
    if wanted_split and split and split != wanted_split:
        return None
    problem = Problem(
        id=f"{name}-{_optional(record, columns['id']) or number}",
        question=IMAGE_TAG.sub("", text(record, columns["question"])).strip(),
        answer=_answer(record, columns["answer"]),
        choices=texts(record, columns["choices"]),
        source=name,
        split=split or wanted_split or "train",
        answer_type=_optional(record, columns["answer_type"]),
        metadata={column: record[column] for column in keep if column in record},
    )
    paths = _image_paths(record, columns["images"])
    return Entry(problem=problem, images=tuple(image_bytes(image_root, path) for path in paths))


def _optional(record: Mapping[str, Any], column: str) -> str:
    return text(record, column) if record.get(column) not in (None, "") else ""


def _answer(record: Mapping[str, Any], column: str) -> str:
    """A text, or a list of exactly one: of several golds nobody could say which is meant."""
    value = record.get(column)
    if isinstance(value, list):
        if len(value) != 1:
            raise RowError("several answers", f"column {column!r} holds {len(value)} answers")
        return text({column: value[0]}, column)
    return text(record, column)


def _image_paths(record: Mapping[str, Any], column: str) -> tuple[str, ...]:
    if isinstance(record.get(column), str):
        return (text(record, column),)
    return texts(record, column)
