"""Angles in circles: inscribed and central angles, tangents."""

from __future__ import annotations

import random

import sympy

from data_prep.families.wording import Asked, answer_text, ask_angle, degrees, letters, polar
from data_prep.scene import AngleMark, Circle, Draft, Scene, Segment, named

RING = (Circle(center=0j, radius=1.0),)


def inscribed_angle(rng: random.Random) -> Draft:
    """Angles over one arc: central, inscribed, over a diameter, in a cyclic quadrilateral."""
    kind = rng.choices(
        ("central", "inscribed", "diameter", "same_arc", "cyclic", "two_steps"),
        weights=(3, 2, 1, 2, 2, 12),
    )[0]
    builders = {"diameter": _diameter, "same_arc": _same_arc, "cyclic": _cyclic}
    if kind in builders:
        return builders[kind](rng)
    return _central(rng, kind)


def _central(rng: random.Random, kind: str) -> Draft:
    """A central and an inscribed angle over the same arc; in two steps with a third angle."""
    half, at_a = _half_and_third(rng, kind)
    central: sympy.Expr = sympy.Integer(2 * half)
    if kind == "central" and half < 75:
        central = central + rng.randint(0, 1)
    inscribed = central / 2
    a, b, c = letters(rng, 3)
    # The arc AB is 2 * inscribed wide; the arc from B to C is twice the angle at A.
    p, q = polar(1, 0), polar(1, float(central))
    r = polar(1, float(central) + 2 * at_a)
    value = answer_text(inscribed)
    marks = {"O": degrees(central), c: "", a: ""}
    names = {"O": f"{a}O{b}", c: f"{a}{c}{b}", a: f"{c}{a}{b}"}
    if kind == "central":
        asked, answer = ask_angle(rng, names[c]), inscribed
        marks[c] = asked.mark
        givens: tuple[tuple[str, str], ...] = ((names["O"], str(central)),)
        steps: tuple[str, ...] = (f"{central}/2={value}",)
        key: tuple[int | str, ...] = (kind, int(central))
    elif kind == "inscribed":
        asked, answer = ask_angle(rng, names["O"]), central
        marks |= {c: degrees(inscribed), "O": asked.mark}
        givens, steps = ((names[c], value),), (f"2*{value}={central}",)
        key = (kind, int(inscribed))
    else:
        answer = 180 - inscribed - at_a
        asked = ask_angle(rng, f"{a}{b}{c}")
        marks |= {a: degrees(at_a), b: asked.mark}
        givens = ((names["O"], str(central)), (names[a], str(at_a)))
        total = half + at_a
        steps = (f"{central}/2={half}", f"{half}+{at_a}={total}", f"180-{total}={answer}")
        key = (kind, int(central), at_a)
    return Draft(
        key=key,
        question=f"O is the centre of the circle. {asked.question}",
        facts=f"{a}, {b} and {c} lie on a circle with centre O. {_stated(givens)} {asked.fact}",
        answer=answer,
        givens=givens,
        steps=steps,
        scene=Scene(
            circles=RING,
            segments=_lines((0j, p), (0j, q), (p, r), (q, r), *([(p, q)] * (kind == "two_steps"))),
            dots=(0j,),
            angles=tuple(
                AngleMark(vertex=at, start=start, end=end, text=marks.get(name, ""))
                for name, at, start, end in (
                    ("O", 0j, p, q), (c, r, p, q), (a, p, q, r), (b, q, p, r),
                )
                if marks.get(name)
            ),
            labels=named(a + b + c + "O", p, q, r, 0j),
        ),
        difficulty=3 if kind == "two_steps" else 2,
    )  # fmt: skip


def _half_and_third(rng: random.Random, kind: str) -> tuple[int, int]:
    """The inscribed angle (whole part) and the angle at A."""
    while True:
        half = rng.randint(30, 75)
        if kind != "two_steps":
            return half, rng.randint(45, 135 - half)
        at_a = rng.randint(35, 145 - half)
        at_b, inner = 180 - half - at_a, 90 - half
        # The radii split the angles at A and B: one part of each must have room for its label.
        if min(max(inner, abs(angle - inner)) for angle in (at_a, at_b)) >= 35:
            return half, at_a


