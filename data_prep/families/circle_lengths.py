"""Lengths and areas in circles: tangents, chords, whole circles, rings, sectors."""

from __future__ import annotations

import random

import sympy

from data_prep.families.wording import answer_text, ask_length, degrees, letters, polar
from data_prep.scene import AngleMark, Arc, Circle, Draft, Scene, Segment, length, named

PI_REMARK = "Leave pi in the answer."


def tangent_length(rng: random.Random) -> Draft:
    """Radius, tangent and distance to the centre form a right triangle; one side is asked."""
    kind = rng.choice(("tangent", "distance", "gap"))
    radius, other, whole = _tangent_sizes(rng, kind)
    tangent = sympy.sqrt(whole**2 - radius**2)
    a, p, q = letters(rng, 3)
    asked = ask_length(rng, f"{p}O" if kind == "distance" else f"{p}{a}")
    answer = whole if kind == "distance" else tangent
    name = {"tangent": f"{p}O", "gap": f"{p}{q}", "distance": f"{p}{a}"}[kind]
    where = f" {p}O meets the circle at {q}." if kind == "gap" else ""
    return Draft(
        key=(kind, radius, other),
        question=f"{p}{a} is a tangent and O the centre. {asked.question}",
        facts=f"The tangent touches the circle at {a}.{where} O{a} = {radius} and "
        f"{name} = {other}. {asked.fact}",
        answer=answer,
        givens=((f"O{a}", str(radius)), (name, str(other))),
        steps=_tangent_steps(kind, radius, other, whole, answer),
        scene=_tangent_scene(kind, radius, other, float(tangent), (a, p, q), asked.mark),
        difficulty=3 if kind != "gap" else 4 if answer.is_Integer else 5,
    )


def _tangent_sizes(rng: random.Random, kind: str) -> tuple[int, int, sympy.Expr]:
    """The radius, the other given length, and the distance from the tip to the centre."""
    while True:
        radius, other = rng.randint(3, 24), rng.randint(2, 40)
        whole = {
            "tangent": sympy.Integer(other),
            "gap": sympy.Integer(radius + other),
            "distance": sympy.sqrt(radius**2 + other**2),
        }[kind]
        if 0.38 <= radius / float(whole) <= 0.72:
            return radius, other, whole


def _tangent_steps(
    kind: str, radius: int, other: int, whole: sympy.Expr, answer: sympy.Expr
) -> tuple[str, ...]:
    square = answer**2
    sign, pair = ("+", (radius, other)) if kind == "distance" else ("-", (whole, radius))
    steps = (f"{pair[0]}^2{sign}{pair[1]}^2={square}", rf"\sqrt{{{square}}}={answer_text(answer)}")
    return (f"{radius}+{other}={whole}", *steps) if kind == "gap" else steps


def _tangent_scene(
    kind: str, radius: int, other: int, tangent: float, names: tuple[str, str, str], mark: str
) -> Scene:
    a, p, q = names
    touch = polar(1, 90) * radius
    tip = tangent + touch
    rim = tip / abs(tip) * radius
    labels = [length(str(radius), 0j, touch)]
    shown, spots = a + p + "O", [touch, tip, 0j]
    if kind == "gap":
        labels += [length(str(other), rim, tip), length(mark, touch, tip)]
        shown, spots = shown + q, [*spots, rim]
    else:
        # "PO=35": a bare number could be the part outside the circle.
        straight, slant = (str(other), mark) if kind == "distance" else (mark, str(other))
        labels += [length(straight, touch, tip), length(f"{p}O={slant}", 0j, tip)]
    return Scene(
        circles=(Circle(center=0j, radius=radius),),
        segments=(
            Segment(start=0j, end=touch),
            Segment(start=touch, end=tip),
            Segment(start=0j, end=rim),
            Segment(start=rim, end=tip),
        ),
        dots=(0j,),
        angles=(AngleMark(vertex=touch, start=0j, end=tip, right=True),),
        labels=(*labels, *named(shown, *spots)),
    )


