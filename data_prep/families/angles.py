"""Angles in triangles and quadrilaterals: sums, exterior angles, isosceles triangles."""

from __future__ import annotations

import random

import sympy

from data_prep.families.wording import (
    MIN_ANGLE,
    ask_angle,
    degrees,
    letters,
    polar,
    triangle,
)
from data_prep.scene import AngleMark, Draft, Scene, Segment, named, outline


def triangle_angle_sum(rng: random.Random) -> Draft:
    """Two angles of a triangle are given, the third is asked."""
    while True:
        first, second = (rng.randint(MIN_ANGLE, 130) for _ in range(2))
        third = 180 - first - second
        if third >= MIN_ANGLE:
            break
    a, b, c = letters(rng, 3)
    asked = ask_angle(rng, c)
    p, q, r = triangle(first, second)
    return Draft(
        key=tuple(sorted((first, second))),
        question=asked.question,
        facts=f"In triangle {a}{b}{c}, angle {a} is {first} degrees and angle {b} is {second} "
        f"degrees. {asked.fact}",
        answer=sympy.Integer(third),
        givens=((a, str(first)), (b, str(second))),
        steps=(f"{first}+{second}={first + second}", f"180-{first + second}={third}"),
        scene=Scene(
            segments=outline(p, q, r),
            angles=(
                AngleMark(vertex=p, start=q, end=r, text=degrees(first)),
                AngleMark(vertex=q, start=r, end=p, text=degrees(second)),
                AngleMark(vertex=r, start=p, end=q, text=asked.mark),
            ),
            labels=named(a + b + c, p, q, r),
        ),
        difficulty=1,
    )


def exterior_angle(rng: random.Random) -> Draft:
    """One side of a triangle is extended; the exterior angle or a remote one is asked."""
    while True:
        first, second = (rng.randint(MIN_ANGLE, 120) for _ in range(2))
        outer = first + second
        if outer <= 180 - MIN_ANGLE:
            break
    a, b, c, d = letters(rng, 4)
    exterior = rng.random() < 0.5
    p, q, r = triangle(first, second)
    # The base from the second vertex to the third is extended beyond the third.
    end = r + 0.45 * (r - q) * max(1.0, 0.8 / abs(r - q))
    asked = ask_angle(rng, f"{a}{c}{d}" if exterior else b)
    texts = (degrees(first), asked.mark if not exterior else degrees(second))
    remote = f"angle {a} is {first} degrees"
    if exterior:
        key: tuple[int | str, ...] = ("exterior", *sorted((first, second)))
        facts, answer = f"{remote} and angle {b} is {second} degrees", outer
        givens = ((a, str(first)), (b, str(second)))
        steps = (f"{first}+{second}={outer}",)
    else:
        key = ("remote", outer, first)
        facts, answer = f"{remote} and angle {a}{c}{d} is {outer} degrees", second
        givens = ((f"{a}{c}{d}", str(outer)), (a, str(first)))
        steps = (f"{outer}-{first}={second}",)
    return Draft(
        key=key,
        question=asked.question,
        facts=f"In triangle {a}{b}{c}, side {b}{c} is extended to {d}. There {facts}. {asked.fact}",
        answer=sympy.Integer(answer),
        givens=givens,
        steps=steps,
        scene=Scene(
            segments=(*outline(p, q, r), Segment(start=r, end=end)),
            angles=(
                AngleMark(vertex=p, start=q, end=r, text=texts[0]),
                AngleMark(vertex=q, start=r, end=p, text=texts[1]),
                AngleMark(
                    vertex=r, start=p, end=end, text=asked.mark if exterior else degrees(outer)
                ),
            ),
            labels=named(a + b + c + d, p, q, r, end),
        ),
        difficulty=1,
    )


def isosceles_angles(rng: random.Random) -> Draft:
    """Two equal sides (ticks); apex, base or exterior angle is given, another one is asked."""
    kind = rng.choices(("apex", "base", "outer", "cevian"), weights=(2, 1, 1, 6))[0]
    if kind == "cevian":
        return _isosceles_cevian(rng)
    if kind == "outer":
        return _isosceles_outer(rng)
    a, b, c = letters(rng, 3)
    if kind == "apex":
        apex = sympy.Integer(rng.randint(30, 125))
        base = (180 - apex) / 2
        asked = ask_angle(rng, b)
        texts, givens = (asked.mark, "", degrees(apex)), ((a, str(apex)),)
        answer, facts = base, f"Angle {a} is {apex} degrees."
        rest = 180 - apex
        steps = (f"180-{apex}={rest}", f"{rest}/2={float(base):g}")
    else:
        base = sympy.Integer(rng.randint(30, 75))
        apex = 180 - 2 * base
        asked = ask_angle(rng, a)
        texts, givens = (degrees(base), "", asked.mark), ((b, str(base)),)
        answer, facts = apex, f"Angle {b} is {base} degrees."
        steps = (f"2*{base}={2 * base}", f"180-{2 * base}={apex}")
    q, r, p = triangle(float(base), float(base))
    marks = zip((q, r, p), (r, p, q), (p, q, r), texts, strict=True)
    return Draft(
        key=(kind, int(apex)),
        question=asked.question,
        facts=f"In triangle {a}{b}{c}, {a}{b} = {a}{c}. {facts} {asked.fact}",
        answer=answer,
        givens=givens,
        steps=steps,
        scene=Scene(
            segments=_equal_legs(p, q, r),
            angles=tuple(
                AngleMark(vertex=at, start=start, end=end, text=text)
                for at, start, end, text in marks
                if text
            ),
            labels=named(a + b + c, p, q, r),
        ),
        difficulty=1 if answer.is_Integer else 2,
    )


