"""A solved figure as a clean scene: true to scale, with marks and labels; the rest in words.

Every fact ends up in exactly one place. Drawn are lengths beside their segments, angles and their
numbers, right angles, ticks for equal lengths, chevrons for parallels, arcs' degrees, points on
lines and circles. What a picture cannot carry without doubt (an area, an angle with a ray inside, a
length across other points, roots) is said in the question. `said_more` moves further labels into
words, for figures in which they find no place.
"""

from __future__ import annotations

import cmath
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data_prep.geometry.algebra import AlgebraError, parse_expression, text_of
from data_prep.geometry.figure import Figure, angle_number, unwrap_measure
from data_prep.geometry.literals import Argument, Line, Term, is_point, points_in
from data_prep.geometry.model import Unsupported
from data_prep.geometry.strokes import drawn_lines, inside
from data_prep.geometry.wording import DEGREE, sentence
from data_prep.scene import AngleMark, Circle, Label, Scene, Segment

MAX_GROUPS = 3
"""Groups of equal lengths or of parallels that marks tell apart."""
PLAIN_LABEL = re.compile(r"[0-9a-z.+\-/*()]+")
"""What the bundled font can write, and no spelt-out root or pi."""
WIDEST_DEG = 170
QUIET = {"PointLiesOnLine", "PointLiesOnCircle", "Circle", "Line", "Angle", "Arc", "Point",
         "UseTheorem", "Shaded", "Triangle", "Quadrilateral", "Pentagon", "Hexagon", "Octagon",
         "Polygon", "Shape"}  # fmt: skip
"""Facts that the picture itself shows, or that state nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A scene, and the sentences that go with it."""

    scene: Scene
    sentences: tuple[str, ...]


@dataclass(slots=True)
class _Sheet:
    """What is collected while the facts are gone through."""

    figure: Figure
    at: Mapping[str, complex]
    lines: list[Line]
    visible: set[str]
    values_in_words: bool
    angles: list[AngleMark] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    marks: list[Segment] = field(default_factory=list)
    said: list[Term] = field(default_factory=list)
    equal: list[set[Line]] = field(default_factory=list)
    parallel: list[set[Line]] = field(default_factory=list)
    used: set[tuple[str, ...]] = field(default_factory=set)


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
    lines = drawn_lines(figure, at)
    rings = [
        r
        for r in zip(figure.rings, radii, strict=True)
        if r[0].center in at and _is_used(r[0].points, figure)
    ]
    visible = {p for line in lines for p in (*line, *inside(line, at, at))}
    visible |= {p for ring, _ in rings for p in ring.points if p in at}
    sheet = _Sheet(
        figure=figure, at=at, lines=lines, visible=visible, values_in_words=values_in_words
    )
    for fact in facts:
        if not _draw(sheet, fact):
            sheet.said.append(fact)
    _mark_groups(sheet)
    told = [*figure.said, *sheet.said]
    sentences = [sentence(fact) for fact in dict.fromkeys(told) if fact.head not in QUIET]
    target = [figure.target] if figure.target is not None else []
    needed = points_in([*(f for f in told if f.head not in QUIET), *target])
    needed |= _corner_letters(target)
    if any(not re.fullmatch("[A-Z]'?", point) for point in needed):
        raise Unsupported("a point without a letter is spoken of")
    shown = visible | {ring.center for ring, _ in rings if ring.center in needed}
    letters = {p for p in shown if re.fullmatch("[A-Z]'?", p)} if all_letters else needed
    if missing := needed - shown - {ring.center for ring, _ in rings}:
        raise Unsupported(f"{sorted(missing)[0]} is spoken of but not drawn")
    scene = Scene(
        segments=(*(Segment(start=at[a], end=at[b]) for a, b in lines), *sheet.marks),
        circles=tuple(Circle(center=at[ring.center], radius=radius) for ring, radius in rings),
        dots=tuple(at[ring.center] for ring, _ in rings if ring.center in letters | needed),
        angles=tuple(sheet.angles),
        labels=(
            *sheet.labels,
            *(Label(text=p, kind="point", at=at[p]) for p in sorted(letters | needed)),
        ),
        turn=turn,
    )
    return Drawing(scene=scene, sentences=tuple(sentences))


def _is_used(points: Sequence[str], figure: Figure) -> bool:
    return bool(points) or len(figure.rings) == 1


