"""Geometry3K in both of its published forms, hand-made and, where present, real."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from source_files import ids, png, write_parquet

from data_prep.sources import BadRows, geometry3k

# --- Geometry3K, original folders ----------------------------------------------------------------

GEOMETRY_ROW = {
    "id": 17,
    "compact_text": "Find m \\angle Q.",
    "compact_choices": ["30", "45\\sqrt{2}", "60", "120"],
    "precise_value": [30.0, 63.6, 60.0, 120.0],
    "answer": "B",
    "data_type": "train",
    "problem_type_goal": ["Angle"],
    "problem_type_graph": ["Parallelogram"],
}


def geometry_folder(folder: Path, image: bytes | None = None, **changes: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "data.json").write_text(json.dumps(GEOMETRY_ROW | changes))
    (folder / "img_diagram.png").write_bytes(png() if image is None else image)
    return folder


def test_geometry3k_gold_is_the_value_of_the_right_choice(tmp_path: Path) -> None:
    geometry_folder(tmp_path / "17")
    (entry,) = geometry3k.read(tmp_path)
    problem = entry.problem
    assert (problem.id, problem.split, problem.source) == ("geometry3k-17", "train", "geometry3k")
    assert problem.question == "Find m \\angle Q."
    assert problem.answer == "45\\sqrt{2}"
    assert problem.choices == ("30", "45\\sqrt{2}", "60", "120")
    assert problem.metadata == {
        "letter": "B",
        "goal": ["Angle"],
        "graph": ["Parallelogram"],
        "precise_value": 63.6,
    }
    assert entry.images == (png(),)
    (free,) = geometry3k.read(tmp_path, keep_choices=False)
    assert (free.problem.choices, free.problem.answer) == ((), "45\\sqrt{2}")


def test_geometry3k_splits_come_from_folders_in_numeric_order(tmp_path: Path) -> None:
    for name, number in (("test", 2401), ("train", 10), ("train", 9), ("val", 2101)):
        geometry_folder(tmp_path / name / str(number), id=number)
    entries = list(geometry3k.read(tmp_path))
    assert [(e.problem.id, e.problem.split) for e in entries] == [
        ("geometry3k-9", "train"),
        ("geometry3k-10", "train"),
        ("geometry3k-2101", "val"),
        ("geometry3k-2401", "test"),
    ]
    assert ids(list(geometry3k.read(tmp_path, split="val"))) == ["geometry3k-2101"]
    assert ids(list(geometry3k.read(tmp_path / "train", limit=1))) == ["geometry3k-9"]


@pytest.mark.parametrize(
    ("changes", "reason", "message"),
    [
        ({"answer": "E"}, "bad answer letter", "answer 'E' is none of the 4 choices"),
        ({"compact_text": " "}, "empty compact_text", "column 'compact_text' must be a text"),
        ({"compact_choices": "30"}, "bad compact_choices", "must be a list"),
        ({"image": b""}, "bad image", "image 1: not an image"),
        ({"image": png((2, 9))}, "bad image", "2x9 px is too small"),
        ({"id": 16}, "duplicate id", "id 'geometry3k-16' was used before"),
    ],
)
def test_geometry3k_bad_folders_are_named_or_counted(
    tmp_path: Path, changes: dict[str, Any], reason: str, message: str
) -> None:
    geometry_folder(tmp_path / "16", id=16)
    geometry_folder(tmp_path / "17", **changes)
    geometry_folder(tmp_path / "18", id=18)
    with pytest.raises(ValueError, match=rf"17: .*{message}.*--on-bad drop"):
        list(geometry3k.read(tmp_path))
    bad = BadRows(drop=True)
    assert ids(list(geometry3k.read(tmp_path, bad=bad))) == ["geometry3k-16", "geometry3k-18"]
    assert bad.dropped == {reason: 1}


def test_geometry3k_missing_and_broken_files(tmp_path: Path) -> None:
    (geometry_folder(tmp_path / "1", id=1) / "img_diagram.png").unlink()
    (geometry_folder(tmp_path / "2", id=2) / "data.json").write_text("{")
    bad = BadRows(drop=True)
    assert list(geometry3k.read(tmp_path, bad=bad)) == []
    assert bad.dropped == {"bad image": 1, "not JSON": 1}


def test_geometry3k_unknown_layouts_and_splits(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no Geometry3K there: expected numbered folders"):
        list(geometry3k.read(tmp_path))
    with pytest.raises(ValueError, match="no split 'dev'; its splits: train, val, test"):
        list(geometry3k.read(tmp_path, split="dev"))
    geometry_folder(tmp_path / "17")
    with pytest.raises(ValueError, match="no split 'test' of Geometry3K there"):
        list(geometry3k.read(tmp_path, split="test"))


def test_geometry3k_published_examples(shared_data: Path) -> None:
    entries = list(geometry3k.read(shared_data / "geometry3k" / "examples"))
    assert ids(entries) == [f"geometry3k-{number}" for number in range(11, 21)]
    golds = ["80", "13", "9", "48", "5\\sqrt{3}", "10", "120", "22", "\\frac{2\\sqrt{2}}{5}", "16"]
    assert [entry.problem.answer for entry in entries] == golds
    assert all(len(e.problem.choices) == 4 and len(e.images) == 1 for e in entries)


# --- Geometry3K, parquet -------------------------------------------------------------------------


def parquet_row(**changes: Any) -> dict[str, Any]:
    image = {"bytes": png(), "path": None}
    return {"images": [image], "problem": "<image>Find x.", "answer": "4\\sqrt{2}"} | changes


def test_geometry3k_parquet_without_ids(tmp_path: Path) -> None:
    write_parquet(tmp_path / "data/train-00000-of-00002.parquet", [parquet_row(), parquet_row()])
    write_parquet(tmp_path / "data/train-00001-of-00002.parquet", [parquet_row()])
    write_parquet(tmp_path / "data/validation-00000-of-00001.parquet", [parquet_row()])
    entries = list(geometry3k.read(tmp_path))
    assert ids(entries) == [
        f"geometry3k-{name}" for name in ("train-1", "train-2", "train-3", "val-1")
    ]
    assert entries[0].problem.question == "Find x."
    assert entries[0].problem.answer == "4\\sqrt{2}"
    assert (entries[0].images, entries[0].problem.choices) == ((png(),), ())
    assert ids(list(geometry3k.read(tmp_path, split="val"))) == ["geometry3k-val-1"]


def test_geometry3k_parquet_with_ids_and_choices_agrees_with_the_folders(tmp_path: Path) -> None:
    row = parquet_row(id=17, choices=["30", "60"], answer="B")
    write_parquet(tmp_path / "default/test/0000.parquet", [row])
    (entry,) = geometry3k.read(tmp_path)
    problem = entry.problem
    assert (problem.id, problem.split) == ("geometry3k-17", "test")
    assert (problem.answer, problem.choices) == ("60", ("30", "60"))
    (free,) = geometry3k.read(tmp_path, keep_choices=False)
    assert (free.problem.answer, free.problem.choices) == ("60", ())


def test_geometry3k_parquet_bad_rows(tmp_path: Path) -> None:
    rows = [parquet_row(answer=""), parquet_row(images=[]), parquet_row()]
    write_parquet(tmp_path / "train-0.parquet", rows)
    with pytest.raises(ValueError, match=r"train-0\.parquet, row 1: column 'answer'"):
        list(geometry3k.read(tmp_path))
    bad = BadRows(drop=True)
    assert ids(list(geometry3k.read(tmp_path, bad=bad))) == ["geometry3k-train-3"]
    assert bad.dropped == {"empty answer": 1, "no images": 1}
    (tmp_path / "train-0.parquet").write_bytes(b"not parquet")
    with pytest.raises(ValueError, match="cannot be read as parquet"):
        list(geometry3k.read(tmp_path))
