"""Literals and expressions as people typed them, and the exact form of numbers."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import sympy

from data_prep.geometry.algebra import AlgebraError, evaluate, letters, parse_expression, text_of
from data_prep.geometry.annotations import read_annotations
from data_prep.geometry.exact import exact_form
from data_prep.geometry.literals import LiteralError, Term, parse


def test_a_literal_becomes_a_tree_and_back() -> None:
    term = parse("Equals(LengthOf(Line(A,  C)),20)")
    assert term == Term("Equals", (Term("LengthOf", (Term("Line", ("A", "C")),)), "20"))
    assert str(term) == "Equals(LengthOf(Line(A, C)), 20)"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Find(AreaOf(Cirle(O)))", "Find(AreaOf(Circle(O)))"),
        ("parallelogram(A,B,C,D)", "Parallelogram(A, B, C, D)"),
        ("Find(x) and round to tenths", "Find(x)"),
        (r"Equals(Line(A,B),\frac{1}{2}x)", r"Equals(Line(A, B), \frac{1}{2}x)"),
    ],
)
def test_slips_of_the_files_are_read(typed: str, meant: str) -> None:
    assert str(parse(typed)) == meant


@pytest.mark.parametrize("typed", ["PointLiesOnLine(Y, Line(Z, I)) K))", "what is x", "", "Find(x"])
def test_what_is_no_literal_is_refused(typed: str) -> None:
    with pytest.raises(LiteralError):
        parse(typed)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2x+5", 11),
        ("66--y", 68),
        (r"\frac{1}{2}x+12", 13.5),
        (r"7\sqrt{4}", 14),
        ("y^{2}", 4),
        ("2(y-10)", -16),
        (r"42\pi", 42 * math.pi),
        ("3x+2y", 13),
        (r"\frac{5x+1}{4}", 4),
        ("-x+y^2", 1),
        (".5x", 1.5),
    ],
)
def test_expressions(text: str, value: float) -> None:
    tree = parse_expression(text)
    assert evaluate(tree, {"x": 3.0, "y": 2.0}) == pytest.approx(value)
    again = parse_expression(text_of(tree))
    assert evaluate(again, {"x": 3.0, "y": 2.0}) == pytest.approx(value)
    assert letters(tree) <= {"x", "y"}


@pytest.mark.parametrize("text", ["", "2+", "(x", "x)", "A", "__import__('os')", "x;y"])
def test_other_texts_are_no_expressions(text: str) -> None:
    with pytest.raises(AlgebraError):
        parse_expression(text)


@pytest.mark.parametrize(
    "form",
    ["7", "3/7", "5891/69", "6*sqrt(3)", "5*sqrt(3)/2", "25*pi/6", "4*pi", "2*sqrt(2)/5", "0.05"],
)
def test_exact_forms_are_recognised(form: str) -> None:
    expected = sympy.nsimplify(form) if "." in form else sympy.S(form)
    assert exact_form(float(expected)) == expected


def test_numbers_without_a_simple_form_stay_decimals() -> None:
    """`sqrt(182230)/5` fits 85.37681159 to nine digits, but so complicated a form fits anything."""
    decimals = [math.sin(math.radians(degrees)) * 17 for degrees in (11, 23, 37, 52, 71)]
    assert [exact_form(value) for value in decimals] == [None] * 5


def archive(folder: Path, **record: object) -> Path:
    """Annotation files of one problem, id 5."""
    diagram = {
        "point_positions": {"A": [0, 0], "B": [4, 0], "C": [0, 3]},
        "line_instances": ["AB", "AC", "BC"],
        "circle_instances": [""],
        "diagram_logic_forms": ["Perpendicular(Line(A, B), Line(A, C))"],
    } | record
    folder.mkdir(exist_ok=True)
    (folder / "diagram_logic_forms_annot.json").write_text(json.dumps({"5": diagram}))
    text = {"5": {"text_logic_forms": ["Find(x)"]}}
    (folder / "text_logic_forms_annot_dissolved.json").write_text(json.dumps(text))
    return folder


def test_an_archive_is_read_with_y_up_and_points_without_a_place(tmp_path: Path) -> None:
    points = {"A": [1, 2], "point_7": [3, 4], "B": [-1, -1]}
    folder = archive(tmp_path / "a", point_positions=points, line_instances=["Apoint_7", "AB"])
    (found,) = read_annotations(folder)
    assert found.positions == {"A": 1 - 2j, "point_7": 3 - 4j}
    assert found.strokes == (("A", "point_7"), ("A", "B"))
    assert found.split == "train"


@pytest.mark.parametrize(
    ("column", "value"),
    [("point_positions", []), ("point_positions", {"A": [1]}), ("diagram_logic_forms", "x")],
)
def test_errors_name_file_record_and_column(tmp_path: Path, column: str, value: object) -> None:
    folder = archive(tmp_path / "a", **{column: value})
    with pytest.raises(ValueError, match=rf"diagram_logic.*record '5'.*{column}"):
        list(read_annotations(folder))


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="neither"):
        list(read_annotations(tmp_path))
