"""What a diagram shows, before anybody decides how it is posed on a picture.

Points are complex numbers `x + y*1j` in mathematical coordinates (y up, any unit), so that a
rotation is a product and a reflection is a conjugate. A family writes a `Scene` with the true
proportions of its numbers; `drawing` chooses pose, style and label positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sympy


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A straight stroke; ticks mark equal lengths, chevrons mark parallels."""

    start: complex
    end: complex
    dashed: bool = False
    ticks: int = 0
    chevrons: int = 0
    mark_at: float = 0.5
    """Where ticks and chevrons sit: 0 at the start, 1 at the end."""
    arrow: bool = False
    """An arrow head at `end`, for rays and axes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Circle:
    """A full circle."""

    center: complex
    radius: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Arc:
    """A circular stroke that runs counter-clockwise from `start` to the direction of `end`."""

    center: complex
    start: complex
    end: complex


@dataclass(frozen=True, slots=True, kw_only=True)
class AngleMark:
    """The angle below 180 degrees at `vertex` between the rays to `start` and `end`."""

    vertex: complex
    start: complex
    end: complex
    text: str = ""
    right: bool = False
    """Drawn as the small square of a right angle, without text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Text at a point (`point`: any side of it) or beside a stroke (`side`: from `at` to `to`)."""

    text: str
    kind: Literal["point", "side"]
    at: complex
    to: complex = 0j


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """All strokes, marks and labels of one diagram."""

    segments: tuple[Segment, ...] = ()
    circles: tuple[Circle, ...] = ()
    arcs: tuple[Arc, ...] = ()
    dots: tuple[complex, ...] = ()
    angles: tuple[AngleMark, ...] = ()
    labels: tuple[Label, ...] = ()
    turn: bool = True
    """False where the orientation carries meaning (coordinate axes): no rotation, no reflection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a family returns for one seeded draw: a problem before its id, split and picture."""

    key: tuple[int | str, ...]
    """Canonical parameters: equal for problems that differ only by symmetry, letters or style."""
    question: str
    facts: str
    """The picture in words (structure, values, what is asked), for the `text` variant."""
    answer: sympy.Expr
    givens: tuple[tuple[str, str], ...]
    """(label, value) of what must be read from the picture, in solving order."""
    steps: tuple[str, ...]
    """Worked solution in equations without spaces; the last one ends in the answer."""
    scene: Scene
    difficulty: int
    """1 (one subtraction) to 5."""


def named(letters: str, *points: complex) -> tuple[Label, ...]:
    """Vertex labels, one letter per point."""
    return tuple(
        Label(text=letter, kind="point", at=point)
        for letter, point in zip(letters, points, strict=True)
    )


def length(text: str, start: complex, end: complex) -> Label:
    """A label beside the middle of a stroke."""
    return Label(text=text, kind="side", at=start, to=end)


def outline(*points: complex) -> tuple[Segment, ...]:
    """The closed polygon through the points."""
    return tuple(
        Segment(start=start, end=end)
        for start, end in zip(points, points[1:] + points[:1], strict=True)
    )
