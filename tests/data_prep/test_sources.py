"""MATH-Vision, GSM8K and any `.jsonl`: hand-made rows, and real files where they are present."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from source_files import ids, png, write_jsonl, write_parquet

from data_prep.sources import SOURCES, BadRows, gsm8k, jsonl, mathvision

# --- MATH-Vision ---------------------------------------------------------------------------------


def vision_row(**changes: Any) -> dict[str, Any]:
    row = {"id": "6", "question": "In which picture?\n<image1>", "options": [], "answer": "61"}
    return row | {"level": 3, "subject": "logic", "image": "images/6.png"} | changes


def vision_folder(folder: Path, *rows: dict[str, Any] | str) -> Path:
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images/6.png").write_bytes(png())
    write_jsonl(folder / "testmini.jsonl", rows)
    return folder


def test_mathvision_row(tmp_path: Path) -> None:
    (entry,) = mathvision.read(vision_folder(tmp_path, vision_row()))
    problem = entry.problem
    assert (problem.id, problem.split, problem.question) == (
        "mathvision-6",
        "testmini",
        "In which picture?",
    )
    assert (problem.answer, problem.choices, problem.answer_type) == ("61", (), "")
    assert problem.metadata == {"subject": "logic", "level": 3}
    assert entry.images == (png(),)


@pytest.mark.parametrize(
    ("options", "choices"),
    [
        (["A", "B", "C"], ("A", "B", "C")),
        (["(A)", "(B)", "(C)"], ("A", "B", "C")),
        (["$10^{\\circ}$", "B"], ("$10^{\\circ}$", "B")),
        (["B", "A"], ("B", "A")),
    ],
)
def test_mathvision_options(tmp_path: Path, options: list[str], choices: tuple[str, ...]) -> None:
    row = vision_row(options=options, answer="B")
    (entry,) = mathvision.read(vision_folder(tmp_path, row))
    assert (entry.problem.choices, entry.problem.answer) == (choices, "B")
    assert entry.problem.answer_type == "choice"


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Look:\n<image1>\nand at\n<image2>\nWhich?", "Look:\nand at\nWhich?"),
        ("The ant <image1> walks to <image2>.", "The ant walks to."),
        ("$a <b$, <image> and $c> d$", "$a <b$, and $c> d$"),
    ],
)
def test_mathvision_tags_leave_no_gaps(tmp_path: Path, question: str, expected: str) -> None:
    (entry,) = mathvision.read(vision_folder(tmp_path, vision_row(question=question)))
    assert entry.problem.question == expected


@pytest.mark.parametrize("gold", ["69{degrees}", "\frac{1}{2}", " \\boxed{3} "])
def test_mathvision_golds_stay_as_published(tmp_path: Path, gold: str) -> None:
    (entry,) = mathvision.read(vision_folder(tmp_path, vision_row(answer=gold)))
    assert entry.problem.answer == gold


@pytest.mark.parametrize("image", ["images/7.png", "../6.png", "/etc/passwd"])
def test_mathvision_images_must_be_there_and_inside(tmp_path: Path, image: str) -> None:
    with pytest.raises(ValueError, match=r"testmini\.jsonl, row 1: image .* cannot be read"):
        list(mathvision.read(vision_folder(tmp_path, vision_row(image=image))))


def test_mathvision_missing_file_and_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"test\.jsonl: no such file"):
        list(mathvision.read(tmp_path, split="test"))
    with pytest.raises(ValueError, match="no split 'train'"):
        list(mathvision.read(tmp_path, split="train"))


def test_mathvision_testmini_is_whole(shared_data: Path) -> None:
    entries = list(mathvision.read(shared_data / "mathvision"))
    assert len(entries) == 304
    assert set(Counter(e.problem.metadata["subject"] for e in entries).values()) == {19}
    assert sum(not e.problem.choices for e in entries) == 114
    assert not any("<image" in e.problem.question for e in entries)
    for entry in entries:
        if entry.problem.choices:
            assert entry.problem.answer in "ABCDE"[: len(entry.problem.choices)]


def test_mathvision_parquet_is_the_same(tmp_path: Path) -> None:
    rows = [vision_row(), vision_row(id="7", options=["A", "B"], answer="B")]
    folder = vision_folder(tmp_path, *rows)
    encoded = {"bytes": png(), "path": None}
    file = tmp_path / "hub/data/testmini-00000-of-00001.parquet"
    write_parquet(file, [row | {"decoded_image": encoded} for row in rows])
    assert list(mathvision.read(tmp_path / "hub")) == list(mathvision.read(folder))


# --- GSM8K ---------------------------------------------------------------------------------------


def test_gsm8k_row(tmp_path: Path) -> None:
    answer = "48/2 = <<48/2=24>>24 clips.\n40*27 = <<40*27=1080>>1,080\n#### 1,080"
    file = write_jsonl(tmp_path / "train.jsonl", [{"question": "How many? ", "answer": answer}])
    (entry,) = gsm8k.read(file)
    problem = entry.problem
    assert (problem.id, problem.split, problem.question) == ("gsm8k-train-1", "train", "How many?")
    assert (problem.answer, problem.answer_type) == ("1080", "number")
    assert problem.metadata == {"solution": "48/2 = 24 clips.\n40*27 = 1,080"}
    assert entry.images == ()


def test_gsm8k_bad_rows_and_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no GSM8K there: expected train\.jsonl"):
        list(gsm8k.read(tmp_path))
    rows: list[dict[str, Any] | str] = [
        {"question": "q", "answer": "#### 1"},
        {"question": "q", "answer": "the answer is 1"},
        {"question": "q", "answer": "#### one"},
        {"answer": "#### 1"},
        "{",
        {"question": "q", "answer": "#### -2.5"},
    ]
    file = write_jsonl(tmp_path / "gsm8k_test.jsonl", rows)
    with pytest.raises(ValueError, match=r"gsm8k_test\.jsonl, row 2: .*no number after '####'"):
        list(gsm8k.read(tmp_path))
    bad = BadRows(drop=True)
    assert ids(list(gsm8k.read(file, bad=bad))) == ["gsm8k-test-1", "gsm8k-test-6"]
    assert bad.dropped == {"no final number": 2, "no question": 1, "not JSON": 1}
    with pytest.raises(ValueError, match="no GSM8K there"):
        list(gsm8k.read(tmp_path, split="train"))


@pytest.mark.parametrize(("split", "count"), [("train", 7473), ("test", 1319)])
def test_gsm8k_published_files(shared_data: Path, split: str, count: int) -> None:
    entries = list(gsm8k.read(shared_data / "text", split=split))
    assert len(entries) == count
    assert all("<<" not in entry.problem.metadata["solution"] for entry in entries)
    assert not any("," in entry.problem.answer for entry in entries)


def test_gsm8k_from_the_hub_is_its_main_part(tmp_path: Path) -> None:
    rows = [{"question": "1+1?", "answer": "so\n#### 2"}]
    for part in ("main", "socratic"):
        for split in ("train", "test"):
            write_parquet(tmp_path / part / f"{split}-00000-of-00001.parquet", rows)
    assert ids(list(gsm8k.read(tmp_path))) == ["gsm8k-train-1", "gsm8k-test-1"]
    with pytest.raises(ValueError, match="GSM8K has no split 'val'"):
        list(gsm8k.read(tmp_path, split="val"))


def test_gsm8k_in_several_parquet_files_is_numbered_through(tmp_path: Path) -> None:
    rows = [{"question": f"{n}+1?", "answer": f"#### {n + 1}"} for n in range(5)]
    write_parquet(tmp_path / "data/train-00001-of-00002.parquet", rows[3:])
    write_parquet(tmp_path / "data/train-00000-of-00002.parquet", rows[:3])
    write_parquet(tmp_path / "data/test-00000-of-00001.parquet", rows[:1])
    entries = list(gsm8k.read(tmp_path, split="train"))
    assert ids(entries) == [f"gsm8k-train-{n}" for n in range(1, 6)]
    assert [entry.problem.answer for entry in entries] == ["1", "2", "3", "4", "5"]
    assert len(list(gsm8k.read(tmp_path))) == 6


# --- any .jsonl ----------------------------------------------------------------------------------


def test_jsonl_maps_columns_and_keeps_metadata(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png())
    row = {
        "problem": "<image>Find x.",
        "final": ["142"],
        "uid": "algebra/7",
        "pics": "a.png",
        "options": ["1", 142.0],
        "level": 2,
    }
    file = write_jsonl(tmp_path / "my_set.jsonl", [row])
    columns = {
        "question": "problem",
        "answer": "final",
        "id": "uid",
        "images": "pics",
        "choices": "options",
    }
    (entry,) = jsonl.read(file, columns=columns, keep=["level", "absent"])
    problem = entry.problem
    assert (problem.id, problem.source) == ("my_set-algebra/7", "my_set")
    assert (problem.question, problem.answer) == ("Find x.", "142")
    assert (problem.choices, problem.metadata, problem.split) == (
        ("1", "142"),
        {"level": 2},
        "train",
    )
    assert entry.images == (png(),)


@pytest.mark.parametrize(
    ("value", "answer"), [(142.0, "142"), (0.5, "0.5"), (7, "7"), (" x ", "x"), (["5"], "5")]
)
def test_jsonl_answers_become_text(tmp_path: Path, value: object, answer: str) -> None:
    file = write_jsonl(tmp_path / "s.jsonl", [{"question": "q", "answer": value}])
    (entry,) = jsonl.read(file)
    assert entry.problem.answer == answer


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "empty answer"),
        (True, "empty answer"),
        ("", "empty answer"),
        (["1", "2"], "several answers"),
        ([], "several answers"),
        ({"v": 1}, "empty answer"),
    ],
)
def test_jsonl_refuses_answers_without_one_meaning(
    tmp_path: Path, value: object, reason: str
) -> None:
    file = write_jsonl(tmp_path / "s.jsonl", [{"question": "q", "answer": value}])
    with pytest.raises(ValueError, match=r"s\.jsonl, row 1: column 'answer'"):
        list(jsonl.read(file))
    bad = BadRows(drop=True)
    assert list(jsonl.read(file, bad=bad)) == []
    assert bad.dropped == {reason: 1}


def test_jsonl_split_selects_by_column_or_names_the_split(tmp_path: Path) -> None:
    rows = [
        {"question": "q", "answer": "1", "split": "test"},
        {"question": "q", "answer": "1", "split": "train"},
        {"question": "q", "answer": "1", "split": "test"},
    ]
    file = write_jsonl(tmp_path / "s.jsonl", rows)
    assert ids(list(jsonl.read(file, split="test"))) == ["s-1", "s-3"]
    assert ids(list(jsonl.read(file, split="test", limit=1))) == ["s-1"]
    assert {e.problem.split for e in jsonl.read(file)} == {"test", "train"}
    plain = write_jsonl(tmp_path / "t.jsonl", [{"question": "q", "answer": "1"}])
    (entry,) = jsonl.read(plain, split="val", name="mine")
    assert (entry.problem.split, entry.problem.id) == ("val", "mine-1")


def test_jsonl_images_come_from_inside_the_image_root(tmp_path: Path) -> None:
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "a.png").write_bytes(png())
    row = {"question": "q", "answer": "1", "images": ["a.png", str(tmp_path / "pics" / "a.png")]}
    file = write_jsonl(tmp_path / "s.jsonl", [row])
    (entry,) = jsonl.read(file, image_root=tmp_path / "pics")
    assert len(entry.images) == 2
    with pytest.raises(ValueError, match=r"row 1: image 'a\.png' cannot be read"):
        list(jsonl.read(file))
    write_jsonl(file, [row | {"images": "../a.png"}])
    with pytest.raises(ValueError, match=r"image '\.\./a\.png' cannot be read"):
        list(jsonl.read(file, image_root=tmp_path / "pics"))


def test_jsonl_names_missing_columns_and_unknown_fields(tmp_path: Path) -> None:
    file = write_jsonl(tmp_path / "s.jsonl", [{"problem": "q", "answer": "1"}])
    with pytest.raises(ValueError, match="no column 'question'; columns there: answer, problem"):
        list(jsonl.read(file))
    with pytest.raises(ValueError, match="no field 'gold' to map; fields: question, answer"):
        list(jsonl.read(file, columns={"gold": "answer"}))
    with pytest.raises(ValueError, match="no such file"):
        list(jsonl.read(tmp_path / "nowhere.jsonl"))


@pytest.mark.parametrize(
    ("file", "columns", "count"),
    [
        ("math500", {"question": "problem", "id": "unique_id"}, 500),
        ("aime_2024", {"question": "problem"}, 30),
        ("aime_2025", {"question": "problem"}, 30),
        ("amc23_40", {"question": "problem"}, 40),
        ("amc_validation_83", {"question": "problem", "id": "url"}, 83),
        ("olympiadbench_en_maths_text", {"answer": "final_answer"}, 675),
    ],
)
def test_jsonl_reads_public_sets(
    shared_data: Path, file: str, columns: dict[str, str], count: int
) -> None:
    entries = list(jsonl.read(shared_data / "text" / f"{file}.jsonl", columns=columns))
    assert len(entries) == len(set(ids(entries))) == count


def test_every_source_is_described() -> None:
    for source in SOURCES.values():
        assert source.licence
        assert source.summary
        assert source.needs
