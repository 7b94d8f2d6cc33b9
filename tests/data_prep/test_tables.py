"""Tables in every form they come in, hub names offline, and what is found on a machine."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from source_files import png, write_arrow, write_json, write_jsonl, write_parquet

from adora_mm.data import load_problems
from data_prep import cli
from data_prep.sources import BadRows, jsonl
from data_prep.sources.present import find_local
from data_prep.sources.rows import RowError
from data_prep.sources.tables import (
    as_record,
    cell,
    cell_images,
    is_hub_name,
    local_copy,
    revision_of,
    split_files,
    table_rows,
)

ROWS = [{"question": f"{n} + {n}?", "answer": str(2 * n), "n": n} for n in range(1, 41)]
WRITERS: dict[str, Callable[[Path], Path]] = {
    "rows.jsonl": lambda file: write_jsonl(file, ROWS),
    "rows.json": lambda file: write_json(file, ROWS),
    "rows.parquet": lambda file: write_parquet(file, ROWS),
    "rows.arrow": lambda file: write_arrow(file, ROWS, stream=True),
    "file/rows.arrow": lambda file: write_arrow(file, ROWS, stream=False),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_table_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    file = WRITERS[name](tmp_path / name)
    rows = list(table_rows(file))
    assert [where for where, _ in rows[:2]] == [f"{file}, row 1", f"{file}, row 2"]
    columns = [{k: v for k, v in as_record(row).items() if k != "_key"} for _, row in rows]
    assert columns == ROWS


@pytest.mark.parametrize("name", WRITERS)
def test_every_kind_of_table_becomes_the_same_problems(name: str, tmp_path: Path) -> None:
    entries = list(jsonl.read(WRITERS[name](tmp_path / name), keep=["n"]))
    assert [(e.problem.id, e.problem.answer) for e in entries] == [
        (f"rows-{n}", str(2 * n)) for n in range(1, 41)
    ]
    assert entries[6].problem.metadata == {"n": 7}


def test_an_object_of_objects_gives_its_keys(tmp_path: Path) -> None:
    file = write_json(tmp_path / "a.json", {"p7": {"x": 1}, "p8": {"x": 2}})
    assert [row for _, row in table_rows(file)] == [
        {"x": 1, "_key": "p7"},
        {"x": 2, "_key": "p8"},
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"not parquet", r"a\.parquet: cannot be read as parquet"),
        ("a.arrow", b"not arrow", r"a\.arrow: cannot be read as arrow"),
        ("a.json", b"{", r"a\.json: not JSON"),
        ("a.json", b"7", r"a\.json: neither a list nor an object"),
        ("a.pkl", b"", r"a\.pkl: not a table that is read"),
    ],
)
def test_broken_tables_are_named(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        list(table_rows(tmp_path / name))
    with pytest.raises(ValueError, match="no such file"):
        list(table_rows(tmp_path / f"absent-{name}"))


def test_a_bad_line_is_a_bad_row_with_its_number(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "a.jsonl", [ROWS[0], "{"])
    with pytest.raises(ValueError, match=r"a\.jsonl, row 2: not JSON"):
        list(jsonl.read(file))


def test_a_member_that_is_no_object_is_a_bad_row_too(tmp_path: Path) -> None:
    file = write_json(tmp_path / "a.json", [ROWS[0], 7, ROWS[1]])
    with pytest.raises(ValueError, match=r"a\.json, row 2: not a JSON object"):
        list(jsonl.read(file))
    bad = BadRows(drop=True)
    assert [entry.problem.id for entry in jsonl.read(file, bad=bad)] == ["a-1", "a-3"]
    assert bad.dropped == {"not JSON": 1}


def test_splits_come_from_file_names(tmp_path: Path) -> None:
    names = (
        "data/validation-00000-of-00001.parquet",
        "data/train-00001-of-00002.parquet",
        "data/train-00000-of-00002.parquet",
        "test/0000.parquet",
        "set_test.jsonl",
        "notes.jsonl",
    )
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    wanted = {"train": "train", "validation": "val", "test": "test"}
    found = [
        (split, f.relative_to(tmp_path).as_posix()) for split, f in split_files(tmp_path, wanted)
    ]
    assert found == [
        ("train", "data/train-00000-of-00002.parquet"),
        ("train", "data/train-00001-of-00002.parquet"),
        ("val", "data/validation-00000-of-00001.parquet"),
        ("test", "set_test.jsonl"),
        ("test", "test/0000.parquet"),
    ]
    assert [split for split, _ in split_files(tmp_path, wanted, "val")] == ["val"]
    single = tmp_path / "notes.jsonl"
    assert split_files(single, wanted) == [("train", single)]
    assert split_files(single, wanted, "test") == [("test", single)]
    assert split_files(tmp_path / "set_test.jsonl", wanted, "train") == []


def test_a_folder_of_tables_with_nested_columns_and_pictures(tmp_path: Path) -> None:
    def row(number: int) -> dict[str, Any]:
        picture = {"bytes": png(ink=number), "path": None}
        return {"q": "<image>Find x.", "gold": {"value": f"{number}"}, "pics": [picture]}

    write_parquet(tmp_path / "train-0.parquet", [row(1), row(2)])
    write_parquet(tmp_path / "test-0.parquet", [row(3)])
    columns = {"question": "q", "answer": "gold.value", "images": "pics"}
    entries = list(jsonl.read(tmp_path, columns=columns, name="mine"))
    assert [(e.problem.id, e.problem.split, e.problem.answer) for e in entries] == [
        ("mine-train-1", "train", "1"),
        ("mine-train-2", "train", "2"),
        ("mine-test-1", "test", "3"),
    ]
    assert [e.images for e in entries] == [(png(ink=n),) for n in (1, 2, 3)]
    (tmp_path / "nothing").mkdir()
    with pytest.raises(ValueError, match="no table there that is named after its split"):
        list(jsonl.read(tmp_path / "nothing"))


def test_cells_and_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    record = {"a": {"b": 1}, "a.b": 2, "x": png(), "y": ["a.png", {"path": "a.png"}], "z": 3}
    assert (cell(record, "a.b"), cell(record, "a"), cell(record, "a.c")) == (2, {"b": 1}, None)
    assert cell({"a": {"b": 1}}, "a.b") == 1
    assert cell_images(record, "x", tmp_path) == (png(),)
    assert cell_images(record, "y", tmp_path) == (png(), png())
    assert cell_images(record, "absent", tmp_path) == ()
    with pytest.raises(RowError, match="column 'z' holds no image, but 3"):
        cell_images(record, "z", tmp_path)
    with pytest.raises(RowError, match="cannot be read"):
        cell_images({"x": "../a.png"}, "x", tmp_path)


# --- the hub -------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def cached(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The empty snapshot of a hub data set in a cache of its own."""
    cache = tmp_path / "cache"
    base = cache / f"datasets--{name.replace('/', '--')}"
    snapshot = base / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (base / "refs").mkdir()
    (base / "refs/main").write_text(COMMIT)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub._snapshot_download.constants.HF_HUB_CACHE", str(cache))
    return snapshot


