"""What a redrawn picture shows, and what it leaves to words because marks would be doubtful."""

from __future__ import annotations

import pytest

from data_prep.geometry.annotations import Annotation
from data_prep.geometry.answers import answer
from data_prep.geometry.arrange import arrange
from data_prep.geometry.figure import build_figure
from data_prep.geometry.literals import parse
from data_prep.geometry.model import Unsupported
from data_prep.geometry.outline import outer_polygon
from data_prep.geometry.problems import Unwritable, sheet
from data_prep.geometry.redraw import Drawing, redraw
from data_prep.geometry.wording import sentence

CORNERS = {"A": 0j, "B": 8 + 0j, "C": 8 + 6j, "D": 6j, "M": 4 + 0j}
SIDES = (("A", "B"), ("B", "C"), ("C", "D"), ("D", "A"))


def annotation(*facts: str, text: str = "Find(x)", **more: object) -> Annotation:
    """A rectangle ABCD of 8 by 6, its diagonal AC, and a line from C to M on AB."""
    known = (
        "Equals(LengthOf(Line(A,B)),8)", "Equals(LengthOf(Line(B,C)),6)",
        "Equals(LengthOf(Line(A,C)),x)", "PointLiesOnLine(M,Line(A,B))",
    )  # fmt: skip
    values = {
        "positions": CORNERS,
        "strokes": (*SIDES, ("A", "C"), ("C", "M")),
        "circles": (),
    } | more
    rectangle = ("Rectangle(A,B,C,D)", text)
    return Annotation(id="1", diagram=(*known, *facts), text=rectangle, **values)  # type: ignore[arg-type]


def drawn(*facts: str, text: str = "Find(x)", **more: object) -> Drawing:
    found = answer(annotation(*facts, text=text, **more))
    at = arrange(found.figure, found.outcome.positions, found.outcome.radii)
    return redraw(found.figure, at, found.outcome.radii, facts=found.drawn)


def said(drawing: Drawing) -> tuple[str, ...]:
    return tuple(text for text in drawing.sentences if not text.startswith("ABCD"))


def test_a_length_across_a_point_is_said_and_others_stand_at_their_segment() -> None:
    drawing = drawn()
    labels = {label.text for label in drawing.scene.labels if label.kind == "side"}
    assert labels == {"6", "x"}
    assert said(drawing) == ("AB = 8.",)


def test_an_angle_with_a_ray_inside_is_said() -> None:
    drawing = drawn("Equals(MeasureOf(Angle(D,A,B)),90)", "Equals(MeasureOf(Angle(B,A,C)),y)")
    assert [mark.text for mark in drawing.scene.angles] == ["y\N{DEGREE SIGN}"]
    assert said(drawing) == ("AB = 8.", "Angle DAB = 90\N{DEGREE SIGN}.")


def test_marks_tell_equal_and_parallel_lines_and_right_angles() -> None:
    scene = drawn(
        "Equals(LengthOf(Line(A,M)),LengthOf(Line(M,B)))",
        "Parallel(Line(B,C),Line(A,D))",
        "Perpendicular(Line(A,B),Line(B,C))",
    ).scene
    assert [segment.ticks for segment in scene.segments if segment.ticks] == [1, 1]
    one, two = (segment for segment in scene.segments if segment.chevrons)
    assert (one.end - one.start) / (two.end - two.start) == pytest.approx(1)
    assert [mark.right for mark in scene.angles] == [True]


def test_the_number_of_an_angle_is_drawn_only_if_the_question_speaks_of_it() -> None:
    number = "Equals(MeasureOf(Angle(C,A,B)),MeasureOf(angle 1))"
    assert not drawn(number).scene.angles
    spoken = drawn(number, text="Find(MeasureOf(Angle(1)))")
    assert [mark.text for mark in spoken.scene.angles] == ["1"]
    covered = "Equals(MeasureOf(Angle(D,A,B)),MeasureOf(angle 1))"
    with pytest.raises(Unsupported, match="angle 1 cannot be marked"):
        drawn(covered, text="Find(MeasureOf(Angle(1)))")


def test_points_that_no_literal_places_are_left_out_with_their_strokes() -> None:
    """N is on no line by any literal; K is somewhere on BC, of which nothing more is said."""
    corners = {**CORNERS, "N": 4 + 0.2j, "K": 8 + 2j}
    strokes = (*SIDES, ("A", "C"), ("A", "N"), ("N", "B"))
    scene = drawn("PointLiesOnLine(K,Line(B,C))", positions=corners, strokes=strokes).scene
    assert {label.text for label in scene.labels if label.kind == "point"} == set("ABCD")
    assert {label.text for label in scene.labels if label.kind == "side"} == {"8", "6", "x"}
    assert len(scene.segments) == 5