def _equal_legs(apex: complex, left: complex, right: complex) -> tuple[Segment, ...]:
    return (
        Segment(start=apex, end=left, ticks=1),
        Segment(start=apex, end=right, ticks=1),
        Segment(start=left, end=right),
    )


def _isosceles_outer(rng: random.Random) -> Draft:
    """The base is extended: its exterior angle is given, the apex angle is asked."""
    base = rng.randint(30, 75)
    outer, apex = 180 - base, 180 - 2 * base
    a, b, c, d = letters(rng, 4)
    q, r, p = triangle(base, base)
    end = r + 0.42 * (r - q)
    asked = ask_angle(rng, a)
    return Draft(
        key=("outer", outer),
        question=asked.question,
        facts=f"In triangle {a}{b}{c}, {a}{b} = {a}{c} and {b}{c} is extended to {d}. "
        f"Angle {a}{c}{d} is {outer} degrees. {asked.fact}",
        answer=sympy.Integer(apex),
        givens=((f"{a}{c}{d}", str(outer)),),
        steps=(f"180-{outer}={base}", f"2*{base}={2 * base}", f"180-{2 * base}={apex}"),
        scene=Scene(
            segments=(*_equal_legs(p, q, r), Segment(start=r, end=end)),
            angles=(
                AngleMark(vertex=p, start=q, end=r, text=asked.mark),
                AngleMark(vertex=r, start=p, end=end, text=degrees(outer)),
            ),
            labels=named(a + b + c + d, p, q, r, end),
        ),
        difficulty=2,
    )


def _isosceles_cevian(rng: random.Random) -> Draft:
    """A segment from the apex to the base; the exterior angle of its far triangle is asked."""
    base = rng.randint(33, 60)
    part = rng.randint(MIN_ANGLE, 180 - 2 * base - MIN_ANGLE)
    a, b, c, d = letters(rng, 4)
    q, r, p = triangle(base, base)
    # Seen from the left base vertex: the foot where the ray that leaves `part` meets the base.
    foot = triangle(base, part)[2]  # side of the triangle with angles base (at q), part (at p)
    foot = q + abs(p - q) * abs(foot)
    outer = base + part
    asked = ask_angle(rng, f"{a}{d}{c}")
    return Draft(
        key=("cevian", base, part),
        question=asked.question,
        facts=f"In triangle {a}{b}{c}, {a}{b} = {a}{c} and {d} lies on {b}{c}. Angle {c} is "
        f"{base} degrees and angle {b}{a}{d} is {part} degrees. {asked.fact}",
        answer=sympy.Integer(outer),
        givens=((c, str(base)), (f"{b}{a}{d}", str(part))),
        steps=(f"{base}+{part}={outer}",),
        scene=Scene(
            segments=(
                *_equal_legs(p, q, r)[:2],
                Segment(start=q, end=foot),
                Segment(start=foot, end=r),
                Segment(start=p, end=foot),
            ),
            angles=(
                AngleMark(vertex=r, start=p, end=q, text=degrees(base)),
                AngleMark(vertex=p, start=q, end=foot, text=degrees(part)),
                AngleMark(vertex=foot, start=p, end=r, text=asked.mark),
            ),
            labels=named(a + b + c + d, p, q, r, foot),
        ),
        difficulty=2,
    )


def quadrilateral_angle_sum(rng: random.Random) -> Draft:
    """Three angles of a convex quadrilateral are given, the fourth is asked."""
    while True:
        values = [rng.randint(50, 140) for _ in range(3)]
        fourth = 360 - sum(values)
        if not 50 <= fourth <= 140:
            continue
        corners = _quadrilateral(rng, values)
        if corners is not None:
            break
    names = "".join(letters(rng, 4))
    asked = ask_angle(rng, names[3])
    first, second, third = values
    stated = ", ".join(
        f"angle {name} is {value} degrees" for name, value in zip(names, values, strict=False)
    )
    texts = (*map(degrees, values), asked.mark)
    return Draft(
        key=tuple(sorted(values)),
        question=asked.question,
        facts=f"In quadrilateral {names}, {stated}. {asked.fact}",
        answer=sympy.Integer(fourth),
        givens=tuple((name, str(value)) for name, value in zip(names, values, strict=False)),
        steps=(
            f"{first}+{second}={first + second}",
            f"{first + second}+{third}={sum(values)}",
            f"360-{sum(values)}={fourth}",
        ),
        scene=Scene(
            segments=outline(*corners),
            angles=tuple(
                AngleMark(
                    vertex=corners[k], start=corners[k - 1], end=corners[(k + 1) % 4], text=text
                )
                for k, text in enumerate(texts)
            ),
            labels=named(names, *corners),
        ),
        difficulty=2,
    )


def _quadrilateral(rng: random.Random, values: list[int]) -> tuple[complex, ...] | None:
    """Corners with these first three angles and no short side, or None if the draw is bad."""
    first, second, third = values
    q = 1 + 0j
    r = q + polar(rng.uniform(0.7, 1.4), 180 - second)
    # The side from r runs at the turned direction; the side from 0 at the first angle.
    toward, up = polar(1, 360 - second - third), polar(1, first)
    across = (toward * up.conjugate()).imag
    along = -(r * up.conjugate()).imag / across
    s = r + along * toward
    sides = (1.0, abs(r - q), abs(s - r), abs(s))
    if along <= 0 or (s / up).real <= 0 or min(sides) < 0.55 or max(sides) > 2.2:
        return None
    return 0j, q, r, s
