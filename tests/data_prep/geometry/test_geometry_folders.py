"""Redrawn folders and variants: whole, reproducible, legible, and apart by family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adora_mm.data import load_problems
from adora_mm.verify import check_answer
from data_prep.cli import main
from data_prep.geometry.annotations import Annotation, read_annotations
from data_prep.geometry.answers import answer
from data_prep.geometry.figure import build_figure
from data_prep.geometry.kinship import family_of, numbers_of
from data_prep.geometry.problems import sheet
from data_prep.geometry.variants import bases, generate_variants


def triangle(key: str, letters: str, first: int, second: int) -> Annotation:
    """A right triangle with two sides given and the third asked."""
    a, b, c = tuple(letters)
    facts = (
        f"Perpendicular(Line({a},{b}),Line({a},{c}))",
        f"Equals(LengthOf(Line({a},{b})),{first})",
        f"Equals(LengthOf(Line({a},{c})),{second})",
        f"Equals(LengthOf(Line({b},{c})),x)",
    )
    return Annotation(
        id=key, positions={a: 0j, b: complex(first, 0), c: complex(0, second)},
        strokes=((a, b), (a, c), (b, c)), circles=(), diagram=facts, text=("Find(x)",),
    )  # fmt: skip


def angles(key: str) -> Annotation:
    """Two angles of a triangle given, the third asked."""
    return Annotation(
        id=key, positions={"P": 0j, "Q": 9 + 0j, "R": 4 + 6j},
        strokes=(("P", "Q"), ("Q", "R"), ("R", "P")), circles=(),
        diagram=("Equals(MeasureOf(Angle(R,P,Q)),56)", "Equals(MeasureOf(Angle(P,Q,R)),50)",
                 "Equals(MeasureOf(Angle(Q,R,P)),x)"),
        text=("Find(x)",),
    )  # fmt: skip


def test_other_letters_and_numbers_are_the_same_family() -> None:
    one, two = (build_figure(triangle("1", *more)) for more in (("ABC", 3, 4), ("XZY", 5, 12)))
    assert family_of(one) == family_of(two) != family_of(build_figure(angles("1")))
    assert numbers_of(one) != numbers_of(two)


def test_kin_of_held_out_problems_are_no_bases() -> None:
    kept, dropped = bases([triangle("1", "ABC", 3, 4), angles("2"), triangle("2500", "XYZ", 6, 8)])
    assert [annotation.id for annotation in kept] == ["2"]
    assert dropped == {"base is kin to another split": 1, "base of another split": 1}


def test_every_given_is_in_the_picture_or_in_the_question() -> None:
    drawn = sheet(answer(triangle("1", "ABC", 3, 4)), seed="s")
    assert {label.text for label in drawn.plan.labels} == {"A", "B", "C", "3", "4", "x"}
    assert (drawn.question, drawn.answer) == ("Find x.", "5")
    spelt = triangle("1", "ABC", 3, 4)
    root = Annotation(
        id="1", positions=spelt.positions, strokes=spelt.strokes, circles=(),
        diagram=(*spelt.diagram[:2], r"Equals(LengthOf(Line(A,C)),4\sqrt{2})", spelt.diagram[3]),
        text=spelt.text,
    )  # fmt: skip
    said = sheet(answer(root), seed="s")
    assert said.question == "AC = 4\N{SQUARE ROOT}2. Find x."
    assert said.answer == "\\sqrt{41}"


def test_variants_are_new_checked_and_reproducible() -> None:
    made = [
        list(generate_variants([triangle("1", "ABC", 6, 8), angles("2")], count=5, seed=3))
        for _ in range(2)
    ]
    assert made[0] == made[1]
    assert len(made[0]) == 5
    seen = set()
    for entry in made[0]:
        problem = entry.problem
        assert check_answer(problem.answer, problem.answer).correct
        assert problem.metadata["changed"]
        assert 1 <= problem.metadata["difficulty"] <= 5
        seen.add((problem.question, problem.answer, tuple(problem.metadata["changed"])))
    assert len(seen) == 5


def test_the_answer_belongs_to_the_new_numbers() -> None:
    made = [e.problem for e in generate_variants([angles("2")], count=3, seed=3, ways=["numbers"])]
    assert len(made) == 3
    for problem in made:
        first, second = (int(c.split(" -> ")[1]) for c in problem.metadata["changed"])
        assert float(problem.answer) == 180 - first - second


def test_a_family_lies_in_one_split() -> None:
    bases = [triangle("1", "ABC", 6, 8), triangle("3", "DEF", 5, 12)]
    made = [entry.problem for entry in generate_variants(bases, count=6, seed=1)]
    assert {problem.metadata["base"] for problem in made} == {"1", "3"}
    assert len({problem.split for problem in made}) == 1


# -- real annotations, through the command ------------------------------------------------------


def test_the_examples_become_a_folder(shared_data: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "redrawn", tmp_path / "report.json"
    command = ["geometry3k-scenes", "--from", str(shared_data / "geometry3k" / "examples")]
    assert main([*command, "--out", str(out), "--report", str(report)]) == 0
    problems = load_problems(str(out))
    assert [p.id.rpartition("-")[2] for p in problems] == ["12", "15", "16", "17", "18", "19", "20"]
    assert all(p.metadata["trust"] == "stated" for p in problems)
    content = json.loads(report.read_text())
    assert content["summary"]["solved"] == 7
    assert {r["id"]: r["outcome"] for r in content["problems"]}["11"] == "undetermined"
    again = tmp_path / "again"
    assert main([*command, "--out", str(again), "--workers", "2"]) == 0
    assert (again / "problems.jsonl").read_bytes() == (out / "problems.jsonl").read_bytes()


def test_variants_of_real_problems_come_from_training_problems(
    shared_data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "variants"
    source = str(shared_data / "geometry3k")
    command = ["geometry3k-variants", "--from", source, "--out", str(out), "--count", "8"]
    assert main(command) == 0
    problems = load_problems(str(out))
    assert len(problems) == 8
    splits = {a.id: a.split for a in read_annotations(shared_data / "geometry3k")}
    assert {splits[p.metadata["base"]] for p in problems} == {"train"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "x", "--trust", "hope"], "trust 'hope' is unknown"),
        ([], "nothing to do"),
    ],
)
def test_mistakes_end_in_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["geometry3k-scenes", "--from", str(tmp_path), *options]) == 2
    assert said in capsys.readouterr().err
