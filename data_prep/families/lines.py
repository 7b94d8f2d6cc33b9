"""Angles at crossing lines and between parallels."""

from __future__ import annotations

import random

import sympy

from data_prep.families.wording import MIN_ANGLE, ask_angle, degrees, letters, polar
from data_prep.scene import AngleMark, Draft, Scene, Segment, named

RELATIONS: dict[str, tuple[tuple[tuple[int, int], ...], bool]] = {
    # name: ((wedge at the upper crossing, wedge at the lower), ...), equal or supplementary.
    # Wedges count counter-clockwise from the one between the right half of the line and the
    # upper half of the transversal.
    "corresponding": (((0, 0), (1, 1), (2, 2), (3, 3)), True),
    "alternate_interior": (((2, 0), (3, 1)), True),
    "alternate_exterior": (((0, 2), (1, 3)), True),
    "co_interior": (((2, 1), (3, 0)), False),
    "co_exterior": (((0, 3), (1, 2)), False),
}


def linear_pair(rng: random.Random) -> Draft:
    """Angles on a straight line or at two crossing lines."""
    kind = rng.choices(("pair", "vertical", "fan", "split"), weights=(1, 1, 8, 8))[0]
    return {"pair": _pair, "vertical": _vertical, "fan": _fan, "split": _split}[kind](rng)


def _pair(rng: random.Random) -> Draft:
    """A ray on a line: one angle is given, its neighbour is asked."""
    given = rng.randint(MIN_ANGLE, 180 - MIN_ANGLE)
    a, b, c, m = letters(rng, 4)
    left, right, tip = -1 + 0j, 1 + 0j, polar(rng.uniform(0.9, 1.1), given)
    asked = ask_angle(rng, f"{a}{m}{c}")
    return Draft(
        key=("pair", given),
        question=asked.question,
        facts=f"{m} lies on line {a}{b}. Angle {b}{m}{c} is {given} degrees. {asked.fact}",
        answer=sympy.Integer(180 - given),
        givens=((f"{b}{m}{c}", str(given)),),
        steps=(f"180-{given}={180 - given}",),
        scene=Scene(
            segments=_star(left, right, tip),
            angles=(
                AngleMark(vertex=0j, start=right, end=tip, text=degrees(given)),
                AngleMark(vertex=0j, start=tip, end=left, text=asked.mark),
            ),
            labels=named(a + b + c + m, left, right, tip, 0j),
        ),
        difficulty=1,
    )


def _vertical(rng: random.Random) -> Draft:
    """Two crossing lines: one angle is given, the opposite one is asked."""
    given = rng.randint(MIN_ANGLE, 180 - MIN_ANGLE)
    a, b, c, d, m = letters(rng, 5)
    right, tip = 1 + 0j, polar(rng.uniform(0.9, 1.1), given)
    asked = ask_angle(rng, f"{a}{m}{d}")
    return Draft(
        key=("vertical", given),
        question=asked.question,
        facts=f"Lines {a}{b} and {d}{c} cross at {m}. Angle {b}{m}{c} is {given} degrees. "
        f"{asked.fact}",
        answer=sympy.Integer(given),
        givens=((f"{b}{m}{c}", str(given)),),
        steps=(f"{given}={given}",),
        scene=Scene(
            segments=_star(-right, right, tip, -tip),
            angles=(
                AngleMark(vertex=0j, start=right, end=tip, text=degrees(given)),
                AngleMark(vertex=0j, start=-right, end=-tip, text=asked.mark),
            ),
            labels=named(a + b + c + d + m, -right, right, tip, -tip, 0j),
        ),
        difficulty=1,
    )


def _fan(rng: random.Random) -> Draft:
    """Two rays on a line: two of the three angles are given."""
    while True:
        first, second = (rng.randint(MIN_ANGLE, 120) for _ in range(2))
        third = 180 - first - second
        if third >= MIN_ANGLE:
            break
    sizes = (first, second, third)
    places = rng.sample(range(3), 3)
    ordered = [sizes[place] for place in places]
    a, b, c, d, m = letters(rng, 5)
    tips = [1 + 0j, polar(1.05, ordered[0]), polar(1.05, ordered[0] + ordered[1]), -1 + 0j]
    names = (b, c, d, a)
    wedges = [f"{names[k]}{m}{names[k + 1]}" for k in range(3)]
    hidden = places.index(2)
    asked = ask_angle(rng, wedges[hidden])
    texts = [asked.mark if k == hidden else degrees(ordered[k]) for k in range(3)]
    givens = tuple((wedges[places.index(k)], str(sizes[k])) for k in range(2))
    stated = " and ".join(f"angle {name} is {value} degrees" for name, value in givens)
    return Draft(
        key=("fan", *sorted((first, second))),
        question=asked.question,
        facts=f"{m} lies on line {a}{b}; rays {m}{c} and {m}{d} are on one side of it in the "
        f"order {b}, {c}, {d}, {a}. Here {stated}. {asked.fact}",
        answer=sympy.Integer(third),
        givens=givens,
        steps=(f"{first}+{second}={first + second}", f"180-{first + second}={third}"),
        scene=Scene(
            segments=_star(*tips),
            angles=tuple(
                AngleMark(vertex=0j, start=tips[k], end=tips[k + 1], text=texts[k])
                for k in range(3)
            ),
            labels=named("".join(names) + m, *tips, 0j),
        ),
        difficulty=2,
    )