def _corner_letters(target: Sequence[Argument]) -> set[str]:
    """`Angle(B)`: the letter alone is the name."""
    found = set()
    for argument in target:
        inner = unwrap_measure(argument)
        if isinstance(inner, Term) and inner.head == "Angle" and len(inner.args) == 1:
            found |= {str(arg) for arg in inner.args if is_point(arg)}
    return found


# -- one fact -----------------------------------------------------------------------------------


def _draw(sheet: _Sheet, fact: Term) -> bool:
    """Draw a fact; False when it has to be said."""
    if fact.head in QUIET:
        return True
    if fact.head == "Equals" and len(fact.args) == 2:
        one, two = fact.args
        if isinstance(one, str):
            one, two = two, one
        return _equals(sheet, one, two)
    if fact.head == "Perpendicular":
        return _right_angle(sheet, fact)
    if fact.head == "Parallel":
        return _group(sheet, sheet.parallel, fact.args)
    return False


def _equals(sheet: _Sheet, one: Argument, two: Argument) -> bool:
    inner, number = unwrap_measure(one), angle_number(two)
    if not isinstance(inner, Term):
        return False
    if inner.head == "Angle" and number:
        return _number(sheet, number, inner)
    if isinstance(two, Term):
        other = unwrap_measure(two)
        both_lines = inner.head == "Line" and isinstance(other, Term) and other.head == "Line"
        return both_lines and _group(sheet, sheet.equal, (inner, other))
    if inner.head == "Line" and two in sheet.figure.line_names:
        return False
    label = None if sheet.values_in_words else label_text(two)
    if label is None:
        return False
    if inner.head == "Line" and len(inner.args) == 2:
        return _length(sheet, label, _line(inner))
    if inner.head == "Angle" and len(inner.args) == 3:
        return _angle(sheet, _degrees(label), inner)
    of_arc = isinstance(one, Term) and one.head == "MeasureOf" and inner.head == "Arc"
    return of_arc and _arc(sheet, _degrees(label), inner)


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


def _line(term: Term) -> Line:
    return str(term.args[0]), str(term.args[1])


def _covers(sheet: _Sheet, line: Line) -> bool:
    """Whether a segment is drawn, as a part of some line."""
    if not set(line) <= set(sheet.at) or sheet.at[line[0]] == sheet.at[line[1]]:
        return False
    return any(
        all(p in whole or p in inside(whole, sheet.at, [p]) for p in line) for whole in sheet.lines
    )


def _length(sheet: _Sheet, label: str, line: Line) -> bool:
    if not _covers(sheet, line) or inside(line, sheet.at, sheet.visible):
        return False
    key = ("length", *sorted(line))
    if key in sheet.used:
        return False
    sheet.used.add(key)
    start, end = sheet.at[line[0]], sheet.at[line[1]]
    sheet.labels.append(Label(text=label, kind="side", at=start, to=end))
    return True


def _corner_is_clear(sheet: _Sheet, first: str, vertex: str, last: str) -> bool:
    """Both sides are drawn, the opening is not flat, and no drawn ray runs inside it."""
    at = sheet.at
    if not (_covers(sheet, (vertex, first)) and _covers(sheet, (vertex, last))):
        return False
    one, two = at[first] - at[vertex], at[last] - at[vertex]
    opening = cmath.phase(two / one)
    if not 4 < abs(math.degrees(opening)) < WIDEST_DEG:
        return False
    for point in sheet.visible - {first, vertex, last}:
        if at[point] == at[vertex] or not _covers(sheet, (vertex, point)):
            continue
        turn = cmath.phase((at[point] - at[vertex]) / one) * math.copysign(1, opening)
        if math.radians(2) < turn < abs(opening) - math.radians(2):
            return False
    return True


def _angle(sheet: _Sheet, label: str, angle: Term) -> bool:
    first, vertex, last = map(str, angle.args)
    if not {first, vertex, last} <= set(sheet.at):
        return False
    key = ("angle", vertex, *_directions(sheet, first, vertex, last))
    if key in sheet.used or not _corner_is_clear(sheet, first, vertex, last):
        return False
    sheet.used.add(key)
    at = sheet.at
    mark = AngleMark(vertex=at[vertex], start=at[first], end=at[last], text=label)
    sheet.angles.append(mark)
    return True


def _directions(sheet: _Sheet, first: str, vertex: str, last: str) -> tuple[str, ...]:
    at = sheet.at
    ways = (cmath.phase(at[p] - at[vertex]) for p in (first, last))
    return tuple(sorted(f"{math.degrees(way) % 360:.0f}" for way in ways))