def chord_length(rng: random.Random) -> Draft:
    """Radius, half chord and distance from the centre: chord, distance or radius is asked."""
    kind = rng.choice(("chord", "distance", "radius"))
    while True:
        first, second = rng.randint(3, 30), rng.randint(2, 30)
        half_sq = {"chord": first**2 - second**2}.get(kind, second**2)
        apart_sq = {"chord": second**2, "distance": first**2 - second**2}.get(kind, first**2)
        if half_sq > 0 and 0.1 <= apart_sq / (half_sq + apart_sq) <= 0.6:
            break
    half, apart = sympy.sqrt(half_sq), sympy.sqrt(apart_sq)
    radius = sympy.sqrt(half_sq + apart_sq)
    a, b, m = letters(rng, 3)
    chord, distance, spoke = a + b, f"O{m}", f"O{b}"
    answer, target, square = {
        "chord": (2 * half, chord, half_sq),
        "distance": (apart, distance, apart_sq),
        "radius": (radius, spoke, half_sq + apart_sq),
    }[kind]
    asked = ask_length(rng, target)
    sign = "+" if kind == "radius" else "-"
    root = half if kind == "chord" else answer
    steps = [f"{first}^2{sign}{second}^2={square}", rf"\sqrt{{{square}}}={answer_text(root)}"]
    if kind == "chord":
        givens = ((spoke, str(first)), (distance, str(second)))
        steps.append(f"2*{answer_text(half)}={answer_text(answer)}")
    else:
        givens = ((spoke if kind == "distance" else distance, str(first)), (chord, str(2 * second)))
        steps.insert(0, f"{2 * second}/2={second}")
    texts = dict(givens) | {target: asked.mark}
    end, foot = complex(float(half), float(apart)), complex(0, float(apart))
    start = complex(-end.real, end.imag)
    return Draft(
        key=(kind, first, second),
        question=f"O is the centre and {chord} a chord. {asked.question}",
        facts=f"O{m} is perpendicular to the chord {chord} at {m}. {givens[0][0]} = "
        f"{givens[0][1]} and {givens[1][0]} = {givens[1][1]}. {asked.fact}",
        answer=answer,
        givens=givens,
        steps=tuple(steps),
        scene=Scene(
            circles=(Circle(center=0j, radius=float(radius)),),
            segments=(
                Segment(start=start, end=foot),
                Segment(start=foot, end=end),
                Segment(start=0j, end=foot),
                Segment(start=0j, end=end),
            ),
            dots=(0j,),
            angles=(AngleMark(vertex=foot, start=0j, end=start, right=True),),
            labels=(
                # "AB=24": beside the foot of the perpendicular a bare number could be half of it.
                length(f"{chord}={texts[chord]}", start, end),
                length(texts[distance], 0j, foot),
                length(texts[spoke], 0j, end),
                *named(a + b + m + "O", start, end, foot, 0j),
            ),
        ),
        difficulty=3,
    )


def circle_area(rng: random.Random) -> Draft:
    """Area or circumference from radius or diameter; the area of a ring."""
    if rng.random() < 0.6:
        return _ring(rng)
    what = rng.choice(("area", "circumference"))
    by_diameter = rng.random() < 0.5
    given = rng.randint(2, 60)
    a, b = letters(rng, 2)
    radius = sympy.Rational(given, 2) if by_diameter else sympy.Integer(given)
    steps = [f"{given}/2={answer_text(radius)}"] if by_diameter and what == "area" else []
    if what == "area":
        answer = sympy.pi * radius**2
        square = answer_text(radius**2)
        steps += [f"{answer_text(radius)}^2={square}", rf"{square}*\pi={answer_text(answer)}"]
    else:
        answer = 2 * sympy.pi * radius
        if by_diameter:
            steps = [rf"{given}*\pi={answer_text(answer)}"]
        else:
            steps = [f"2*{given}={2 * given}", rf"{2 * given}*\pi={answer_text(answer)}"]
    start, end = (-1 + 0j if by_diameter else 0j), 1 + 0j
    name = a + b if by_diameter else f"O{b}"
    spots = (start, end) if by_diameter else (end, 0j)
    return Draft(
        key=(what, "diameter" if by_diameter else "radius", given),
        question=f"{_question(rng, what, 'circle')} {PI_REMARK}",
        facts=f"{name} is a {'diameter' if by_diameter else 'radius'} of the circle and "
        f"{name} = {given}.",
        answer=answer,
        givens=((name, str(given)),),
        steps=tuple(steps),
        scene=Scene(
            circles=(Circle(center=0j, radius=1.0),),
            segments=(Segment(start=start, end=end),),
            dots=(0j,),
            labels=(
                length(f"{name}={given}" if by_diameter else str(given), start, end),
                *named(a + b if by_diameter else b + "O", *spots),
            ),
        ),
        difficulty=2,
    )


