"""Polygons with more sides, and figures in the coordinate plane."""

from __future__ import annotations

import random

import sympy

from data_prep.families.wording import answer_text, ask_angle, degrees, letters, polar
from data_prep.scene import AngleMark, Draft, Label, Scene, Segment, named, outline

NAMES = {5: "pentagon", 6: "hexagon", 7: "heptagon", 8: "octagon", 9: "nonagon", 10: "decagon"}


def polygon_interior_angle(rng: random.Random) -> Draft:
    """The last angle of a pentagon or hexagon, or the angle of a regular polygon."""
    return _regular(rng) if rng.random() < 0.1 else _irregular(rng)


def _regular(rng: random.Random) -> Draft:
    count = rng.choice((5, 6, 8, 9, 10, 12))
    exterior = rng.random() < 0.4
    corners = tuple(polar(1, 360 * k / count) for k in range(count))
    outer = 360 // count
    asked = ask_angle(rng, "of the polygon")
    mark = asked.mark
    end = corners[1] + 0.8 * (corners[1] - corners[0])
    target = (
        AngleMark(vertex=corners[1], start=end, end=corners[2], text=mark)
        if exterior
        else AngleMark(vertex=corners[1], start=corners[0], end=corners[2], text=mark)
    )
    total = 180 * (count - 2)
    steps = (
        (f"360/{count}={outer}",)
        if exterior
        else (
            f"{count}-2={count - 2}",
            f"180*{count - 2}={total}",
            f"{total}/{count}={180 - outer}",
        )
    )
    return Draft(
        key=("exterior" if exterior else "interior", count),
        question=f"The polygon is regular. Find the angle marked {mark} in degrees.",
        facts=f"A regular polygon has {count} sides; the marked angle is one of its "
        f"{'exterior' if exterior else 'interior'} angles.",
        answer=sympy.Integer(outer if exterior else 180 - outer),
        givens=(("sides", str(count)),),
        steps=steps,
        scene=Scene(
            segments=(*outline(*corners), *([Segment(start=corners[1], end=end)] * exterior)),
            angles=(target,),
        ),
        difficulty=2 if exterior else 3,
    )


def _irregular(rng: random.Random) -> Draft:
    count = rng.choice((5, 5, 6))
    total = 180 * (count - 2)
    while True:
        values = [rng.randint(75, 150) for _ in range(count - 1)]
        last = total - sum(values)
        corners = _closed(rng, [*values, last]) if 75 <= last <= 150 else None
        if corners:
            break
    names = "".join(letters(rng, count))
    asked = ask_angle(rng, names[-1])
    givens = tuple((name, str(value)) for name, value in zip(names, values, strict=False))
    steps, known = [], values[0]
    for value in values[1:]:
        steps.append(f"{known}+{value}={known + value}")
        known += value
    stated = ", ".join(f"angle {name} is {value} degrees" for name, value in givens)
    texts = (*map(degrees, values), asked.mark)
    return Draft(
        key=tuple(sorted(values)),
        question=asked.question,
        facts=f"In {NAMES[count]} {names}, {stated}. {asked.fact}",
        answer=sympy.Integer(last),
        givens=givens,
        steps=(f"180*{count - 2}={total}", *steps, f"{total}-{known}={last}"),
        scene=Scene(
            segments=outline(*corners),
            angles=tuple(
                AngleMark(
                    vertex=corners[k], start=corners[k - 1], end=corners[(k + 1) % count], text=text
                )
                for k, text in enumerate(texts)
            ),
            labels=named(names, *corners),
        ),
        difficulty=3 if count == 5 else 4,
    )


def _closed(rng: random.Random, angles: list[int]) -> tuple[complex, ...]:
    """Corners of a convex polygon with these angles; empty when the drawn sides do not close."""
    headings = [0.0]
    for angle in angles[1:]:
        headings.append(headings[-1] + 180 - angle)
    ways = [polar(1, heading) for heading in headings]
    sides = [rng.uniform(0.7, 1.3) for _ in ways[:-2]]
    corners = [0j]
    for side, way in zip(sides, ways, strict=False):
        corners.append(corners[-1] + side * way)
    # The last two sides lead back to the start: solve p * u + q * v = -position.
    u, v, gap = ways[-2], ways[-1], -corners[-1]
    area = (u.conjugate() * v).imag
    p, q = (gap.conjugate() * v).imag / area, (u.conjugate() * gap).imag / area
    if not (0.6 <= p <= 1.5 and 0.6 <= q <= 1.5):
        return ()
    return (*corners, corners[-1] + p * u)


