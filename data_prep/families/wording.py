"""Letters, questions and small geometry that the families share."""

from __future__ import annotations

import cmath
import math
import random
from dataclasses import dataclass

import sympy

LETTERS = "ABCDEFGHJKLMNPQRSTUVW"
"""No I and O (they read as digits or as a centre), no X, Y, Z (unknowns)."""
MIN_ANGLE = 30
"""Degrees; thinner wedges leave no room for a label in a small picture."""

TRIPLES = (
    (3, 4, 5),
    (5, 12, 13),
    (8, 15, 17),
    (20, 21, 29),
    (28, 45, 53),
    (33, 56, 65),
    (48, 55, 73),
    (36, 77, 85),
    (39, 80, 89),
    (65, 72, 97),
)
"""Primitive right triangles without an angle below 22 degrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The unknown: its mark in the picture, the question, and its place in words."""

    mark: str
    question: str
    fact: str


def letters(rng: random.Random, count: int) -> list[str]:
    """Distinct vertex letters in drawing order, half of the time consecutive ones."""
    if rng.random() < 0.5:
        start = rng.randrange(len(LETTERS) - count + 1)
        return list(LETTERS[start : start + count])
    return rng.sample(LETTERS, count)


def ask_angle(rng: random.Random, name: str) -> Asked:
    """A question for the angle `name` (one letter or three)."""
    mark, question = rng.choice(
        (
            ("x", "Find x."),
            ("x", "What is the value of x in degrees?"),
            ("?", f"Find the measure of angle {name} in degrees."),
            ("?", "How many degrees is the angle marked ?"),
        )
    )
    fact = f"Angle {name} is x degrees." if mark == "x" else f"Angle {name} is marked ?."
    return Asked(mark=mark, question=question, fact=fact)


def ask_length(rng: random.Random, name: str, what: str = "length") -> Asked:
    """A question for the length of the segment `name`."""
    mark, question = rng.choice(
        (
            ("x", "Find x."),
            ("x", "What is the value of x?"),
            ("?", f"Find the {what} of {name}."),
            ("?", f"What is the {what} of the segment marked ?"),
        )
    )
    fact = f"{name} = x." if mark == "x" else f"{name} is marked ?."
    return Asked(mark=mark, question=question, fact=fact)


def degrees(value: int | sympy.Expr) -> str:
    """An angle label; the unknown marks are written without this."""
    return f"{value}\N{DEGREE SIGN}"


def answer_text(answer: sympy.Expr) -> str:
    """The exact answer: an integer, a short decimal, or LaTeX without spaces."""
    if answer.is_Integer:
        return str(answer)
    if answer.is_Rational and 1000 % int(answer.q) == 0:
        return f"{float(answer):g}"
    return str(sympy.latex(answer)).replace(" ", "")


def polar(radius: float, angle_deg: float) -> complex:
    """The point at this distance and direction from the origin."""
    return cmath.rect(radius, math.radians(angle_deg))


def triangle(first_deg: float, second_deg: float) -> tuple[complex, complex, complex]:
    """The triangle on the unit base with these base angles; the third point lies above."""
    third = math.radians(180 - first_deg - second_deg)
    side = math.sin(math.radians(second_deg)) / math.sin(third)
    return 0j, 1 + 0j, polar(side, first_deg)


def spaced(rng: random.Random, low: int, high: int, flattest: float) -> tuple[int, int]:
    """Two numbers of a range whose smaller is at least this part of the larger."""
    while True:
        first, second = rng.randint(low, high), rng.randint(low, high)
        if min(first, second) >= flattest * max(first, second):
            return first, second


def triple(rng: random.Random, largest: int) -> tuple[int, int, int]:
    """A Pythagorean triple (legs in either order, then the hypotenuse) that is no sliver."""
    first, second, third = rng.choice([t for t in TRIPLES if t[2] <= largest])
    scale = rng.randint(1, largest // third)
    if rng.random() < 0.5:
        first, second = second, first
    return first * scale, second * scale, third * scale
