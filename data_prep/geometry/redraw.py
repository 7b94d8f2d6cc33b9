"""A solved figure as a clean scene: true to scale, with marks and labels; the rest in words.

Every fact ends up in exactly one place. Drawn are lengths beside their segments, angles and their
numbers, right angles, ticks for equal lengths, chevrons for parallels, arcs' degrees, points on
lines and circles. What a picture cannot carry without doubt (an area, an angle with a ray inside, a
length across other points, roots) is said in the question. `values_in_words` moves all values into
words, for figures in which their labels find no place.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from data_prep.geometry.algebra import AlgebraError, parse_expression, text_of
from data_prep.geometry.figure import Figure, angle_number, unwrap_measure
from data_prep.geometry.literals import Argument, Line, Term, points_in, walk
from data_prep.geometry.marks import (
    Page,
    ends,
    mark_groups,
    put_angle,
    put_arc,
    put_in_group,
    put_length,
    put_right_angle,
)
from data_prep.geometry.model import Unsupported
from data_prep.geometry.strokes import drawn_lines, inside, spoken_of
from data_prep.geometry.wording import DEGREE, sentence
from data_prep.scene import Circle, Label, Scene, Segment

LETTER = re.compile("[A-Z]'?")
"""A point that has a letter; others are crossings that the book leaves without one."""
PLAIN_LABEL = re.compile(r"[0-9a-z.+\-/*()]+")
"""What the bundled font can write, and no spelt-out root or pi."""
QUIET = {"PointLiesOnLine", "PointLiesOnCircle", "Circle", "Line", "Angle", "Arc", "Point",
         "UseTheorem", "Shaded", "Triangle", "Quadrilateral", "Pentagon", "Hexagon", "Octagon",
         "Polygon", "Shape"}  # fmt: skip
"""Facts that the picture itself shows, or that state nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A scene, and the sentences that go with it."""

    scene: Scene
    sentences: tuple[str, ...]


def redraw(
    figure: Figure,
    at: Mapping[str, complex],
    radii: Sequence[float],
    *,
    facts: Sequence[Term],
    all_letters: bool = True,
    values_in_words: bool = False,
    turn: bool = False,
) -> Drawing:
    """Draw the facts at these positions; raises Unsupported for facts without a wording.

    `facts` are those of the diagram that are to be shown; those of the text are always said.
    """
    named = spoken_of(figure, figure.facts)
    at = {point: place for point, place in at.items() if point in named}
    lines = drawn_lines(figure, at)
    rings = [
        (ring, radius)
        for ring, radius in zip(figure.rings, radii, strict=True)
        if ring.center in at and (ring.points or len(figure.rings) == 1)
    ]
    visible = _visible(figure, lines, at)
    visible |= {p for ring, _ in rings for p in ring.points if p in at}
    page = Page(figure=figure, at=at, lines=lines, visible=visible)
    said = [fact for fact in facts if not _draw(page, fact, values_in_words)]
    mark_groups(page)
    told: dict[Argument, Term] = {}
    for fact in (*figure.said, *said):
        if fact.head not in QUIET:
            told.setdefault(_ordered(fact), fact)
    sentences = tuple(map(sentence, told.values()))
    target = () if figure.target is None else (figure.target,)
    needed = points_in((*told.values(), *target))
    shown = visible | {ring.center for ring, _ in rings if ring.center in needed}
    _check_letters(needed, shown)
    letters = {p for p in shown if LETTER.fullmatch(p)} if all_letters else needed
    scene = Scene(
        segments=(*(Segment(start=at[a], end=at[b]) for a, b in lines), *page.marks),
        circles=tuple(Circle(center=at[ring.center], radius=radius) for ring, radius in rings),
        dots=tuple(at[ring.center] for ring, _ in rings if ring.center in letters),
        angles=tuple(page.angles),
        labels=(
            *page.labels,
            *(Label(text=p, kind="point", at=at[p]) for p in sorted(letters)),
        ),
        turn=turn,
    )
    return Drawing(scene=scene, sentences=sentences)


def _visible(figure: Figure, lines: Sequence[Line], at: Mapping[str, complex]) -> set[str]:
    """Ends and crossings of lines, and points on them of which more is said than that."""
    more = spoken_of(figure, (f for f in figure.facts if f.head != "PointLiesOnLine"))
    on = Counter(p for line in lines for p in inside(line, at, at))
    return {p for line in lines for p in line} | {p for p in on if on[p] > 1 or p in more}


def _ordered(argument: Argument) -> Argument:
    """The same for `Line(A, B)` and `Line(B, A)`."""
    if isinstance(argument, str):
        return argument
    args = tuple(map(_ordered, argument.args))
    return Term(argument.head, tuple(sorted(args, key=str)) if argument.head == "Line" else args)


def _check_letters(needed: set[str], shown: set[str]) -> None:
    """Refuse points that the question speaks of and the picture does not name."""
    if not all(map(LETTER.fullmatch, needed)):
        raise Unsupported("a point without a letter is spoken of")
    if missing := needed - shown:
        raise Unsupported(f"{min(missing)} is spoken of but not drawn")


def _draw(page: Page, fact: Term, values_in_words: bool) -> bool:
    """Draw a fact; False when it has to be said."""
    if fact.head in QUIET:
        return True
    if fact.head == "Equals" and len(fact.args) == 2:
        one, two = fact.args
        if isinstance(one, str):
            one, two = two, one
        return _equals(page, one, two, values_in_words)
    if fact.head == "Perpendicular":
        return put_right_angle(page, fact)
    if fact.head == "Parallel":
        return put_in_group(page, page.parallel, fact.args)
    return False


def _equals(page: Page, one: Argument, two: Argument, values_in_words: bool) -> bool:
    inner, number = unwrap_measure(one), angle_number(two)
    if not isinstance(inner, Term):
        return False
    if inner.head == "Angle" and number:
        return _number(page, number, inner)
    if isinstance(two, Term):
        other = unwrap_measure(two)
        both_lines = inner.head == "Line" and isinstance(other, Term) and other.head == "Line"
        return both_lines and put_in_group(page, page.equal, (inner, other))
    if inner.head == "Line" and two in page.figure.line_names:
        return False
    label = None if values_in_words else label_text(two)
    if label is None:
        return False
    if inner.head == "Line" and len(inner.args) == 2:
        return put_length(page, label, ends(inner))
    if inner.head == "Angle" and len(inner.args) == 3:
        return put_angle(page, _degrees(label), inner)
    of_arc = isinstance(one, Term) and one.head == "MeasureOf" and inner.head == "Arc"
    return of_arc and put_arc(page, _degrees(label), inner)


def _number(page: Page, number: str, angle: Term) -> bool:
    """The number of an angle, if the question uses it; a number has no other wording."""
    if number in _spoken_numbers(page.figure) and not put_angle(page, number, angle):
        raise Unsupported(f"angle {number} cannot be marked")
    return True


def _spoken_numbers(figure: Figure) -> Iterator[str]:
    for argument in (*figure.said, figure.target or ""):
        yield angle_number(argument)
        for term in walk(argument):
            yield from map(angle_number, term.args)


def label_text(text: str) -> str | None:
    """An expression as a label; None when the font lacks a sign for it."""
    try:
        plain = text_of(parse_expression(text))
    except AlgebraError:
        return None
    spelt = "sqrt" in plain or "pi" in plain or "^" in plain
    return None if spelt or not PLAIN_LABEL.fullmatch(plain) else plain


def _degrees(label: str) -> str:
    return f"{label}{DEGREE}" if re.fullmatch(r"[\w.]+", label) else f"({label}){DEGREE}"
