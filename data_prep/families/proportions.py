"""Proportions: a parallel to a side of a triangle, and two chords that cross."""

from __future__ import annotations

import random

import sympy

from data_prep.families.wording import answer_text, ask_length, letters, polar
from data_prep.scene import Circle, Draft, Scene, Segment, length, named

LARGEST_DENOMINATOR = 4


def similar_triangles(rng: random.Random) -> Draft:
    """A segment parallel to a side cuts a triangle; a fourth proportional is asked."""
    kind = rng.choice(("sides", "base"))
    near, rest, third, answer = _proportion(rng, kind)
    a, b, c, d, e = letters(rng, 5)
    asked = ask_length(rng, e + c if kind == "sides" else b + c)
    value = answer_text(answer)
    if kind == "sides":
        foot = third * polar(1, 90 - rng.uniform(45, 75))
        steps: tuple[str, ...] = (
            f"{third}*{rest}={third * rest}",
            f"{third * rest}/{near}={value}",
        )
    else:
        foot = near * polar(1, 90) + third * polar(1, rng.uniform(-60, -25))
        whole = near + rest
        steps = (
            f"{near}+{rest}={whole}",
            f"{third}*{whole}={third * whole}",
            f"{third * whole}/{near}={value}",
        )
    third_name = (a if kind == "sides" else d) + e
    givens = ((a + d, str(near)), (d + b, str(rest)), (third_name, str(third)))
    stated = ", ".join(f"{name} = {number}" for name, number in givens)
    return Draft(
        key=(kind, near, rest, third),
        question=f"{d}{e} is parallel to {b}{c}. {asked.question}",
        facts=f"In triangle {a}{b}{c}, {d} lies on {a}{b} and {e} on {a}{c}; {stated}. "
        f"{asked.fact}",
        answer=answer,
        givens=givens,
        steps=steps,
        scene=_cut_triangle(kind, (near, rest, third), foot, a + b + c + d + e, asked.mark),
        difficulty=3,
    )


def _proportion(rng: random.Random, kind: str) -> tuple[int, int, int, sympy.Expr]:
    """Both parts of the cut side, the third given length and the asked one."""
    while True:
        near, rest = rng.randint(3, 18), rng.randint(3, 18)
        third = rng.randint(3, 20)
        factor = sympy.Rational(rest, near) if kind == "sides" else 1 + sympy.Rational(rest, near)
        answer = third * factor
        if (
            0.45 <= near / rest <= 2.2
            and 0.65 <= third / near <= 1.5
            and answer.q <= LARGEST_DENOMINATOR
        ):
            return near, rest, third, answer


def _cut_triangle(
    kind: str, sizes: tuple[int, int, int], foot: complex, names: str, mark: str
) -> Scene:
    """The triangle with its tip at the origin, one side upright and the parallel through `foot`."""
    near, rest, third = sizes
    up = polar(1, 90)
    mid, end = near * up, (near + rest) * up
    far = foot * (near + rest) / near
    given, asked = ((0j, foot), (foot, far)) if kind == "sides" else ((mid, foot), (end, far))
    return Scene(
        segments=(
            Segment(start=0j, end=mid),
            Segment(start=mid, end=end),
            Segment(start=0j, end=foot),
            Segment(start=foot, end=far),
            Segment(start=mid, end=foot, chevrons=1, mark_at=0.35),
            Segment(start=end, end=far, chevrons=1, mark_at=0.3),
        ),
        labels=(
            length(str(near), 0j, mid),
            length(str(rest), mid, end),
            length(str(third), *given),
            length(mark, *asked),
            *named(names, 0j, end, far, mid, foot),
        ),
    )


def intersecting_chords(rng: random.Random) -> Draft:
    """Two chords cross; three of the four parts are given."""
    while True:
        first, second, third = (rng.randint(3, 20) for _ in range(3))
        answer = sympy.Rational(first * second, third)
        parts = (first, second, third, float(answer))
        if max(parts) <= 2.5 * min(parts) and answer.q <= LARGEST_DENOMINATOR:
            break
    a, b, c, d, p = letters(rng, 5)
    turn = polar(1, rng.uniform(60, 120))
    ends = (first + 0j, -second + 0j, third * turn, -float(answer) * turn)
    center = _center(ends[0], ends[1], ends[2])
    asked = ask_length(rng, p + d)
    givens = ((p + a, str(first)), (p + b, str(second)), (p + c, str(third)))
    stated = ", ".join(f"{name} = {number}" for name, number in givens)
    texts = (str(first), str(second), str(third), asked.mark)
    return Draft(
        key=(*sorted((first, second)), third),
        question=asked.question,
        facts=f"Chords {a}{b} and {c}{d} of a circle cross at {p}; {stated}. {asked.fact}",
        answer=answer,
        givens=givens,
        steps=(
            f"{first}*{second}={first * second}",
            f"{first * second}/{third}={answer_text(answer)}",
        ),
        scene=Scene(
            circles=(Circle(center=center, radius=abs(ends[0] - center)),),
            segments=tuple(Segment(start=0j, end=end) for end in ends),
            labels=(
                *(length(text, 0j, end) for text, end in zip(texts, ends, strict=True)),
                *named(a + b + c + d + p, *ends, 0j),
            ),
        ),
        difficulty=3,
    )


def _center(first: complex, second: complex, third: complex) -> complex:
    """The point at equal distances from three points."""
    u, v = second - first, third - first
    squares = abs(u) ** 2 * v - abs(v) ** 2 * u
    return first - 1j * squares / (2 * (u.conjugate() * v).imag)