def test_a_circle_alone_is_drawn() -> None:
    """Found in Geometry3K (1959), where a figure of one point ended the whole run."""
    found = answer(
        Annotation(
            id="1", positions={"A": 133 + 136j}, strokes=(), circles=("A",), diagram=(),
            text=("Equals(AreaOf(Circle(A)),20\\pi)", "Find(CircumferenceOf(Circle(A)))"),
        )
    )  # fmt: skip
    drawn = sheet(found, seed="s")
    asked = (
        "The area of circle A = 20\N{GREEK SMALL LETTER PI}. Find the circumference of circle A."
    )
    assert (drawn.question, drawn.answer) == (asked, "4\\sqrt{5}\\pi")
    assert len(drawn.plan.strokes) == 1


def test_points_that_could_be_taken_for_each_other_are_not_named_both() -> None:
    """Beside A lies a point P, on the line and so near that nobody could tell their letters."""
    near = {"strokes": (*SIDES, ("A", "C"), ("A", "P"))}
    beside = "Equals(LengthOf(Line(A,P)),{})"

    def letters(text: str, length: str) -> set[str]:
        positions = CORNERS | {"P": complex(float(length), 0)}
        facts = ("PointLiesOnLine(P,Line(A,B))", beside.format(length))
        found = answer(annotation(*facts, text=text, positions=positions, **near))
        return {label.text for label in sheet(found, seed="s").plan.labels} & set("AP")

    assert letters("Find(x)", "3") == {"A", "P"}
    with pytest.raises(Unwritable, match="no room for the labels"):
        letters("Find(LengthOf(Line(P,B)))", "0.1")


def test_a_figure_without_lines_and_circles_is_not_written() -> None:
    bare = Annotation(
        id="1", positions={"A": 1 + 1j}, strokes=(), circles=(), diagram=(),
        text=("Equals(x,2)", "Find(x)"),
    )  # fmt: skip
    with pytest.raises(Unwritable, match="nothing to draw"):
        sheet(answer(bare), seed="s")


def test_a_line_too_short_for_ticks_is_said_to_be_equal() -> None:
    corners = {**CORNERS, "M": 1 + 0j, "K": 8 + 1j}
    drawing = drawn(
        "PointLiesOnLine(K,Line(B,C))",
        "Equals(LengthOf(Line(A,M)),LengthOf(Line(B,K)))",
        "Equals(LengthOf(Line(A,M)),1)",
        positions=corners,
        strokes=(*SIDES, ("A", "C"), ("A", "M"), ("B", "K")),
    )
    assert not any(segment.ticks for segment in drawing.scene.segments)
    assert said(drawing) == ("AB = 8.", "BC = 6.", "AM = BK.")


def test_chevrons_keep_clear_of_points_on_the_line() -> None:
    facts = ("Equals(LengthOf(Line(A,M)),3)", "Parallel(Line(A,B),Line(D,C))")
    scene = drawn(*facts, positions={**CORNERS, "M": 3 + 0j}).scene
    one, two = (segment for segment in scene.segments if segment.chevrons)
    assert {one.mark_at, two.mark_at} == {0.4, 0.75}


def test_a_fact_is_told_once_however_its_lines_are_written() -> None:
    drawing = drawn("Equals(LengthOf(Line(B,A)),8)", "Equals(LengthOf(Line(C,B)),6)")
    assert said(drawing) == ("AB = 8.",)
    assert [label.text for label in drawing.scene.labels].count("6") == 1


def test_what_a_line_is_is_not_written_as_an_equation() -> None:
    term = parse("Equals(Line(X,Y),HypotenuseOf(Right(Triangle(X,Y,Z))))")
    assert sentence(term) == "XY is the hypotenuse of right triangle XYZ."


def test_the_outline_of_strokes_leaves_out_what_lies_inside_or_on_a_side() -> None:
    assert set(outer_polygon(build_figure(annotation()))) == {"A", "B", "C", "D"}
    with pytest.raises(Unsupported, match="circles"):
        outer_polygon(build_figure(annotation("PointLiesOnCircle(B,Circle(A))")))
