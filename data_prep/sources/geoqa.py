r"""GeoQA and GeoQA+: Chinese school geometry with diagrams, mostly four choices.

Source: GeoQA, Chen et al., Findings of ACL 2021, github.com/chen-judge/GeoQA (5,010 problems);
GeoQA+, Cao and Xiao, COLING 2022, github.com/SCNU203/GeoQA-Plus (7,528 with those of GeoQA).
Licence: the authors state none; the R1-V conversion says Apache-2.0.

Two forms are read:

1. The published folder: `json/0.json ...` beside `image/0.png ...`, Chinese text:
       {"subject": "如图,AB∥CD,∠ABC=50°,则∠BCD等于()", "choices": ["40°", "50°", "45°", "60°"],
        "label": 1, "answer": "解:∵AB∥CD,∴∠BCD=∠ABC=50°.", ...}
   `label` counts from 0; the gold is the text of that choice. Splits come from folders called
   `train`, `val` and `test`; without them everything is `train`.
2. Tables as R1-V made them (`leonardPKU/GEOQA_R1V_Train_8K`), English, free-form:
       {"image": <encoded>, "problem": "As shown in the figure, ... ∠BCD = ?",
        "solution": "<answer> 145° </answer>"}

The splits of the papers are in pickles, which can run code when they are read, so they are not
read here. GeoQA's problems are also those of UniGeo's calculation part. Written from the code that
reads these files in public repositories; tested on files made to that schema, not on real ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
SPLIT_NAMES = {"train": "train", "val": "val", "dev": "val", "validation": "val", "test": "test"}
_ANSWER = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def find(path: Path, split: str | None, *, name: str) -> Found:
    """One split (default: all) of a folder of either form, or of a table; ids begin with `name`."""
    published = _published(path, split)
    if published:
        rows = ((str(file), (split_, file)) for split_, file in published)
        return rows, partial(_from_file, name=name)
    tables = split_files(path, SPLIT_NAMES, split)
    if not tables:
        raise ValueError(
            f"{path}: no GeoQA there: expected json/*.json beside image/*.png, or tables named "
            "after their split; pickles (.pk) are not read"
        )
    return split_rows(tables), partial(_from_row, name=name)


SOURCE = Source(
    name="geoqa",
    title="geoqa",
    find=partial(find, name="geoqa"),
    splits=SPLITS,
    licence="none stated by the authors; check before use",
    summary="GeoQA, 5,010 geometry problems with diagrams, Chinese (8,031 English ones: R1-V)",
    needs="the folder with json/ and image/, the parquet files of R1-V, or their hub name",
    hub="leonardPKU/GEOQA_R1V_Train_8K",
)
PLUS = Source(
    name="geoqa_plus",
    title="geoqa_plus",
    find=partial(find, name="geoqa_plus"),
    splits=SPLITS,
    licence=SOURCE.licence,
    summary="GeoQA+, 7,528 geometry problems with diagrams, Chinese, GeoQA's among them",
    needs="the folder with json/ and image/",
)
read = SOURCE.read


def _published(path: Path, split: str | None) -> list[tuple[str, Path]]:
    """(split, file) of the numbered JSON files, in the order of split and number."""
    found: list[tuple[int, int, Path]] = []
    for file in path.rglob("json/**/*.json") if path.is_dir() else ():
        folders = {part.lower() for part in file.relative_to(path).parts[:-1]}
        named = next((SPLIT_NAMES[part] for part in SPLIT_NAMES if part in folders), "train")
        if file.stem.isdecimal() and split in (None, named):
            found.append((SPLITS.index(named), int(file.stem), file))
    return [(SPLITS[order], file) for order, _, file in sorted(found)]


def _from_file(row: tuple[str, Path], *, name: str) -> Entry:
    split, file = row
    record = parse_object(file.read_bytes())
    choices = texts(record, "choices")
    metadata = {"solution": record.get("answer"), "label": record.get("label")}
    problem = Problem(
        id=f"{name}-{file.stem}",
        question=text(record, "subject"),
        answer=labelled_choice(record, choices),
        choices=choices,
        source=name,
        split=split,
        answer_type="choice",
        metadata={key: value for key, value in metadata.items() if value is not None},
    )
    return Entry(problem=problem, images=(_diagram(file),))


def _diagram(file: Path) -> bytes:
    """The picture of `.../json/train/7.json`: `.../image/train/7.png`."""
    depth = next(i for i, parent in enumerate(file.parents) if parent.name == "json")
    root = file.parents[depth].parent
    below = file.relative_to(file.parents[depth]).with_suffix(".png")
    return image_bytes(root.resolve(), f"image/{below.as_posix()}")


def labelled_choice(record: Mapping[str, Any], choices: tuple[str, ...]) -> str:
    """The choice that `label` (from 0) names, or RowError."""
    label = record.get("label")
    if not isinstance(label, int) or isinstance(label, bool) or not 0 <= label < len(choices):
        raise RowError("bad label", f"label {label!r} is none of the {len(choices)} choices")
    return choices[label]


def _from_row(row: tuple[str, int, Path, Any], *, name: str) -> Entry:
    split, number, folder, columns = row
    record = as_record(columns)
    solution = text(record, "solution")
    found = _ANSWER.search(solution)
    answer = found.group(1).strip() if found else solution
    if not answer:
        raise RowError("empty solution", "column 'solution' holds an empty <answer>")
    images = cell_images(record, "image", folder)
    if not images:
        raise RowError("no images", "column 'image' holds no image")
    problem = Problem(
        id=f"{name}-{split}-{number}",
        question=IMAGE_TAG.sub("", text(record, "problem")).strip(),
        answer=answer,
        source=name,
        split=split,
        answer_type="expression",
    )
    return Entry(problem=problem, images=images)
