r"""We-Math: 1,740 visual problems of school mathematics with choices; for evaluation.

Source: Qiao et al., ACL 2025 (arXiv 2407.01284), github.com/We-Math/We-Math; CC BY-NC 4.0.
Split: testmini 1,740 (problems of one, two and three steps; the parts of a problem share `ID`, and
`key` says which part a row is).

Form: `testmini.json` beside the folders of pictures, or the parquet files of the hub's
`We-Math/We-Math`, where `image_path` holds the picture itself:
    {"ID": "2steps_1", "split": "testmini", "question": "According to the diagram ... OA = ( ) m",
     "option": "A. 300, 400;B. 400, 300;C. 3000, 4000;D. 4000, 3000; E. No correct answer",
     "answer": "C", "image_path": "2steps/image/1-1.png", "key": "2steps_1", "question number": 1,
     "knowledge concept": "Conversion Rates and Calculations Between Length Units", ...}
The options are one text; it is cut at the letters in order, so that commas and semicolons inside
an option stay. IDs repeat over the parts of a problem, so ids are row numbers. Checked against the
first 15 published records of testmini.json, without their pictures; the parquet form only against
the documented schema.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import BadRows, RowError, convert, text
from data_prep.sources.tables import as_record, cell_images, local_copy, split_files, split_rows
from data_prep.writer import Entry

SPLITS = ("testmini",)
LICENCE = "CC BY-NC 4.0"
_SEPARATORS = " \t\n;\uff1b"


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
    images: bool = True,
) -> Iterator[Entry]:
    """Entries of testmini from its folder, file or hub name; `images=False` leaves pictures out.

    Raises ValueError for another split or a missing file, and for bad rows unless `bad` drops them.
    """
    if split not in (None, *SPLITS):
        raise ValueError(f"We-Math has no split {split!r} with answers; its split: testmini")
    files = split_files(local_copy(path), {"testmini": "testmini"})
    if not files:
        raise ValueError(f"{path}: no We-Math there: expected testmini.json or testmini-*.parquet")
    yield from convert(split_rows(files), partial(_entry, images=images), limit=limit, bad=bad)


def _entry(row: tuple[str, int, Path, Any], *, images: bool) -> Entry:
    _, number, folder, columns = row
    record = as_record(columns)
    choices = cut_options(text(record, "option"))
    letter = text(record, "answer")
    if letter not in string.ascii_uppercase[: len(choices)]:
        raise RowError("bad answer letter", f"answer {letter!r} is none of {len(choices)} options")
    metadata = {
        "key": record.get("key"),
        "part": record.get("ID"),
        "concept": record.get("knowledge concept"),
    }
    problem = Problem(
        id=f"wemath-{number}",
        question=text(record, "question"),
        answer=letter,
        choices=choices,
        source="wemath",
        split="testmini",
        answer_type="choice",
        metadata={key: value for key, value in metadata.items() if value is not None},
    )
    pictures = cell_images(record, "image_path", folder) if images else ()
    return Entry(problem=problem, images=pictures)


def cut_options(options: str) -> tuple[str, ...]:
    """`A. 1;B. 2; C. 3` as ("1", "2", "3"). Raises RowError unless A, B, ... follow in order."""
    starts: list[tuple[int, int]] = []
    position = 0
    for letter in string.ascii_uppercase:
        lead = r"^\s*" if not starts else r"[;\uff1b\n]\s*"
        found = re.compile(rf"{lead}({letter})\s*[.\uff0e\u3001:\uff1a]").search(options, position)
        if found is None:
            break
        starts.append((found.start(1), found.end()))
        position = found.end()
    if len(starts) < 2:
        raise RowError("bad option", f"column 'option' is no list of lettered options: {options!r}")
    ends = [start for start, _ in starts[1:]] + [len(options)]
    cut = tuple(
        options[begin:end].strip(_SEPARATORS) for (_, begin), end in zip(starts, ends, strict=True)
    )
    if not all(cut):
        raise RowError("bad option", f"column 'option' holds an empty option: {options!r}")
    return cut
