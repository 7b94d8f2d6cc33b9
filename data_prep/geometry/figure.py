"""From an annotation to a figure: facts, target, circles, names, and a start for every point.

Positions become numbers of order one (y up), so that the same tolerances fit every picture.
Names that need the whole problem are resolved here: circles (one centre may carry several),
numbered angles ("angle 4"), and letters that name lines.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.geometry.aliases import aliases, rename
from data_prep.geometry.annotations import Annotation
from data_prep.geometry.literals import (
    SHAPES,
    Argument,
    LiteralError,
    Term,
    is_point,
    parse,
    points_in,
    walk,
)

COLOURS = frozenset({"Shaded", "Blue", "Green", "Red"})
QUALITIES = frozenset({"Regular", "Isosceles", "Right", "Equilateral"})
WRAPPERS = COLOURS | QUALITIES
STATING = QUALITIES | {"Parallelogram", "Rectangle", "Rhombus", "Square", "Kite", "Trapezoid"}
"""Shapes whose very name is a fact, wherever it stands: `Find(AreaOf(Square(A, B, C, D)))`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """One circle: circles of the same centre differ in their name."""

    center: str
    name: str
    points: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A problem whose names are resolved."""

    id: str
    at: Mapping[str, complex]
    """Start of every point: the picture's where there is one, else a seeded guess."""
    placed: frozenset[str]
    strokes: tuple[tuple[str, str], ...]
    rings: tuple[Ring, ...]
    numbered: Mapping[str, tuple[str, str, str]]
    line_names: Mapping[str, tuple[str, str]]
    drawn: tuple[Term, ...]
    """Facts of the diagram, as written down."""
    said: tuple[Term, ...]
    """Facts of the text."""
    facts: tuple[Term, ...]
    """All of them, and the shapes that are only named inside others."""
    target: Argument | None
    unread: tuple[str, ...]
    """Literals that are no literals."""

    @property
    def components(self) -> list[list[str]]:
        """Points that strokes and circles join, by part of the figure."""
        joined = [*self.strokes, *((ring.center, p) for ring in self.rings for p in ring.points)]
        leader = {name: name for name in self.at}

        def root(name: str) -> str:
            while leader[name] != name:
                name = leader[name]
            return name

        for first, last in joined:
            if first in leader and last in leader:
                leader[root(first)] = root(last)
        groups: dict[str, list[str]] = {}
        for name in sorted(self.at):
            groups.setdefault(root(name), []).append(name)
        return list(groups.values())

    @property
    def parts(self) -> list[list[str]]:
        """The placed points of the components that have more than two."""
        placed = ([p for p in names if p in self.placed] for names in self.components)
        return [names for names in placed if len(names) > 2]

    @property
    def polygons(self) -> Iterator[tuple[str, ...]]:
        """Vertices of the shapes that the facts and the target name."""
        terms = [*self.facts, *([self.target] if self.target is not None else [])]
        for term in terms:
            for inner in walk(term):
                if inner.head in SHAPES and len(inner.args) > 2 and all(map(is_point, inner.args)):
                    yield tuple(map(str, inner.args))


def build_figure(annotation: Annotation) -> Figure:
    """Resolve the names of a problem."""
    shown, broken = _terms(annotation.diagram)
    told, unread = _terms(annotation.text)
    renamed = aliases(annotation, shown, told)
    shown, told = ([rename(term, renamed) for term in terms] for terms in (shown, told))
    terms = list(dict.fromkeys([*shown, *told]))
    asked = [term.args[0] for term in terms if term.head == "Find"]
    facts = [term for term in terms if term.head != "Find"]
    facts += _nested_shapes(facts, asked)
    rings = _rings(annotation, terms)
    names = points_in(terms) | {ring.center for ring in rings} | set(annotation.positions)
    at = _start(annotation, rings, sorted(names))
    return Figure(
        id=annotation.id,
        at=at,
        placed=frozenset(annotation.positions) | _fitted(annotation, rings),
        strokes=annotation.strokes,
        rings=rings,
        numbered=_numbered(facts),
        line_names=_line_names(terms),
        drawn=tuple(shown),
        said=tuple(term for term in told if term.head != "Find"),
        facts=tuple(facts),
        target=asked[-1] if asked else None,
        unread=(*broken, *unread),
    )


def _terms(texts: Sequence[str]) -> tuple[list[Term], list[str]]:
    terms, unread = [], []
    for text in texts:
        try:
            term = parse(text)
        except LiteralError:
            unread.append(text)
            continue
        if term.head.startswith("PointLiesOn") and len(term.args) != 2:
            unread.append(text)
        else:
            terms.append(term)
    return list(dict.fromkeys(terms)), unread


def _nested_shapes(facts: list[Term], asked: list[Argument]) -> list[Term]:
    """Facts that are only named inside other literals, once each."""
    known = {str(fact) for fact in facts}
    found = []
    for term in [*facts, *asked]:
        for inner in list(walk(term))[0 if term in asked else 1 :]:
            if inner.head in STATING and str(inner) not in known and "$" not in str(inner):
                known.add(str(inner))
                found.append(inner)
    return found