def _diameter(rng: random.Random) -> Draft:
    """A triangle over a diameter has a right angle."""
    given = rng.randint(25, 65)
    a, b, c = letters(rng, 3)
    p, q, r = -1 + 0j, 1 + 0j, polar(1, 2 * given)
    asked = ask_angle(rng, b)
    givens = ((a, str(given)),)
    return Draft(
        key=("diameter", min(given, 90 - given)),
        question=f"{a}{b} is a diameter of the circle. {asked.question}",
        facts=f"{c} lies on the circle. {_stated(givens)} {asked.fact}",
        answer=sympy.Integer(90 - given),
        givens=givens,
        steps=(f"90-{given}={90 - given}",),
        scene=Scene(
            circles=RING,
            segments=_lines((p, 0j), (0j, q), (q, r), (r, p)),
            dots=(0j,),
            angles=(
                AngleMark(vertex=p, start=q, end=r, text=degrees(given)),
                AngleMark(vertex=q, start=p, end=r, text=asked.mark),
            ),
            labels=named(a + b + c, p, q, r),
        ),
        difficulty=2,
    )


def _same_arc(rng: random.Random) -> Draft:
    """Two inscribed angles over one chord are equal."""
    given = rng.randint(28, 62)
    rest = 360 - 2 * given
    a, b, c, d = letters(rng, 4)
    p, q = polar(1, 0), polar(1, 2 * given)
    first, second = rng.uniform(0.26, 0.36) * rest, rng.uniform(0.64, 0.74) * rest
    r, s = polar(1, 2 * given + first), polar(1, 2 * given + second)
    asked = ask_angle(rng, f"{a}{d}{b}")
    givens = ((f"{a}{c}{b}", str(given)),)
    return Draft(
        key=("same_arc", given),
        question=asked.question,
        facts=f"{a}, {b}, {c} and {d} lie on a circle; {c} and {d} are on the same side of "
        f"{a}{b}. {_stated(givens)} {asked.fact}",
        answer=sympy.Integer(given),
        givens=givens,
        steps=(f"{given}={given}",),
        scene=Scene(
            circles=RING,
            segments=_lines((p, r), (r, q), (p, s), (s, q)),
            angles=(
                AngleMark(vertex=r, start=p, end=q, text=degrees(given)),
                AngleMark(vertex=s, start=p, end=q, text=asked.mark),
            ),
            labels=named(a + b + c + d, p, q, r, s),
        ),
        difficulty=2,
    )


def _cyclic(rng: random.Random) -> Draft:
    """Opposite angles of a quadrilateral in a circle make 180 degrees."""
    given = rng.choice([*range(50, 90), *range(91, 131)])
    a, b, c, d = letters(rng, 4)
    # The arc from B over C to D is twice the angle at A.
    wide, narrow = 2 * given, 360 - 2 * given
    at = (0.0, narrow * rng.uniform(0.38, 0.62), narrow, narrow + wide * rng.uniform(0.38, 0.62))
    corners = [polar(1, angle) for angle in at]
    asked = ask_angle(rng, c)
    givens = ((a, str(given)),)
    p, q, r, s = corners[1], corners[2], corners[3], corners[0]
    return Draft(
        key=("cyclic", given),
        question=asked.question,
        facts=f"Quadrilateral {a}{b}{c}{d} is inscribed in a circle. {_stated(givens)} "
        f"{asked.fact}",
        answer=sympy.Integer(180 - given),
        givens=givens,
        steps=(f"180-{given}={180 - given}",),
        scene=Scene(
            circles=RING,
            segments=_lines((p, q), (q, r), (r, s), (s, p)),
            angles=(
                AngleMark(vertex=p, start=q, end=s, text=degrees(given)),
                AngleMark(vertex=r, start=q, end=s, text=asked.mark),
            ),
            labels=named(a + b + c + d, p, q, r, s),
        ),
        difficulty=2,
    )


def tangent_angle(rng: random.Random) -> Draft:
    """Two tangents from a point: angles at the point, the centre, the circle and the chord."""
    kind = rng.choice(("outer", "inner", "inscribed", "chord", "half"))
    outer = rng.randint(36, 82)
    if kind == "half":
        return _half_tangent(rng)
    a, b, c, p = letters(rng, 4)
    far = polar(1, 180 + rng.uniform(-25, 25))
    outer_name, center_name = f"{a}{p}{b}", f"{a}O{b}"
    targets = {"outer": center_name, "inner": outer_name, "inscribed": f"{a}{c}{b}"}
    asked = ask_angle(rng, targets.get(kind, f"{p}{a}{b}"))
    answer, steps = _tangent_solution(kind, outer)
    given = (center_name, str(180 - outer)) if kind == "inner" else (outer_name, str(outer))
    return Draft(
        key=(kind, outer),
        question=f"{p}{a} and {p}{b} are tangents. {asked.question}",
        facts=_tangent_facts(a, b, c, kind, (given,), asked),
        answer=answer,
        givens=(given,),
        steps=steps,
        scene=_tangent_scene(kind, outer, far, (a, b, c, p), asked.mark),
        difficulty=2 if len(steps) == 1 else 3,
    )