def _number(sheet: _Sheet, number: str, angle: Term) -> bool:
    """The number of an angle, if the question uses it; a number has no other wording."""
    spoken = {angle_number(a) for fact in sheet.figure.said for a in _all(fact)}
    spoken |= {angle_number(a) for a in _all(sheet.figure.target)}
    if number not in spoken:
        return True
    if not _angle(sheet, number, angle):
        raise Unsupported(f"angle {number} cannot be marked")
    return True


def _all(argument: Argument | None) -> list[Argument]:
    if argument is None:
        return []
    inner = argument.args if isinstance(argument, Term) else ()
    return [argument, *(part for arg in inner for part in _all(arg))]


def _right_angle(sheet: _Sheet, fact: Term) -> bool:
    lines = [arg for arg in fact.args if isinstance(arg, Term) and len(arg.args) == 2]
    if len(lines) != 2:
        return False
    one, two = map(_line, lines)
    if not (_covers(sheet, one) and _covers(sheet, two)):
        return False
    at = sheet.at
    common = [p for p in sheet.visible if _meets(sheet, p, one) and _meets(sheet, p, two)]
    if not common:
        return False
    vertex = common[0]
    first, last = (max(line, key=lambda p: abs(at[p] - at[vertex])) for line in (one, two))
    if any(abs(m.vertex - at[vertex]) < 1e-9 and m.right for m in sheet.angles):
        return True
    sheet.angles.append(AngleMark(vertex=at[vertex], start=at[first], end=at[last], right=True))
    return True


def _meets(sheet: _Sheet, point: str, line: Line) -> bool:
    return point in line or bool(inside(line, sheet.at, [point]))


def _arc(sheet: _Sheet, label: str, arc: Term) -> bool:
    """Degrees outside the circle at the middle of an arc that no other point divides."""
    names, at = tuple(map(str, arc.args)), sheet.at
    rings = [
        r for r in sheet.figure.rings if {names[0], names[-1]} <= set(r.points) and r.center in at
    ]
    if len(names) != 2 or not rings or not set(names) <= set(at) or names[0] == names[1]:
        return False
    center = at[rings[0].center]
    start, sweep = (
        at[names[0]] - center,
        cmath.phase((at[names[1]] - center) / (at[names[0]] - center)),
    )
    for point in rings[0].points:
        if point in at and point not in names:
            turn = cmath.phase((at[point] - center) / start) * math.copysign(1, sweep)
            if 0.02 < turn < abs(sweep) - 0.02:
                return False
    if abs(sweep) > math.radians(WIDEST_DEG) or abs(sweep) < 0.2:
        return False
    middle = start * cmath.rect(1, sweep / 2)
    along = middle * 1j * min(0.25, abs(sweep) / 4)
    sheet.labels.append(
        Label(text=label, kind="side", at=center + middle - along, to=center + middle + along)
    )
    return True


# -- groups -------------------------------------------------------------------------------------


def _group(sheet: _Sheet, groups: list[set[Line]], lines: Sequence[Argument]) -> bool:
    """Put both lines into one group of equal or parallel lines; False when marks cannot say it."""
    pair = [(_line(t) if isinstance(t, Term) and len(t.args) == 2 else ("", "")) for t in lines]
    pair = [(min(line), max(line)) for line in pair]
    if not all(_covers(sheet, line) for line in pair):
        return False
    if groups is sheet.equal and any(inside(line, sheet.at, sheet.visible) for line in pair):
        return False
    hit = [group for group in groups if group & set(pair)]
    if not hit and len(groups) == MAX_GROUPS:
        return False
    joined = set(pair).union(*hit)
    groups[:] = [group for group in groups if group not in hit] + [joined]
    return True


def _mark_groups(sheet: _Sheet) -> None:
    for number, group in enumerate(sheet.equal, start=1):
        for line in sorted(group):
            start, end = (sheet.at[p] for p in line)
            sheet.marks.append(Segment(start=start, end=end, ticks=number))
    for number, group in enumerate(sheet.parallel, start=1):
        first = sheet.at[sorted(group)[0][1]] - sheet.at[sorted(group)[0][0]]
        for line in sorted(group):
            start, end = (sheet.at[p] for p in line)
            if ((end - start) * first.conjugate()).real < 0:
                start, end = end, start
            sheet.marks.append(Segment(start=start, end=end, chevrons=number, mark_at=0.4))
