"""Any table: a map from this project's field names to the columns of your file or folder.

Form: `.jsonl`, `.json`, `.parquet` or `.arrow`, one problem a row. With
`columns={"question": "problem", "id": "unique_id"}` a row such as
    {"problem": "Simplify $2/4$.", "answer": "1/2", "unique_id": "algebra/7"}
becomes a problem. Fields that are not mapped are looked up under their own names; a name with
points looks inside nested columns (`reward_model.ground_truth`). `answer` must be there, and
`question` or `messages` (a prompt in the form of `qwen_vl_utils`, pictures included); `id`
(default: the row's number), `images` (encoded, or a path, or a list of either), `choices`, `split`
and `answer_type` may be. Columns named in `keep` go to the metadata. Of a folder, every table is
read whose name says a split (`train-00000-of-00001.parquet`).
Licence: that of the file; say it with --licence. Checked against MATH-500, AIME 2024 and 2025,
AMC 2023, the text part of OlympiadBench, and the parquet files of Knights and Knaves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.data import Messages, embedded_image, read_messages
from adora_mm.prompts import IMAGE_TAG
from adora_mm.types import Problem
from data_prep.sources.rows import RawRows, RowError, image_bytes, text, texts
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import (
    as_record,
    cell,
    cell_images,
    split_files,
    table_rows,
)
from data_prep.writer import Entry

_SPLIT_NAMES = {
    "train": "train",
    "val": "val",
    "validation": "val",
    "dev": "val",
    "testmini": "testmini",
    "test": "test",
}
FIELDS = ("question", "answer", "id", "images", "choices", "split", "answer_type", "messages")


def find(
    path: Path,
    split: str | None,
    *,
    columns: Mapping[str, str] | None = None,
    keep: Sequence[str] = (),
    name: str = "",
    image_root: Path | None = None,
) -> Found:
    """Rows of a file. `split` selects rows by the split column, or names the split without one.

    `name` is the source's name and the prefix of ids (default: the file's stem); images are looked
    up inside `image_root` (default: the file's folder). Raises ValueError also for an unknown field
    in `columns`.
    """
    names = dict(zip(FIELDS, FIELDS, strict=True)) | dict(columns or {})
    own_prompt = "messages" in (columns or {})
    unknown = sorted(set(names) - set(FIELDS))
    if unknown:
        raise ValueError(f"no field {unknown[0]!r} to map; fields: {', '.join(FIELDS)}")
    to_entry = partial(
        _entry,
        columns=names,
        own_prompt=own_prompt,
        keep=tuple(keep),
        name=name or path.stem,
        wanted_split=split,
        image_root=(image_root or (path.parent if path.is_file() else path)).resolve(),
    )
    return _rows(path), to_entry


SOURCE = Source(
    name="jsonl",
    title="the table",
    find=find,
    licence="that of your file (--licence)",
    summary="any table, columns named with --map",
    needs="the .jsonl, .json, .parquet or .arrow file, a folder of them, or a hub name",
)
PARQUET = replace(SOURCE, name="parquet", summary="the same as jsonl")
read = SOURCE.read


def _rows(path: Path) -> RawRows:
    """Rows with their number, which goes on from file to file, and the split of their file."""
    if path.is_dir():
        files = split_files(path, _SPLIT_NAMES)
        if not files:
            raise ValueError(
                f"{path}: no table there that is named after its split; pass the file itself"
            )
    else:
        files = [("", path)]
    numbers: Counter[str] = Counter()
    for split, file in files:
        for where, row in table_rows(file):
            numbers[split] += 1
            number = f"{split}-{numbers[split]}" if split else f"{numbers[split]}"
            yield where, (number, split, row)


def _entry(
    row: tuple[str, str, Any],
    *,
    columns: Mapping[str, str],
    own_prompt: bool,
    keep: Sequence[str],
    name: str,
    wanted_split: str | None,
    image_root: Path,
) -> Entry | None:
    number, file_split, content = row
    record = as_record(content)
    split = _optional(record, columns["split"]) or file_split
    if wanted_split and split and split != wanted_split:
        return None
    messages = _messages(record, columns, own_prompt)
    if messages is None:
        question = IMAGE_TAG.sub("", _text(record, columns["question"])).strip()
        images = cell_images(record, columns["images"], image_root)
    else:
        question = messages.question
        images = _images(messages, record, columns["images"], image_root)
    problem = Problem(
        id=f"{name}-{_optional(record, columns['id']) or number}",
        question=question,
        messages=messages.messages if messages else (),
        answer=_answer(record, columns["answer"]),
        choices=texts({"choices": cell(record, columns["choices"])}, "choices"),
        source=name,
        split=split or wanted_split or "train",
        answer_type=_optional(record, columns["answer_type"]),
        metadata={column: cell(record, column) for column in keep if column in record},
    )
    return Entry(problem=problem, images=images)


def _messages(
    record: Mapping[str, Any], columns: Mapping[str, str], own_prompt: bool
) -> Messages | None:
    """The row's prompt as messages, when they were mapped or stand in for a question."""
    value = cell(record, columns["messages"])
    if not own_prompt and (value is None or cell(record, columns["question"]) is not None):
        return None
    try:
        return read_messages(value, tags=cell(record, columns["images"]) not in (None, "", []))
    except ValueError as error:
        raise RowError("bad messages", f"column {columns['messages']!r}: {error}") from error


def _images(
    messages: Messages, record: Mapping[str, Any], column: str, root: Path
) -> tuple[bytes, ...]:
    """Pictures in the order of the messages; those without an address come from the column."""
    rest = iter(cell_images(record, column, root))
    images = []
    for address in messages.addresses:
        try:
            picture = next(rest, None) if address is None else embedded_image(address)
        except ValueError as error:
            raise RowError("bad image", str(error)) from error
        if picture is None and address is None:
            raise RowError("bad images", f"more image parts than images in column {column!r}")
        images.append(image_bytes(root, str(address)) if picture is None else picture)
    if next(rest, None) is not None:
        raise RowError("bad images", f"more images in column {column!r} than image parts")
    return tuple(images)


def _text(record: Mapping[str, Any], column: str) -> str:
    found = cell(record, column)
    return text(record if found is None else {column: found}, column)


def _optional(record: Mapping[str, Any], column: str) -> str:
    found = cell(record, column)
    return text({column: found}, column) if found not in (None, "") else ""


def _answer(record: Mapping[str, Any], column: str) -> str:
    """A text, or a list of exactly one: of several golds nobody could say which is meant."""
    value = cell(record, column)
    if isinstance(value, list):
        if len(value) != 1:
            raise RowError("several answers", f"column {column!r} holds {len(value)} answers")
        return text({column: value[0]}, column)
    return _text(record, column)
