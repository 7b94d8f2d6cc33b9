"""What a variant changes in a solved figure; see `variants` for the three ways."""

from __future__ import annotations

import cmath
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from data_prep.geometry.algebra import (
    AlgebraError,
    Expression,
    evaluate,
    letters,
    parse_expression,
)
from data_prep.geometry.answers import Answer
from data_prep.geometry.figure import Figure, angle_number
from data_prep.geometry.literals import Argument, Term
from data_prep.geometry.strokes import inside
from data_prep.geometry.wording import is_angle

NUMBER = re.compile(r"\d+(\.\d+)?|\.\d+")
FACTORS = (Fraction(2), Fraction(3), Fraction(1, 2), Fraction(3, 2), Fraction(4), Fraction(5),
           Fraction(4, 3), Fraction(2, 3), Fraction(5, 2), Fraction(1))  # fmt: skip
LARGEST = 400
"""Given numbers stay below."""
FEW_DECIMALS = 10
"""Denominators of given numbers divide this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alteration:
    """A changed figure."""

    figure: Figure
    changes: tuple[str, ...]
    value: float | None = None
    """The answer, where the way of changing fixes it."""

    @property
    def key(self) -> str:
        """The same for equal changes."""
        return "|".join(sorted(self.changes))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """`Equals(measure, expression)` with its number or letters."""

    fact: Term
    measure: Term
    text: str
    tree: Expression

    @property
    def power(self) -> int:
        """How it grows with lengths: 0 for angles and ratios, 1 for lengths, 2 for areas."""
        inner: Argument = self.measure
        while isinstance(inner, Term) and inner.head in ("MeasureOf", "LengthOf", "SumOf", "Add"):
            if inner.head == "LengthOf":
                return 1
            inner = inner.args[0]
        head = inner.head if isinstance(inner, Term) else ""
        if is_angle(self.measure) or head.endswith(("RatioOf", "SinOf", "CosOf", "TanOf")):
            return 0
        return 2 if head == "AreaOf" else 1

    def with_text(self, text: str) -> Term:
        """The same fact with another value."""
        return Term("Equals", (self.measure, text))


def _givens(figure: Figure) -> Iterator[_Given]:
    for fact in dict.fromkeys((*figure.drawn, *figure.said)):
        if fact.head != "Equals" or len(fact.args) != 2:
            continue
        one, two = fact.args if isinstance(fact.args[0], Term) else fact.args[::-1]
        if not isinstance(one, Term) or not isinstance(two, str) or angle_number(two):
            continue
        if two in figure.line_names:
            continue
        try:
            yield _Given(fact=fact, measure=one, text=two, tree=parse_expression(two))
        except AlgebraError:
            continue


def _changed(
    answer: Answer, changes: Mapping[Term, Term], value: float | None
) -> Alteration | None:
    if not changes or all(old == new for old, new in changes.items()):
        return None
    figure = answer.figure

    def swapped(facts: Sequence[Term]) -> tuple[Term, ...]:
        return tuple(changes.get(fact, fact) for fact in facts)

    return Alteration(
        figure=replace(
            figure,
            drawn=swapped(figure.drawn),
            said=swapped(figure.said),
            facts=swapped(figure.facts),
        ),
        changes=tuple(f"{old} -> {new.args[1]}" for old, new in changes.items() if old != new),
        value=value,
    )


# -- the three ways -----------------------------------------------------------------------------


def new_numbers(answer: Answer, rng: random.Random) -> Alteration | None:
    """Every given number drawn anew near the old one; equal numbers stay equal."""
    drawn: dict[tuple[str, int], str] = {}
    changes = {}
    for given in _givens(answer.figure):
        if not NUMBER.fullmatch(given.text):
            continue
        key = (given.text, given.power)
        if key not in drawn:
            drawn[key] = _near(float(given.text), given.power, rng)
        changes[given.fact] = given.with_text(drawn[key])
    return _changed(answer, changes, None)


def _near(value: float, power: int, rng: random.Random) -> str:
    if power == 0:
        moved = value + rng.randint(-12, 12)
        return str(round(min(max(moved, 8), 355 if value > 180 else 172)))
    return str(max(1, round(value * rng.uniform(0.7, 1.5))))


def rescaled(answer: Answer, rng: random.Random) -> Alteration | None:
    """Lengths times a factor and letters with new values, over the same shape."""
    givens = list(_givens(answer.figure))
    known = answer.outcome.unknowns
    factor = rng.choice(FACTORS)
    values = _new_letters(givens, known, factor, rng)
    changes = {}
    for given in givens:
        text = _rewritten(given, known, values, factor**given.power)
        if text is None:
            return None
        changes[given.fact] = given.with_text(text)
    target = answer.figure.target
    expected = None
    if isinstance(target, str) and len(target) == 1 and target in values:
        expected = float(values[target])
    return _changed(answer, changes, expected)


def _new_letters(
    givens: Sequence[_Given], known: Mapping[str, float], factor: Fraction, rng: random.Random
) -> dict[str, Fraction | float]:
    """A letter that stands alone at a measure grows with it; others take a whole number nearby."""
    values: dict[str, Fraction | float] = {}
    for given in givens:
        if given.tree[0] == "letter":
            values.setdefault(given.text, known[given.text] * float(factor**given.power))
    for name, value in sorted(known.items()):
        if name not in values:
            moved = round(value) + rng.choice((-4, -3, -2, -1, 1, 2, 3, 4, 5))
            values[name] = Fraction(max(1, moved))
    return values


def _rewritten(
    given: _Given,
    known: Mapping[str, float],
    values: Mapping[str, Fraction | float],
    factor: Fraction,
) -> str | None:
    """The expression with its constant adjusted; None when that gives no plain number."""
    if given.tree[0] == "letter":
        return given.text
    names = sorted(letters(given.tree))
    if not names:
        scaled = Fraction(given.text) * factor if NUMBER.fullmatch(given.text) else None
        if scaled is None:
            return given.text if factor == 1 else None
        return _plain(scaled) if 0 < scaled <= LARGEST else None
    linear = _linear(given.tree, names)
    if linear is None or not all(name in known for name in names):
        return None
    slopes, constant = linear
    measure = sum(slopes[name] * known[name] for name in names) + float(constant)
    moved = measure * float(factor) - sum(
        float(slopes[name]) * float(values[name]) for name in names
    )
    near = Fraction(round(moved * FEW_DECIMALS), FEW_DECIMALS)
    if abs(float(near) - moved) > 1e-7 or abs(near) > LARGEST:
        return None
    return _written(slopes, near)


def _linear(tree: Expression, names: Sequence[str]) -> tuple[dict[str, Fraction], Fraction] | None:
    """Slopes and constant of an expression that is linear with plain numbers, else None."""

    def value(**at: float) -> float:
        return float(evaluate(tree, {**dict.fromkeys(names, 0.0), **at}))

    try:
        constant = value()
        slopes = {name: value(**{name: 1.0}) - constant for name in names}
        probe = {name: 3.0 + number for number, name in enumerate(names)}
        linear = constant + sum(slopes[name] * probe[name] for name in names)
        if abs(value(**probe) - linear) > 1e-9:
            return None
    except ZeroDivisionError:
        return None
    exact = {name: Fraction(round(slope * 60), 60) for name, slope in slopes.items()}
    if any(abs(float(exact[name]) - slopes[name]) > 1e-9 for name in names):
        return None
    return exact, Fraction(round(constant * 60), 60)


def _written(slopes: Mapping[str, Fraction], constant: Fraction) -> str:
    parts = []
    for name, slope in slopes.items():
        sign = "-" if slope < 0 else "+"
        size = abs(slope)
        number = "" if size == 1 else _plain(size) if _plain(size) else f"({size})"
        if size:
            parts.append(f"{sign}{number}{name}")
    if constant:
        parts.append(f"{'-' if constant < 0 else '+'}{_plain(abs(constant))}")
    return "".join(parts).removeprefix("+")


def _plain(number: Fraction) -> str | None:
    """An integer or a number with one decimal; None for others."""
    if FEW_DECIMALS % number.denominator:
        return None
    return str(number) if number.denominator == 1 else f"{float(number):g}"


# -- another question ---------------------------------------------------------------------------


def ask_other(answer: Answer, rng: random.Random) -> Alteration | None:
    """Ask for something else that the figure fixes and that is not stated."""
    figure = answer.figure
    stated = {str(given.measure) for given in _givens(figure)}
    stated |= {str(figure.target)}
    choices = [target for target in _targets(answer) if not {str(target), *_twins(target)} & stated]
    if not choices:
        return None
    target = rng.choice(choices)
    changed = replace(figure, target=target)
    return Alteration(figure=changed, changes=(f"Find({figure.target}) -> {target}",))


def _twins(target: Argument) -> set[str]:
    """The same measure with its ends exchanged."""
    if not isinstance(target, Term) or not isinstance(target.args[0], Term):
        return set()
    inner = target.args[0]
    return {str(Term(target.head, (Term(inner.head, inner.args[::-1]),)))}


def _targets(answer: Answer) -> list[Argument]:
    figure, at = answer.figure, answer.outcome.positions
    lettered = sorted(p for p in figure.at if re.fullmatch("[A-Z]", p))
    strokes = [s for s in figure.strokes if set(s) <= set(lettered)]
    joined = {frozenset(stroke) for stroke in strokes}
    found: list[Argument] = [
        Term("LengthOf", (Term("Line", stroke),))
        for stroke in strokes
        if not inside(stroke, at, lettered)
    ]
    for first, last in ((a, b) for a in lettered for b in lettered if a < b):
        for vertex in lettered:
            if {frozenset((first, vertex)), frozenset((vertex, last))} <= joined:
                ways = at[first] - at[vertex], at[last] - at[vertex]
                degrees = abs(math.degrees(cmath.phase(ways[0] / ways[1])))
                if 8 < degrees < 172 and abs(degrees - 90) > 1e-6:
                    found.append(Term("MeasureOf", (Term("Angle", (first, vertex, last)),)))
                if vertex > last and frozenset((first, last)) in joined and 8 < degrees < 172:
                    shape = Term("Triangle", (first, last, vertex))
                    found += [Term("PerimeterOf", (shape,)), Term("AreaOf", (shape,))]
    return [*found, *sorted(answer.outcome.unknowns)]