# -- circles ------------------------------------------------------------------------------------


def _rings(annotation: Annotation, terms: list[Term]) -> tuple[Ring, ...]:
    on: dict[tuple[str, str], list[str]] = {}
    for term in terms:
        if term.head == "PointLiesOnCircle" and len(term.args) == 2:
            circle = term.args[1]
            args = circle.args if isinstance(circle, Term) else (circle,)
            if is_point(args[0]) and is_point(term.args[0]):
                name = str(args[1]) if len(args) > 1 else ""
                on.setdefault((str(args[0]), name), []).append(str(term.args[0]))
    centres = {c for c in annotation.circles if is_point(c)}
    centres |= {
        str(inner.args[0])
        for term in terms
        for inner in walk(term)
        if inner.head == "Circle" and is_point(inner.args[0])
    }
    for centre in sorted(centres):
        if not any(key[0] == centre for key in on):
            on[centre, ""] = []
    for key in [key for key in on if not key[1]]:
        named = [other for other in on if other[0] == key[0] and other[1]]
        if named:
            on[named[0]] += on.pop(key)
    return tuple(
        Ring(center=centre, name=name, points=tuple(dict.fromkeys(points)))
        for (centre, name), points in on.items()
    )


def _fitted(annotation: Annotation, rings: Sequence[Ring]) -> frozenset[str]:
    """Centres without a position that three points of their circle give away."""
    return frozenset(
        ring.center
        for ring in rings
        if ring.center not in annotation.positions
        and sum(point in annotation.positions for point in ring.points) >= 3
    )


def _start(
    annotation: Annotation, rings: Sequence[Ring], names: Sequence[str]
) -> dict[str, complex]:
    known = dict(annotation.positions)
    values = np.array(list(known.values()) or [0j])
    middle = complex(values.mean())
    extent = max(float(np.ptp(values.real)), float(np.ptp(values.imag)), 1.0)
    for ring in rings:
        points = np.array([known[p] for p in ring.points if p in annotation.positions])
        if ring.center not in known and len(points) >= 3:
            rows = np.stack([points.real, points.imag, np.ones(len(points))], axis=1)
            fit = np.linalg.lstsq(rows, np.abs(points) ** 2, rcond=None)[0]
            known[ring.center] = complex(fit[0], fit[1]) / 2
    rng = random.Random(0)
    for name in names:
        if name not in known:
            known[name] = middle + extent / 4 * complex(rng.gauss(0, 1), rng.gauss(0, 1))
    return {name: (known[name] - middle) / extent for name in names}


# -- names --------------------------------------------------------------------------------------


def _sides(facts: Sequence[Term]) -> Iterator[tuple[Argument, Argument]]:
    for fact in facts:
        if fact.head == "Equals" and len(fact.args) == 2:
            yield fact.args[0], fact.args[1]
            yield fact.args[1], fact.args[0]


def _numbered(facts: Sequence[Term]) -> dict[str, tuple[str, str, str]]:
    """`Equals(MeasureOf(Angle(A, B, C)), MeasureOf(angle 4))`: where angle 4 is."""
    found: dict[str, tuple[str, str, str]] = {}
    for this, other in _sides(facts):
        number = angle_number(other)
        inner = unwrap_measure(this)
        if number and isinstance(inner, Term) and inner.head == "Angle" and len(inner.args) == 3:
            first, vertex, last = map(str, inner.args)
            found.setdefault(number, (first, vertex, last))
    return found


def unwrap_measure(argument: Argument) -> Argument:
    """`MeasureOf(a)` and `LengthOf(a)` without their wrapper."""
    while isinstance(argument, Term) and argument.head in ("MeasureOf", "LengthOf"):
        argument = argument.args[0]
    return argument


def angle_number(argument: Argument) -> str:
    """The number in `MeasureOf(angle 4)`, `Angle(4)`, `angle 4`; empty when there is none."""
    inner = unwrap_measure(argument)
    if isinstance(inner, Term) and inner.head == "Angle" and len(inner.args) == 1:
        text = str(inner.args[0])
        return text if text.isdigit() else ""
    match = re.fullmatch(r"angle\s*(\d+)", inner) if isinstance(inner, str) else None
    return match[1] if match else ""


def _line_names(terms: Sequence[Term]) -> dict[str, tuple[str, str]]:
    """Letters of `Line(m)`, tied to points by `Equals(LengthOf(Line(P, Q)), m)`."""
    wanted = {
        str(inner.args[0])
        for term in terms
        for inner in walk(term)
        if inner.head == "Line" and len(inner.args) == 1
    }
    found: dict[str, tuple[str, str]] = {}
    for this, other in _sides(terms):
        inner = unwrap_measure(this)
        if not isinstance(inner, Term) or inner.head != "Line" or other not in wanted:
            continue
        if len(inner.args) == 2 and all(map(is_point, inner.args)):
            found.setdefault(str(other), (str(inner.args[0]), str(inner.args[1])))
    return found
