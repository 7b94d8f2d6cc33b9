r"""UniGeo, the calculation part: 4,998 geometry problems in English with diagrams and four choices.

Source: Chen et al., EMNLP 2022, github.com/chen-judge/UniGeo. Licence: none stated by the authors.
Splits: train 3,499, val 745, test 754. The 9,543 proofs have no answer to check: left out.

The published files are pickles, which can run code when they are read, so they are not read here;
docs/data.md has a script that turns them into the form below, to be run where that is acceptable.
Form: `calculation_train.jsonl` (or .json, .parquet, .arrow; also val and test), with the names that
the pickles have:
    {"id": 17, "English_problem": "As shown in the figure , ... then ∠BCD is equal to ()",
     "numbers": [40.0], "choices": ["40°", "50°", "45°", "60°"], "label": 1,
     "image": "image/17.png"}
The text names its numbers (`∠ABC = N_0`); they are put in from `numbers`, and a text that names one
which is not there is a bad row. `label` counts from 0; the gold is the text of that choice. The
problems are those of GeoQA in translation: never mix the two, and audit one against the other's
test split. Written from the code that reads the pickles in the authors' repository and in others;
script and reader are tested on pickles made to that schema, not on real ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.geoqa import SPLIT_NAMES, SPLITS, labelled_choice
from data_prep.sources.rows import RowError, text, texts
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, cell_images, split_files, split_rows
from data_prep.writer import Entry

_NUMBER = re.compile(r"\bNS?_(\d+)")


def find(path: Path, split: str | None) -> Found:
    """One split (default: all) of the converted files."""
    tables = [
        (name, file)
        for name, file in split_files(path, SPLIT_NAMES, split)
        if "proving" not in file.stem
    ]
    if not tables:
        pickles = path.is_dir() and any(path.rglob("*.pk"))
        raise ValueError(
            f"{path}: "
            + (
                "holds pickles, which can run code and are not read; convert them as docs/data.md "
                "shows"
                if pickles
                else "no UniGeo there: expected calculation_train.jsonl, _val and _test"
            )
        )
    return split_rows(tables), _entry


SOURCE = Source(
    name="unigeo",
    title="UniGeo",
    find=find,
    splits=SPLITS,
    licence="none stated by the authors; check before use",
    summary="UniGeo's 4,998 calculations: GeoQA's problems in English (train, val, test)",
    needs="calculation_train.jsonl, _val, _test, converted from the pickles (docs/data.md)",
)
read = SOURCE.read


def _entry(row: tuple[str, int, Path, Any]) -> Entry:
    split, number, folder, columns = row
    record = as_record(columns)
    choices = texts(record, "choices")
    images = cell_images(record, "image", folder)
    if not images:
        raise RowError("no images", "column 'image' holds no image")
    own_id = text(record, "id") if record.get("id") is not None else str(number)
    problem = Problem(
        id=f"unigeo-{split}-{own_id}",
        question=_with_numbers(record),
        answer=labelled_choice(record, choices),
        choices=choices,
        source="unigeo",
        split=split,
        answer_type="choice",
        metadata={"label": record["label"]},
    )
    return Entry(problem=problem, images=images)


def _with_numbers(record: Mapping[str, Any]) -> str:
    """The question with its numbers in the places that name them."""
    numbers = texts(record, "numbers")

    def number(name: re.Match[str]) -> str:
        place = int(name[1])
        if name[0].startswith("NS") or place >= len(numbers):
            raise RowError("number not given", f"{name[0]} is none of {len(numbers)} numbers")
        return numbers[place]

    return _NUMBER.sub(number, text(record, "English_problem"))
