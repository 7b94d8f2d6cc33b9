"""Sources that feed benchmarks: counts of the real files, and rows of every published shape."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from source_files import png, write_parquet

from adora_mm.types import Problem
from data_prep.sources import SOURCES, BadRows
from data_prep.sources.options import split_options


def read(name: str, path: Path, **options: Any) -> list[Problem]:
    return [entry.problem for entry in SOURCES[name].read(path, **options)]


@pytest.mark.parametrize(
    ("text", "question", "options"),
    [
        ("Is it? Choices: (A) yes (B) no", "Is it?", ("yes", "no")),
        ("Size of CED is ()\nChoices:\nA:40°\nB:60°", "Size of CED is ()", ("40°", "60°")),
        ("Bearing?\nChoice:\nA. 090 T\nB. 180 T", "Bearing?", ("090 T", "180 T")),
        (
            "Largest?\nA. Group 1\nB. Group 2\nC. Group 3",
            "Largest?",
            ("Group 1", "Group 2", "Group 3"),
        ),
        ("Options: A. 1\nB. 2.5; C. 3", "Options: A. 1\nB. 2.5; C. 3", ()),
        ("Point A. Then B. What?", "Point A. Then B. What?", ()),
        ("Which?\nA:first\nB:\nC:third", "Which?", ("first", "B", "third")),
        ("In (A) see (B). Which? (A) one (B) two", "In (A) see (B). Which?", ("one", "two")),
        ("No options at all", "No options at all", ()),
        ("数\nA\uff0e一\nB\uff0e二", "数", ("一", "二")),
        ("数\nA\u3001一\uff1bB\u3001二", "数", ("一", "二")),
        ("Cut at (A) or (B)?\nA) one\nB) two", "Cut at (A) or (B)?", ("one", "two")),
    ],
)
def test_options_are_split_off(text: str, question: str, options: tuple[str, ...]) -> None:
    assert split_options(text) == (question, options)


def test_mathverse_has_options_for_every_choice(shared_data: Path) -> None:
    problems = read("mathverse", shared_data / "mathverse")
    assert len(problems) == 788
    kinds = Counter(problem.metadata["question_type"] for problem in problems)
    assert kinds == {"multi-choice": 436, "free-form": 352}
    for problem in problems:
        assert (len(problem.choices) > 1) == (problem.answer_type == "choice")
        assert "Choices:" not in problem.question
    assert {problem.metadata["version"] for problem in problems} == {"Text Only"}


def test_mathverse_vision_only_says_where_the_question_is(tmp_path: Path) -> None:
    row = {
        "sample_index": "5",
        "problem_index": "1",
        "problem_version": "Vision Only",
        "question": "",
        "image": "v6/1.png",
        "answer": "B",
        "question_type": "multi-choice",
        "metadata": {"subject": "Plane Geometry"},
    }
    (tmp_path / "images/v6").mkdir(parents=True)
    Image.new("RGB", (60, 60)).save(tmp_path / "images/v6/1.png")
    (tmp_path / "testmini.json").write_text(json.dumps([row]))
    (entry,) = SOURCES["mathverse"].read(tmp_path)
    assert "shown in the picture" in entry.problem.question
    assert entry.problem.choices == ()
    assert len(entry.images) == 1
    (tmp_path / "testmini.json").write_text(json.dumps([row | {"problem_version": "Text Lite"}]))
    with pytest.raises(ValueError, match="the question is empty"):
        read("mathverse", tmp_path)


def test_mathvista_annotations(shared_data: Path) -> None:
    problems = read("mathvista", shared_data / "mathvista", images=False)
    assert len(problems) == 1000
    assert sum(bool(problem.choices) for problem in problems) == 540
    assert all(not p.choices or p.answer in p.choices for p in problems)
    assert sum("(Unit: years)" in problem.question for problem in problems) == 49
    assert sum("precision" in problem.metadata for problem in problems) == 40
    bad = BadRows(drop=True)
    assert read("mathvista", shared_data / "mathvista", bad=bad) == []
    assert bad.dropped == {"bad image": 1000}, "the annotations come without pictures"


def test_mathvista_has_no_test_split(shared_data: Path) -> None:
    with pytest.raises(ValueError, match="has no answers; use testmini"):
        read("mathvista", shared_data / "mathvista", split="test")


def test_dynamath_one_variant(shared_data: Path) -> None:
    problems = read("dynamath", shared_data / "dynamath")
    assert len(problems) == 501
    assert sum(bool(problem.choices) for problem in problems) == 174
    letters = [problem for problem in problems if problem.choices]
    assert all(ord(p.answer) - ord("A") < len(p.choices) for p in letters)
    assert len({problem.metadata["seed"] for problem in problems}) == 501
    assert "analytic     geometry" not in {p.metadata["subject"] for p in problems}


def test_dynamath_several_variants_share_their_seed(tmp_path: Path) -> None:
    row = {"question": "?", "answer": "1", "image": "i.png", "answer_type": "float"}
    row |= {"subject": "algebra", "level": "high school"}
    for name in ("variant10", "variant2", "variant1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "dataset.json").write_text(json.dumps({"7": row}))
    problems = read("dynamath", tmp_path, images=False)
    assert [problem.id for problem in problems] == [
        "dynamath-7-v1",
        "dynamath-7-v2",
        "dynamath-7-v3",
    ]
    assert {problem.metadata["seed"] for problem in problems} == {"7"}
    (one,) = read("dynamath", tmp_path, split="variant2", images=False)
    assert one.metadata["variant"] == 1
    with pytest.raises(ValueError, match="no DynaMath there"):
        read("dynamath", tmp_path, split="variant3")


def test_olympiadbench_golds(shared_data: Path) -> None:
    problems = read("olympiadbench", shared_data / "text")
    assert len(problems) == 675
    assert [p.metadata["tolerance"] for p in problems if "tolerance" in p.metadata] == ["1e-1"]
    assert sum(problem.metadata["several_answers"] for problem in problems) == 94
    assert any(problem.answer.endswith(" km/h") for problem in problems)


def test_olympiadbench_refuses_proofs(tmp_path: Path) -> None:
    file = tmp_path / "olympiad.json"
    file.write_text(json.dumps([{"id": 1, "question": "Prove it.", "final_answer": None}]))
    with pytest.raises(ValueError, match="a proof"):
        read("olympiadbench", tmp_path)


def test_math_500(shared_data: Path) -> None:
    problems = read("math500", shared_data / "text")
    assert len(problems) == 500
    assert Counter(problem.metadata["level"] for problem in problems)[5] == 134
    assert SOURCES["math500"].evaluation_only
    assert {problem.source for problem in problems} == {"math500"}, "the audit goes by this name"


def test_the_golds_of_math_are_the_last_boxes(shared_data: Path, tmp_path: Path) -> None:
    """Real solutions, those of MATH-500, in the original folders."""
    rows = [json.loads(line) for line in (shared_data / "text/math500.jsonl").open("rb")]
    for row in rows:
        file = tmp_path / row["unique_id"]
        file.parent.mkdir(parents=True, exist_ok=True)
        columns = {"type": row["subject"], "level": f"Level {row['level']}"}
        columns |= {name: row[name] for name in ("problem", "solution")}
        file.write_text(json.dumps(columns))
    problems = {problem.id: problem for problem in read("math", tmp_path)}
    golds = {
        f"math-{row['unique_id'].removesuffix('.json').replace('/', '-')}": row["answer"].strip()
        for row in rows
    }
    assert {key: problem.answer for key, problem in problems.items()} == golds
    one = problems["math-test-precalculus-807"]
    assert (one.split, one.metadata["type"]) == ("test", "Precalculus")
    assert read("math", tmp_path, split="test") == list(problems.values())
    with pytest.raises(ValueError, match="no MATH there"):
        read("math", tmp_path, split="train")


def test_math_in_the_tables_of_the_hub(tmp_path: Path) -> None:
    row = {"problem": "1+1?", "level": "Level 1", "type": "Algebra"}
    good = row | {"solution": "First \\boxed{1}, then $\\boxed{2}$."}
    write_parquet(tmp_path / "algebra/train-00000-of-00001.parquet", [good, good])
    write_parquet(tmp_path / "geometry/train-00000-of-00001.parquet", [good])
    write_parquet(tmp_path / "algebra/test-00000-of-00001.parquet", [row | {"solution": "2"}])
    train = read("math", tmp_path, split="train")
    assert [p.id for p in train] == ["math-train-1", "math-train-2", "math-train-3"]
    assert {p.answer for p in train} == {"2"}
    with pytest.raises(ValueError, match=r"test-.*row 1: column 'solution' holds no boxed answer"):
        read("math", tmp_path, split="test")


def test_math_500_is_never_taken_for_math(shared_data: Path) -> None:
    with pytest.raises(ValueError, match=r"this is MATH-500, an evaluation set: `adora prep math5"):
        read("math", shared_data / "text/math500.jsonl")


# -- the hub's parquet files, made to the schemas of their cards ----------------------------------

PICTURE = {"bytes": png(), "path": "1.png"}


def test_mathvista_on_the_hub(tmp_path: Path) -> None:
    more = {"category": "math", "language": "english", "skills": ["algebra"], "source": "SciBench"}
    row = {
        "pid": "7", "question": "How far?", "image": "images/7.jpg", "decoded_image": PICTURE,
        "choices": None, "unit": "m", "precision": 1.0, "answer": "1.2", "metadata": more,
        "question_type": "free_form", "answer_type": "float", "query": "Hint: ...",
    }  # fmt: skip
    chosen = row | {"pid": "8", "choices": ["1", "2"], "answer": "2", "unit": None}
    write_parquet(tmp_path / "data/testmini-00000-of-00001-7256.parquet", [row, chosen])
    write_parquet(tmp_path / "data/test-00000-of-00002-6a61.parquet", [row | {"answer": ""}])
    first, second = SOURCES["mathvista"].read(tmp_path)
    assert (first.problem.id, first.problem.question) == ("mathvista-7", "How far? (Unit: m)")
    assert first.problem.metadata["precision"] == 1.0
    assert (second.problem.choices, second.problem.answer) == (("1", "2"), "2")
    assert first.images == second.images == (png(),)


def test_mathverse_on_the_hub(tmp_path: Path) -> None:
    row = {
        "sample_index": "5", "problem_index": "1", "problem_version": "Vision Dominant",
        "question": "Find x.", "image": PICTURE, "answer": "4", "question_type": "free-form",
        "metadata": {"split": "testmini", "source": "GeoQA", "subject": "Plane Geometry"},
        "query_wo": "...", "query_cot": "...", "question_for_eval": "Find x.",
    }  # fmt: skip
    write_parquet(tmp_path / "testmini.parquet", [row])
    (tmp_path / "testmini.json").write_text("[]")  # its pictures are in an archive: not read
    (entry,) = SOURCES["mathverse"].read(tmp_path)
    assert (entry.problem.id, entry.images) == ("mathverse-5", (png(),))
    assert entry.problem.metadata["version"] == "Vision Dominant"
    text_only = row | {"image": None, "problem_version": "Text Only"}
    write_parquet(tmp_path / "testmini_text_only.parquet", [text_only])
    (entry,) = SOURCES["mathverse"].read(tmp_path, split="testmini_text_only")
    assert (entry.problem.id, entry.images) == ("mathverse-text-5", ())


@pytest.mark.parametrize("name", ["sample{}-00000-of-00001", "sample_variant{}-00000-of-00001"])
def test_dynamath_on_the_hub(name: str, tmp_path: Path) -> None:
    row = {
        "id": "3", "question": "Which? Choices: (A) 1 (B) 2", "image": "images/3.png",
        "decoded_image": PICTURE, "ground_truth": "B", "answer_type": "multiple choice",
        "subject": "algebra", "knowledge_level": "high school",
    }  # fmt: skip
    for variant in (1, 2, 10):
        write_parquet(tmp_path / f"data/{name.format(variant)}.parquet", [row])
    write_parquet(tmp_path / "data/sample_all-00000-of-00001.parquet", [row] * 3)
    entries = list(SOURCES["dynamath"].read(tmp_path))
    assert [e.problem.id for e in entries] == [f"dynamath-3-v{n}" for n in (1, 2, 3)]
    one = entries[2]
    assert (one.problem.choices, one.problem.answer, one.images) == (("1", "2"), "B", (png(),))
    assert one.problem.metadata["level"] == "high school"
    assert len(read("dynamath", tmp_path, split="variant10", images=False)) == 1


def test_olympiadbench_on_the_hub(tmp_path: Path) -> None:
    row = {
        "id": 1606, "question": "See <image_1>. Find x.", "solution": ["..."], "error": None,
        "final_answer": ["2"], "context": None, "image_1": PICTURE, "image_2": None, "unit": None,
        "modality": "Multimodal", "is_multiple_answer": False, "answer_type": "Numerical",
        "subfield": "Combinatorics", "language": "English",
    }  # fmt: skip
    for part in ("OE_TO_maths_en_COMP", "OE_MM_maths_en_COMP"):
        write_parquet(tmp_path / f"OlympiadBench/{part}/{part}.parquet", [row])
    (entry,) = SOURCES["olympiadbench"].read(tmp_path)
    assert (entry.problem.id, entry.problem.split) == ("olympiadbench-1606", "test")
    assert (entry.problem.question, entry.images) == ("See . Find x.", (png(),))
    (other,) = SOURCES["olympiadbench"].read(tmp_path, split="OE_MM_maths_en_COMP")
    assert other.problem.split == "OE_MM_maths_en_COMP"


@pytest.mark.parametrize(("split", "count"), [("test", 500), ("train", 4500)])
def test_knights_and_knaves(shared_data: Path, split: str, count: int) -> None:
    problems = read("kk", shared_data / "kk", split=split)
    assert len(problems) == count
    assert Counter(p.metadata["people"] for p in problems) == dict.fromkeys(range(3, 8), count // 5)
    for problem in problems:
        lines = problem.answer.splitlines()
        for line, name, knight in zip(
            lines, problem.metadata["names"], problem.metadata["knights"], strict=True
        ):
            assert f"{name} is a {'knight' if knight else 'knave'}" in line


@pytest.mark.parametrize(
    "name", ["mathverse", "mathvista", "dynamath", "olympiadbench", "math", "math500", "kk"]
)
def test_an_empty_folder_is_one_clear_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        read(name, tmp_path)
