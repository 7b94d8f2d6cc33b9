r"""MM-Math: 5,929 open problems of Chinese middle schools, translated, with pictures and solutions.

Source: Sun et al., Findings of EMNLP 2024, hub `THU-KEG/MM_Math`; licence MIT.
Splits: none published; everything is `train`.

Form: `MM_Math.jsonl` (in `MM_Math/` or not) with the pictures of the unpacked archive beside it or
in a folder beside it:
    {"question": "As shown in the figure, in $\\triangle ABC$ ...", "file_name": "1.png",
     "solution": "Solution: ... Therefore, $BC=\\boxed{6}$.", "year": "nine",
     "difficult": "medium", "knowledge": "Properties of Shapes##Triangles"}
The gold is what stands in the one box of the solution; a solution with several different boxes (a
question in parts) or none is a bad row. Written from the dataset card and the authors' scorer;
tested on files of that schema, not on real ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from adora_mm.verify.extract import boxes
from data_prep.sources.rows import RowError, image_bytes, kept, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import as_record, split_rows
from data_prep.writer import Entry


def find(path: Path, split: str | None) -> Found:
    file = path if path.is_file() else next(iter(sorted(path.rglob("MM_Math.json*"))), None)
    if file is None:
        raise ValueError(f"{path}: no MM-Math there: expected MM_Math.jsonl beside its pictures")
    return split_rows([("train", file)]), _entry


SOURCE = Source(
    name="mmmath",
    title="MM-Math",
    find=find,
    splits=("train",),
    licence="MIT",
    summary="MM-Math, 5,929 middle-school problems with pictures and solutions (train)",
    needs="the folder with MM_Math.jsonl and the pictures",
)
read = SOURCE.read


def _entry(row: tuple[str, int, Path, Any]) -> Entry:
    _, number, folder, columns = row
    record = as_record(columns)
    solution = text(record, "solution")
    problem = Problem(
        id=f"mmmath-{number}",
        question=text(record, "question"),
        answer=only_box(solution),
        source="mmmath",
        split="train",
        answer_type="expression",
        metadata=kept(record, "year", "difficult", "knowledge") | {"solution": solution},
    )
    picture = record.get("file_name")
    images = (_picture(folder, text(record, "file_name")),) if picture else ()
    return Entry(problem=problem, images=images)


def _picture(folder: Path, name: str) -> bytes:
    """Beside the table, or in a folder beside it (the archive unpacks into one)."""
    if (folder / name).is_file():
        return image_bytes(folder, name)
    below = sorted(each for each in folder.glob(f"*/{Path(name).name}") if each.is_file())
    return image_bytes(folder, below[0].relative_to(folder).as_posix() if below else name)


def only_box(solution: str) -> str:
    r"""The content of `\boxed{...}`. Raises RowError unless all boxes agree and there is one."""
    contents, broken = boxes(solution)
    if broken:
        raise RowError("open box", "column 'solution' holds a \\boxed{ that never closes")
    found = list(dict.fromkeys(box.strip() for box in contents if box.strip()))
    if len(found) != 1:
        reason = "several answers" if found else "no boxed answer"
        raise RowError(reason, f"column 'solution' holds {len(found)} different boxed answers")
    return found[0]
