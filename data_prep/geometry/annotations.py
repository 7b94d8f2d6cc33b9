"""The annotation files of Geometry3K: one record per problem.

Source: Inter-GPS (Lu et al., ACL 2021), github.com/lupantech/InterGPS, `data/geometry3k`; licence
MIT. Two forms are read:

1. The archive, two JSON files in one folder, objects by id:
   `diagram_logic_forms_annot.json`
       {"12": {"point_positions": {"A": [3.0, 188.0], ...}, "line_instances": ["AB", ...],
               "circle_instances": ["X"], "diagram_logic_forms": ["Equals(LengthOf(Line(A, B)), 5)",
               "PointLiesOnCircle(E, Circle(X, radius_4_0))", ...]}, ...}
   `text_logic_forms_annot_dissolved.json`  {"12": {"text_logic_forms": ["Find(x)"]}, ...}
   Ids 0-2100 are train, 2101-2400 val, 2401-3001 test. Checked on all 3,002 real records.
2. Folders with one `logic_form.json` each, named by id (the original layout). Checked on ten.

A point at [-1, -1] has no position. Pixels have y downwards; here y points up.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DIAGRAMS = "diagram_logic_forms_annot.json"
TEXTS = "text_logic_forms_annot_dissolved.json"
LICENCE = "MIT"
_NAMES = re.compile(r"point_\d+|[A-Z]'?")
FIRST_VAL, FIRST_TEST = 2101, 2401


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What people wrote down about one problem."""

    id: str
    positions: Mapping[str, complex]
    """Points that have a position, y up, in pixels."""
    strokes: tuple[tuple[str, str], ...]
    circles: tuple[str, ...]
    """Centres of the circles that are listed."""
    diagram: tuple[str, ...]
    text: tuple[str, ...]

    @property
    def split(self) -> str:
        """The published split, from the id."""
        number = int(self.id)
        return "train" if number < FIRST_VAL else "val" if number < FIRST_TEST else "test"


def read_annotations(path: Path) -> Iterator[Annotation]:
    """The records of a folder of either form, in the order of their ids.

    Raises ValueError that names the file, the record and the column.
    """
    path = Path(path)
    if (path / DIAGRAMS).is_file():
        yield from _read_archive(path)
        return
    folders = [
        file.parent for file in path.glob("**/logic_form.json") if file.parent.name.isdigit()
    ]
    if not folders:
        raise ValueError(f"{path}: neither {DIAGRAMS} nor numbered folders with logic_form.json")
    for folder in sorted(folders, key=lambda folder: int(folder.name)):
        file = folder / "logic_form.json"
        record = _load(file)
        text = record.get("dissolved_text_logic_form", record.get("text_logic_form"))
        yield _record(file, folder.name, record, record.get("diagram_logic_form"), text)


def _read_archive(path: Path) -> Iterator[Annotation]:
    diagrams, texts = _load(path / DIAGRAMS), _load(path / TEXTS)
    for key in sorted(diagrams, key=_number):
        record = diagrams[key]
        if not isinstance(record, dict) or not isinstance(texts.get(key), dict):
            raise ValueError(
                f"{path}: record {key!r} is not an object in both {DIAGRAMS} and {TEXTS}"
            )
        forms = record.get("diagram_logic_forms")
        text = texts[key].get("text_logic_forms")
        yield _record(path / DIAGRAMS, key, record, forms, text)


def _number(key: str) -> int:
    if not key.isdigit():
        raise ValueError(f"{DIAGRAMS}: id {key!r} is not a number")
    return int(key)


def _load(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: must be a JSON object")
    return content


def _record(file: Path, key: str, record: Mapping[str, Any], diagram: Any, text: Any) -> Annotation:
    where = f"{file}, record {key!r}"
    points = record.get("point_positions")
    if not isinstance(points, dict):
        raise ValueError(f"{where}: column 'point_positions' must be an object")
    positions = {}
    for name, value in points.items():
        if not (isinstance(value, list) and len(value) == 2):
            raise ValueError(f"{where}: column 'point_positions': {name!r} must be [x, y]")
        if value != [-1, -1]:
            positions[name] = complex(float(value[0]), -float(value[1]))
    lines = _texts(where, "line_instances", record.get("line_instances"))
    return Annotation(
        id=key,
        positions=positions,
        strokes=tuple(_stroke(line) for line in lines if len(_NAMES.findall(line)) == 2),
        circles=tuple(
            c for c in _texts(where, "circle_instances", record.get("circle_instances")) if c
        ),
        diagram=_texts(where, "diagram_logic_forms", diagram),
        text=_texts(where, "text_logic_forms", text),
    )


def _stroke(line: str) -> tuple[str, str]:
    first, second = _NAMES.findall(line)
    return first, second


def _texts(where: str, column: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{where}: column {column!r} must be a list of texts")
    return tuple(item.strip() for item in value if item.strip())