def _split(rng: random.Random) -> Draft:
    """Two crossing lines and a ray that splits the angle opposite to the given one."""
    whole = rng.randint(2 * MIN_ANGLE, 145)
    part = rng.randint(MIN_ANGLE, whole - MIN_ANGLE)
    a, b, c, d, e, m = letters(rng, 6)
    right, tip, ray = 1 + 0j, polar(1, whole), polar(1.0, part)
    asked = ask_angle(rng, f"{c}{m}{e}")
    return Draft(
        key=("split", whole, part),
        question=asked.question,
        facts=f"Lines {a}{b} and {d}{c} cross at {m}; ray {m}{e} lies inside angle {b}{m}{c}. "
        f"Angle {a}{m}{d} is {whole} degrees and angle {b}{m}{e} is {part} degrees. {asked.fact}",
        answer=sympy.Integer(whole - part),
        givens=((f"{a}{m}{d}", str(whole)), (f"{b}{m}{e}", str(part))),
        steps=(f"{whole}-{part}={whole - part}",),
        scene=Scene(
            segments=_star(-right, right, tip, -tip, ray),
            angles=(
                AngleMark(vertex=0j, start=-right, end=-tip, text=degrees(whole)),
                AngleMark(vertex=0j, start=right, end=ray, text=degrees(part)),
                AngleMark(vertex=0j, start=ray, end=tip, text=asked.mark),
            ),
            labels=named(a + b + c + d + e, -right, right, tip, -tip, ray),
        ),
        difficulty=2,
    )


def _star(*tips: complex) -> tuple[Segment, ...]:
    return tuple(Segment(start=0j, end=tip) for tip in tips)


def parallel_lines(rng: random.Random) -> Draft:
    """Two parallels and a transversal, or a bend between the parallels."""
    return _bend(rng) if rng.random() < 0.6 else _transversal(rng)


def _transversal(rng: random.Random) -> Draft:
    relation = rng.choice(sorted(RELATIONS))
    pairs, equal = RELATIONS[relation]
    upper, lower = rng.choice(pairs)
    given = rng.choice([*range(30, 90), *range(91, 151)])
    answer = given if equal else 180 - given
    on_top = rng.random() < 0.5
    wedge = upper if on_top else lower
    slope = given if wedge % 2 == 0 else 180 - given
    m, n = rng.choice((("m", "n"), ("p", "q"), ("a", "b"), ("k", "m")))
    step = polar(1, slope)
    high, low = step / step.imag / 2, -step / step.imag / 2
    texts = (degrees(given), "x") if on_top else ("x", degrees(given))
    relation_name = relation.replace("_", "-")
    return Draft(
        key=(relation, given),
        question=rng.choice(
            (
                f"{m} and {n} are parallel. Find x.",
                f"{m} is parallel to {n}. What is the value of x in degrees?",
            )
        ),
        facts=f"Lines {m} and {n} are parallel and a line crosses both. One angle is {given} "
        f"degrees; its {relation_name} angle is x degrees.",
        answer=sympy.Integer(answer),
        givens=(("given", str(given)),),
        steps=(f"{given}={answer}" if equal else f"180-{given}={answer}",),
        scene=Scene(
            segments=(
                *_line(high, 1 + 0j),
                *_line(low, 1 + 0j),
                Segment(start=high, end=high + 0.75 * step),
                Segment(start=high, end=low),
                Segment(start=low, end=low - 0.75 * step),
            ),
            angles=(
                _wedge(high, step, upper, texts[0]),
                _wedge(low, step, lower, texts[1]),
            ),
            labels=(*named(m + n, high + 1.1, low + 1.1),),
        ),
        difficulty=1,
    )


def _line(at: complex, half: complex) -> tuple[Segment, Segment]:
    return (
        Segment(start=at - half, end=at),
        Segment(start=at, end=at + half, chevrons=1, mark_at=0.7),
    )


def _wedge(at: complex, step: complex, wedge: int, text: str) -> AngleMark:
    rays = (1 + 0j, step, -1 + 0j, -step)
    return AngleMark(vertex=at, start=at + rays[wedge], end=at + rays[(wedge + 1) % 4], text=text)


def _bend(rng: random.Random) -> Draft:
    """A broken line between parallels: its angle is the sum of the two at the parallels."""
    while True:
        first, second = (rng.randint(MIN_ANGLE, 75) for _ in range(2))
        if first + second <= 140:
            break
    a, b, c, d, e = letters(rng, 5)
    top = polar(1, 180 - first) / polar(1, first).imag * rng.uniform(0.85, 1.2)
    bottom = polar(1, 180 + second) / polar(1, second).imag
    far = max(0.4, 0.2 * abs(top), 0.2 * abs(bottom))
    b_end, d_end = complex(far, top.imag), complex(far, bottom.imag)
    total = first + second
    asked = ask_angle(rng, f"{a}{e}{c}")
    return Draft(
        key=("bend", *sorted((first, second))),
        question=f"{a}{b} and {c}{d} are parallel. {asked.question}",
        facts=f"{a}{b} and {c}{d} are parallel and point the same way; {e} lies between them. "
        f"Angle {b}{a}{e} is {first} degrees and angle {d}{c}{e} is {second} degrees. "
        f"{asked.fact}",
        answer=sympy.Integer(total),
        givens=((f"{b}{a}{e}", str(first)), (f"{d}{c}{e}", str(second))),
        steps=(f"{first}+{second}={total}",),
        scene=Scene(
            segments=(
                Segment(start=top, end=b_end, chevrons=1, mark_at=0.8),
                Segment(start=bottom, end=d_end, chevrons=1, mark_at=0.8),
                Segment(start=top, end=0j),
                Segment(start=bottom, end=0j),
            ),
            angles=(
                AngleMark(vertex=top, start=b_end, end=0j, text=degrees(first)),
                AngleMark(vertex=bottom, start=d_end, end=0j, text=degrees(second)),
                AngleMark(vertex=0j, start=top, end=bottom, text=asked.mark),
            ),
            labels=named(a + b + c + d + e, top, b_end, bottom, d_end, 0j),
        ),
        difficulty=2,
    )