def coordinates_distance(rng: random.Random) -> Draft:
    """Two points with their coordinates: distance, slope, or a coordinate of the midpoint."""
    kind = rng.choice(("distance", "distance", "slope", "midpoint"))
    while True:
        x1, y1, x2, y2 = (rng.randint(-6, 8) for _ in range(4))
        across, up = x2 - x1, y2 - y1
        if abs(across) >= 3 and abs(up) >= 3 and 0 not in (x1, y1, x2, y2):
            break
    if x1 > x2:
        x1, y1, x2, y2, across, up = x2, y2, x1, y1, -across, -up
    a, b = letters(rng, 2)
    if rng.random() < 0.5:
        a, b = b, a
    if kind == "distance":
        square = across**2 + up**2
        answer = sympy.sqrt(square)
        steps: tuple[str, ...] = (
            _difference(x2, x1, across),
            _difference(y2, y1, up),
            f"{across}^2+{_signed(up)}^2={square}",
            rf"\sqrt{{{square}}}={answer_text(answer)}",
        )
        question = rng.choice(
            (f"Find the distance from {a} to {b}.", f"Find the length of {a}{b}.")
        )
    elif kind == "slope":
        answer = sympy.Rational(up, across)
        steps = (
            _difference(y2, y1, up),
            _difference(x2, x1, across),
            f"{up}/{across}={answer_text(answer)}",
        )
        question = f"Find the slope of line {a}{b}."
    else:
        axis = rng.choice("xy")
        first, second = (x1, x2) if axis == "x" else (y1, y2)
        answer = sympy.Rational(first + second, 2)
        steps = (
            f"{first}+{_signed(second)}={first + second}",
            f"{first + second}/2={answer_text(answer)}",
        )
        question = f"Find the {axis}-coordinate of the midpoint of {a}{b}."
        kind = f"midpoint_{axis}"
    first_text, second_text = f"({x1},{y1})", f"({x2},{y2})"
    return Draft(
        key=(kind, x1, y1, x2, y2),
        question=question,
        facts=f"{a} is the point {first_text} and {b} the point {second_text}.",
        answer=answer,
        givens=((a, first_text), (b, second_text)),
        steps=steps,
        scene=_plane(complex(x1, y1), complex(x2, y2), a + first_text, b + second_text),
        difficulty=2 if len(steps) == 2 else 3,
    )


def _signed(value: int) -> str:
    return f"({value})" if value < 0 else str(value)


def _difference(end: int, start: int, value: int) -> str:
    return f"{end}-{_signed(start)}={value}"


def _plane(first: complex, second: complex, first_text: str, second_text: str) -> Scene:
    """Axes with unit ticks, and a segment between two named points."""
    left, right = min(first.real, second.real, 0) - 1, max(first.real, second.real, 0) + 1.5
    low, high = min(first.imag, second.imag, 0) - 1, max(first.imag, second.imag, 0) + 1.5
    ticks = [
        Segment(start=complex(x, -0.12), end=complex(x, 0.12))
        for x in range(int(left) + 1, int(right))
        if x
    ]
    ticks += [
        Segment(start=complex(-0.12, y), end=complex(0.12, y))
        for y in range(int(low) + 1, int(high))
        if y
    ]
    return Scene(
        segments=(
            Segment(start=complex(left, 0), end=complex(right, 0), arrow=True),
            Segment(start=complex(0, low), end=complex(0, high), arrow=True),
            *ticks,
            Segment(start=first, end=second),
        ),
        dots=(first, second),
        labels=(
            Label(text=first_text, kind="point", at=first),
            Label(text=second_text, kind="point", at=second),
            Label(text="x", kind="point", at=complex(right, 0)),
            Label(text="y", kind="point", at=complex(0, high)),
        ),
        turn=False,
    )
