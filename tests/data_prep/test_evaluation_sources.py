"""Sources that feed benchmarks: counts of the real files, and rows of every published shape."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

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
    problems = read("math", shared_data / "text")
    assert len(problems) == 500
    assert Counter(problem.metadata["level"] for problem in problems)[5] == 134


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
    "name", ["mathverse", "mathvista", "dynamath", "olympiadbench", "math", "kk"]
)
def test_an_empty_folder_is_one_clear_line(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=str(tmp_path)):
        read(name, tmp_path)