def _question(rng: random.Random, what: str, figure: str) -> str:
    return rng.choice((f"Find the {what} of the {figure}.", f"What is the {what} of the {figure}?"))


def _ring(rng: random.Random) -> Draft:
    """The region between two circles with one centre."""
    while True:
        inner, outer = rng.randint(2, 30), rng.randint(3, 40)
        if 0.4 <= inner / outer <= 0.75:
            break
    a, b = letters(rng, 2)
    area = outer**2 - inner**2
    spot, rim = polar(inner, rng.uniform(80, 200)), complex(outer, 0)
    return Draft(
        key=("ring", inner, outer),
        question="Find the area between the two circles. " + PI_REMARK,
        facts=f"Two circles have the centre O and the radii O{a} = {inner} and O{b} = {outer}.",
        answer=sympy.pi * area,
        givens=((f"O{b}", str(outer)), (f"O{a}", str(inner))),
        steps=(
            f"{outer}^2={outer**2}",
            f"{inner}^2={inner**2}",
            f"{outer**2}-{inner**2}={area}",
            rf"{area}*\pi={answer_text(sympy.pi * area)}",
        ),
        scene=Scene(
            circles=(Circle(center=0j, radius=inner), Circle(center=0j, radius=outer)),
            segments=(Segment(start=0j, end=spot), Segment(start=0j, end=rim)),
            dots=(0j,),
            labels=(
                length(str(inner), 0j, spot),
                length(f"O{b}={outer}", 0j, rim),
                *named(f"{a}{b}O", spot, rim, 0j),
            ),
        ),
        difficulty=3,
    )


def sector_area(rng: random.Random) -> Draft:
    """Area or arc length of a sector, from its radius and angle."""
    what = rng.choice(("area", "arc length"))
    radius = rng.randint(2, 30)
    opening = rng.choice([*range(30, 156, 5), 36, 48, 54, 72, 84, 96, 108, 132, 144])
    part = sympy.Rational(opening, 360)
    factor = radius**2 if what == "area" else 2 * radius
    answer = part * factor * sympy.pi
    a, b = letters(rng, 2)
    start, end = polar(1, 0), polar(1, opening)
    full = rng.random() < 0.4
    return Draft(
        key=(what, radius, opening),
        question=f"{_question(rng, what, f'sector {a}O{b}')} {PI_REMARK}",
        facts=f"O is the centre, O{a} = {radius} and angle {a}O{b} is {opening} degrees.",
        answer=answer,
        givens=((f"O{a}", str(radius)), (f"{a}O{b}", str(opening))),
        steps=(
            f"{radius}^2={factor}" if what == "area" else f"2*{radius}={factor}",
            rf"\frac{{{opening}}}{{360}}*{factor}*\pi={answer_text(answer)}",
        ),
        scene=Scene(
            circles=(Circle(center=0j, radius=1.0),) if full else (),
            arcs=() if full else (Arc(center=0j, start=start, end=end),),
            segments=(Segment(start=0j, end=start), Segment(start=0j, end=end)),
            dots=(0j,),
            angles=(AngleMark(vertex=0j, start=start, end=end, text=degrees(opening)),),
            labels=(length(str(radius), 0j, start), *named(f"{a}{b}O", start, end, 0j)),
        ),
        difficulty=3,
    )
