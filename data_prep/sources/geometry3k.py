r"""Geometry3K: 3,002 high-school geometry problems, each with a diagram and four choices.

Source: Inter-GPS (Lu et al., ACL 2021), github.com/lupantech/InterGPS; licence MIT.
Splits: train 2,101, val 300, test 601.

Two forms are read:

1. The original layout, folders `train/0 ... test/3001` (or the numbered folders alone), each with
   `img_diagram.png` and `data.json`:
       {"id": 17, "compact_text": "parallelogram MNPQ with m \\angle M = 10x ..., find \\angle Q.",
        "compact_choices": ["30", "45", "60", "120"], "precise_value": [30.0, 45.0, 60.0, 120.0],
        "answer": "D", "data_type": "train", "problem_type_goal": ["Angle"], ...}
   The gold answer is the value of the right choice (`120`), so that it also judges free-form
   answers. Checked against ten published problems (ids 11 to 20).
2. The parquet or arrow files of `hiyouga/geometry3k`, from a folder or the hub, with the columns
   `images` (encoded), `problem` (with an `<image>` tag, removed here) and `answer` (the value);
   newer revisions add `id` and `choices`. Without an id the row's number within its split is used.
   Written from the published schema; tested on a file of that schema, not on the real one.

`keep_choices=False` makes every problem free-form: with four options, a guess is right one time in
four, which is noise for reinforcement learning.
"""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.prompts import IMAGE_TAG
from adora_mm.types import Problem
from data_prep.sources.rows import RowError, image_bytes, parse_object, text, texts
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, cell_images, split_files, split_rows
from data_prep.writer import Entry

SPLITS = ("train", "val", "test")
_SPLIT_NAMES = {"train": "train", "val": "val", "validation": "val", "test": "test"}


def find(path: Path, split: str | None, *, keep_choices: bool = True) -> Found:
    """One split (default: all) of a folder of either form."""
    folders = _problem_folders(path, split)
    if folders:
        named = ((str(folder), folder) for folder in folders)
        return named, partial(_from_folder, keep_choices=keep_choices)
    files = split_files(path, _SPLIT_NAMES, split)
    if files:
        return split_rows(files), partial(_from_row, keep_choices=keep_choices)
    wanted = f"split {split!r} of " if split else ""
    raise ValueError(
        f"{path}: no {wanted}Geometry3K there: expected numbered folders with data.json (alone "
        "or in train/, val/, test/), or parquet files named after their split"
    )


SOURCE = Source(
    name="geometry3k",
    title="Geometry3K",
    find=find,
    splits=SPLITS,
    licence="MIT",
    summary="3,002 geometry problems with diagrams (train, val, test)",
    needs="the original folders, the parquet files of hiyouga/geometry3k, or that hub name",
    hub="hiyouga/geometry3k",
)
read = SOURCE.read


def _problem_folders(path: Path, split: str | None) -> list[Path]:
    """Numbered problem folders in the order of split and id."""
    found: list[tuple[int, int, Path]] = []
    for file in (*path.glob("*/data.json"), *path.glob("*/*/data.json")):
        name = _folder_split(file.parent)
        if file.parent.name.isdecimal() and (split is None or name == split):
            found.append((SPLITS.index(name), int(file.parent.name), file.parent))
    return [folder for _, _, folder in sorted(found)]


def _folder_split(folder: Path) -> str:
    """From the enclosing folder, else from data.json; a damaged file counts as `train` (and fails
    later, as a row with a name)."""
    if folder.parent.name in _SPLIT_NAMES:
        return _SPLIT_NAMES[folder.parent.name]
    try:
        record = json.loads((folder / "data.json").read_bytes())
    except (OSError, ValueError):
        return "train"
    data_type = record.get("data_type", "") if isinstance(record, dict) else ""
    return _SPLIT_NAMES.get(str(data_type), "train")


def _from_folder(folder: Path, *, keep_choices: bool) -> Entry:
    try:
        record = parse_object((folder / "data.json").read_bytes())
    except OSError as error:
        raise RowError("bad data.json", f"data.json cannot be read ({error.strerror})") from error
    choices = texts(record, "compact_choices")
    index = _letter_index(text(record, "answer"), len(choices))
    precise = record.get("precise_value")
    metadata = {
        "letter": text(record, "answer"),
        "goal": record.get("problem_type_goal"),
        "graph": record.get("problem_type_graph"),
        "precise_value": precise[index] if isinstance(precise, list) else None,
    }
    problem = Problem(
        id=f"geometry3k-{text(record, 'id')}",
        question=text(record, "compact_text"),
        answer=choices[index],
        choices=choices if keep_choices else (),
        source="geometry3k",
        split=_folder_split(folder),
        answer_type="choice" if keep_choices else "expression",
        metadata={key: value for key, value in metadata.items() if value is not None},
    )
    return Entry(problem=problem, images=(image_bytes(folder, "img_diagram.png"),))


def _letter_index(letter: str, count: int) -> int:
    index = ord(letter) - ord("A") if len(letter) == 1 else -1
    if not 0 <= index < count:
        raise RowError("bad answer letter", f"answer {letter!r} is none of the {count} choices")
    return index


def _from_row(row: tuple[str, int, Path, Any], *, keep_choices: bool) -> Entry:
    split, count, folder, columns = row
    record = as_record(columns)
    images = cell_images(record, "images", folder)
    if not images:
        raise RowError("no images", "column 'images' holds no image")
    choices = texts(record, "choices")
    answer = text(record, "answer")
    if choices and len(answer) == 1 and answer in "ABCD":
        answer = choices[_letter_index(answer, len(choices))]
    number = text(record, "id") if record.get("id") is not None else f"{split}-{count}"
    problem = Problem(
        id=f"geometry3k-{number}",
        question=IMAGE_TAG.sub("", text(record, "problem")).strip(),
        answer=answer,
        choices=choices if keep_choices else (),
        source="geometry3k",
        split=split,
        answer_type="choice" if choices and keep_choices else "expression",
    )
    return Entry(problem=problem, images=images)