def _tangent_solution(kind: str, outer: int) -> tuple[sympy.Expr, tuple[str, ...]]:
    """The answer and its steps; the central angle is what the outer one lacks to 180 degrees."""
    central = 180 - outer
    if kind == "inner":
        return sympy.Integer(outer), (f"180-{central}={outer}",)
    first = f"180-{outer}={central}"
    if kind == "outer":
        return sympy.Integer(central), (first,)
    half = sympy.Integer(central) / 2
    return half, (first, f"{central}/2={answer_text(half)}")


def _tangent_scene(
    kind: str, outer: int, far: complex, names: tuple[str, str, str, str], mark: str
) -> Scene:
    """The tangents from the tip, and what the kind adds: radii, an inscribed angle or the chord."""
    a, b, c, p = names
    central = 180 - outer
    first, second = polar(1, central / 2), polar(1, -central / 2)
    tip = 1 / first.real + 0j
    angles = [AngleMark(vertex=tip, start=first, end=second, text=degrees(outer))]
    lines = [(tip, first), (tip, second)]
    shown, spots = a + b + p, [first, second, tip]
    if kind in ("outer", "inner"):
        lines += [(0j, first), (0j, second)]
        shown, spots = shown + "O", [*spots, 0j]
        texts = (degrees(outer), mark) if kind == "outer" else (mark, degrees(central))
        angles = [
            AngleMark(vertex=at, start=first, end=second, text=text)
            for at, text in zip((tip, 0j), texts, strict=True)
        ]
    elif kind == "inscribed":
        lines += [(far, first), (far, second)]
        shown, spots = shown + c, [*spots, far]
        angles.append(AngleMark(vertex=far, start=first, end=second, text=mark))
    else:
        lines.append((first, second))
        angles.append(AngleMark(vertex=first, start=tip, end=second, text=mark))
    return Scene(
        circles=RING,
        segments=_lines(*lines),
        dots=(0j,) if kind in ("outer", "inner") else (),
        angles=tuple(angles),
        labels=named(shown, *spots),
    )


def _tangent_facts(
    a: str, b: str, c: str, kind: str, givens: tuple[tuple[str, str], ...], asked: Asked
) -> str:
    where = {
        "outer": " with centre O",
        "inner": " with centre O",
        "inscribed": f"; {c} is on the far arc",
        "chord": "",
    }[kind]
    return f"The tangents touch the circle{where} at {a} and {b}. {_stated(givens)} {asked.fact}"


def _half_tangent(rng: random.Random) -> Draft:
    """One tangent, the radius to it and the line to the centre: a right triangle."""
    given = rng.randint(25, 48)
    a, p = letters(rng, 2)
    touch = polar(1, 90 - given)
    tip = 1 / touch.real + 0j
    asked = ask_angle(rng, f"{a}O{p}")
    givens = ((f"{a}{p}O", str(given)),)
    return Draft(
        key=("half", given),
        question=f"{p}{a} is a tangent and O the centre. {asked.question}",
        facts=f"The tangent touches the circle at {a}. {_stated(givens)} {asked.fact}",
        answer=sympy.Integer(90 - given),
        givens=givens,
        steps=(f"90-{given}={90 - given}",),
        scene=Scene(
            circles=RING,
            segments=_lines((tip, touch), (0j, touch), (0j, tip)),
            dots=(0j,),
            angles=(
                AngleMark(vertex=tip, start=touch, end=0j, text=degrees(given)),
                AngleMark(vertex=0j, start=touch, end=tip, text=asked.mark),
            ),
            labels=named(a + p + "O", touch, tip, 0j),
        ),
        difficulty=2,
    )


def _lines(*ends: tuple[complex, complex]) -> tuple[Segment, ...]:
    return tuple(Segment(start=start, end=end) for start, end in ends)


def _stated(givens: tuple[tuple[str, str], ...]) -> str:
    parts = " and ".join(f"angle {name} is {value} degrees" for name, value in givens)
    return parts[0].upper() + parts[1:] + "."
