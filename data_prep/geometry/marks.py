"""Marks and labels on a page: each is put there only if it can be read in one way.

A length stands beside a segment without points inside, an angle in a corner without rays inside,
degrees beside an arc without points inside. Functions return False for a mark that would be
doubtful; the fact is then said in words.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from data_prep.geometry.figure import Figure
from data_prep.geometry.literals import Argument, Line, Term
from data_prep.geometry.strokes import extent, inside
from data_prep.scene import AngleMark, Label, Segment

MAX_GROUPS = 3
"""Groups of equal lengths or of parallels that marks tell apart."""
WIDEST_DEG = 170
SHORTEST = 0.15
"""Lines shorter than this, in parts of the figure, have no room for ticks or chevrons."""
CHEVRONS_AT = (0.4, 0.6, 0.25, 0.75)
"""Places of chevrons along a line, the first one where nothing else is on it."""


@dataclass(slots=True)
class Page:
    """A figure at its positions, and the marks that it has so far."""

    figure: Figure
    at: Mapping[str, complex]
    lines: list[Line]
    visible: set[str]
    angles: list[AngleMark] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    marks: list[Segment] = field(default_factory=list)
    equal: list[set[Line]] = field(default_factory=list)
    parallel: list[set[Line]] = field(default_factory=list)
    used: dict[tuple[str, ...], str] = field(default_factory=dict)
    """Labels by the segment or corner that carries them."""


def covers(page: Page, line: Line) -> bool:
    """Whether a segment is drawn, as a part of some line."""
    if not set(line) <= set(page.at) or page.at[line[0]] == page.at[line[1]]:
        return False
    return any(
        all(p in whole or p in inside(whole, page.at, [p]) for p in line) for whole in page.lines
    )


def put_length(page: Page, label: str, line: Line) -> bool:
    if not covers(page, line) or inside(line, page.at, page.visible):
        return False
    key = ("length", *sorted(line))
    if key in page.used:
        return page.used[key] == label
    page.used[key] = label
    start, end = page.at[line[0]], page.at[line[1]]
    page.labels.append(Label(text=label, kind="side", at=start, to=end))
    return True


def put_angle(page: Page, label: str, angle: Term) -> bool:
    first, vertex, last = map(str, angle.args)
    if not {first, vertex, last} <= set(page.at):
        return False
    key = ("angle", vertex, *_directions(page, first, vertex, last))
    if key in page.used:
        return page.used[key] == label
    if not _corner_is_clear(page, first, vertex, last):
        return False
    page.used[key] = label
    at = page.at
    mark = AngleMark(vertex=at[vertex], start=at[first], end=at[last], text=label)
    page.angles.append(mark)
    return True


def _corner_is_clear(page: Page, first: str, vertex: str, last: str) -> bool:
    """Both sides are drawn, the opening is not flat, and no drawn ray runs inside it."""
    at = page.at
    if not (covers(page, (vertex, first)) and covers(page, (vertex, last))):
        return False
    one, two = at[first] - at[vertex], at[last] - at[vertex]
    opening = cmath.phase(two / one)
    if not 4 < abs(math.degrees(opening)) < WIDEST_DEG:
        return False
    for point in page.visible - {first, vertex, last}:
        if at[point] == at[vertex] or not covers(page, (vertex, point)):
            continue
        turn = cmath.phase((at[point] - at[vertex]) / one) * math.copysign(1, opening)
        if math.radians(2) < turn < abs(opening) - math.radians(2):
            return False
    return True


def _directions(page: Page, first: str, vertex: str, last: str) -> tuple[str, ...]:
    at = page.at
    ways = (cmath.phase(at[p] - at[vertex]) for p in (first, last))
    return tuple(sorted(f"{math.degrees(way) % 360:.0f}" for way in ways))


def put_right_angle(page: Page, fact: Term) -> bool:
    lines = [arg for arg in fact.args if isinstance(arg, Term) and len(arg.args) == 2]
    if len(lines) != 2:
        return False
    one, two = map(ends, lines)
    if not (covers(page, one) and covers(page, two)):
        return False
    at = page.at
    common = [p for p in sorted(page.visible) if _meets(page, p, one) and _meets(page, p, two)]
    if not common:
        return False
    vertex = common[0]
    first, last = (max(line, key=lambda p: abs(at[p] - at[vertex])) for line in (one, two))
    if any(abs(m.vertex - at[vertex]) < 1e-9 and m.right for m in page.angles):
        return True
    page.angles.append(AngleMark(vertex=at[vertex], start=at[first], end=at[last], right=True))
    return True


def _meets(page: Page, point: str, line: Line) -> bool:
    return point in line or bool(inside(line, page.at, [point]))


def put_arc(page: Page, label: str, arc: Term) -> bool:
    """Degrees outside the circle at the middle of an arc that no other point divides."""
    names, at = tuple(map(str, arc.args)), page.at
    rings = [
        r for r in page.figure.rings if {names[0], names[-1]} <= set(r.points) and r.center in at
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
    page.labels.append(
        Label(text=label, kind="side", at=center + middle - along, to=center + middle + along)
    )
    return True


def put_in_group(page: Page, groups: list[set[Line]], lines: Sequence[Argument]) -> bool:
    """Put both lines into one group of equal or parallel lines; False when marks cannot say it."""
    pair = [(ends(t) if isinstance(t, Term) and len(t.args) == 2 else ("", "")) for t in lines]
    pair = [(min(line), max(line)) for line in pair]
    if not all(covers(page, line) for line in pair):
        return False
    if any(abs(page.at[a] - page.at[b]) < SHORTEST * extent(page.at) for a, b in pair):
        return False
    if groups is page.equal and any(inside(line, page.at, page.visible) for line in pair):
        return False
    hit = [group for group in groups if group & set(pair)]
    if not hit and len(groups) == MAX_GROUPS:
        return False
    joined = set(pair).union(*hit)
    groups[:] = [group for group in groups if group not in hit] + [joined]
    return True


def ends(term: Term) -> Line:
    return str(term.args[0]), str(term.args[1])


def mark_groups(page: Page) -> None:
    """Ticks on equal lengths and chevrons on parallels, one more for each group."""
    for number, group in enumerate(page.equal, start=1):
        for line in sorted(group):
            start, end = (page.at[p] for p in line)
            page.marks.append(Segment(start=start, end=end, ticks=number))
    for number, group in enumerate(page.parallel, start=1):
        first = page.at[sorted(group)[0][1]] - page.at[sorted(group)[0][0]]
        for line in sorted(group):
            start, end = (page.at[p] for p in line)
            if ((end - start) * first.conjugate()).real < 0:
                start, end = end, start
            on = [page.at[p] for p in inside(line, page.at, page.visible)]
            taken = [((point - start) / (end - start)).real for point in on]
            free = max(CHEVRONS_AT, key=lambda at: min((abs(at - t) for t in taken), default=1.0))
            page.marks.append(Segment(start=start, end=end, chevrons=number, mark_at=free))