def test_hub_names_are_told_from_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_hub_name(Path("hiyouga/geometry3k"))
    assert is_hub_name(Path("hiyouga/geometry3k@v1.0"))
    assert not is_hub_name(Path("a/b/c"))
    (tmp_path / "hiyouga/geometry3k").mkdir(parents=True)
    assert not is_hub_name(Path("hiyouga/geometry3k"))
    assert local_copy(tmp_path) == tmp_path


def test_without_the_hub_one_line_says_what_to_do(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ["mmk12", "--from", "nobody/absent", "--out", str(tmp_path / "out")]
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "nobody/absent: no such file or folder, and the hub did not give it" in error
    assert "download it elsewhere and pass its folder" in error


def test_the_revision_is_the_commit_of_the_cache() -> None:
    assert revision_of(Path("snapshots") / COMMIT) == COMMIT
    assert revision_of(Path("data/geo3k")) == ""


def test_a_cached_hub_set_is_read_offline_with_its_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jsonl(cached("me/sums", tmp_path, monkeypatch) / "train.jsonl", ROWS)
    out = tmp_path / "out"
    assert cli.main(["parquet", "--from", "me/sums", "--name", "sums", "--out", str(out)]) == 0
    assert len(load_problems(out, split="train")) == 40
    recorded = json.loads((out / "manifest.json").read_text())["arguments"]
    assert (recorded["from"], recorded["revision"]) == ("me/sums", COMMIT)


def test_the_one_table_of_a_hub_set_is_a_contest_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    snapshot = cached("AI-MO/aimo-validation-amc", tmp_path, monkeypatch)
    rows = [{"problem": "1+1?", "answer": 2.0}]
    write_parquet(snapshot / "data/train-00000-of-00001.parquet", rows)
    out = tmp_path / "out"
    assert cli.main(["amc83", "--from", "AI-MO/aimo-validation-amc", "--out", str(out)]) == 0
    (problem,) = load_problems(out, split="test")
    assert (problem.id, problem.answer) == ("amc83-1", "2")


# --- what is here --------------------------------------------------------------------------------


def test_prepared_and_published_folders_are_found(tmp_path: Path) -> None:
    answer = "x\n#### 2"
    write_jsonl(tmp_path / "raw/train.jsonl", [{"question": "1+1?", "answer": answer}])
    out = str(tmp_path / "ready")
    assert cli.main(["gsm8k", "--from", str(tmp_path / "raw"), "--out", out]) == 0
    (tmp_path / "junk").mkdir()
    found = find_local([tmp_path, tmp_path / "absent"])
    assert found == {
        "gsm8k": [
            f"{tmp_path / 'raw'} (as published)",
            f"{tmp_path / 'ready'} (prepared, 1 problems)",
        ]
    }


def test_real_sets_are_found(shared_data: Path) -> None:
    found = find_local([shared_data])
    for name, folder in {
        "geometry3k": "geometry3k",
        "mathvision": "mathvision",
        "amc83": "text",
    }.items():
        assert f"{shared_data / folder} (as published)" in found[name]


def test_the_parquet_files_of_knights_and_knaves(shared_data: Path) -> None:
    columns = {"question": "quiz", "answer": "solution_text", "id": "index"}
    entries = list(jsonl.read(shared_data / "kk/3ppl_test.parquet", columns=columns))
    assert len(entries) == 100
    assert all(" is a kn" in entry.problem.answer for entry in entries)


def test_parquet_is_read_in_small_batches(tmp_path: Path) -> None:
    """What arrow holds at a time does not grow with the file."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    noise = random.Random(0).randbytes(20_000)
    peaks = []
    for count in (200, 800):
        file = tmp_path / f"{count}.parquet"
        rows = [{"picture": noise[n:] + noise[:n], "n": n} for n in range(count)]
        parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=100)
        del rows
        before = pyarrow.total_allocated_bytes()
        held = [pyarrow.total_allocated_bytes() - before for _ in table_rows(file)]
        assert len(held) == count
        peaks.append(max(held))
    assert peaks[1] < 1.5 * peaks[0]
