"""Areas and perimeters of triangles, parallelograms, trapezoids, rectangles, kites."""

from __future__ import annotations

import random

import sympy

from data_prep.families.wording import answer_text, letters, spaced, triple
from data_prep.scene import AngleMark, Draft, Label, Scene, Segment, length, named, outline


def _ask(rng: random.Random, what: str, figure: str) -> str:
    return rng.choice((f"Find the {what} of {figure}.", f"What is the {what} of {figure}?"))


def _height(top: complex, foot: complex, along: complex) -> tuple[Segment, AngleMark]:
    """A dashed height and the right angle at its foot."""
    return (
        Segment(start=top, end=foot, dashed=True),
        AngleMark(vertex=foot, start=top, end=along, right=True),
    )


def triangle_area(rng: random.Random) -> Draft:
    """Half of base times height."""
    base, height = spaced(rng, 3, 40, 0.45)
    a, b, c = letters(rng, 3)
    at = base * rng.uniform(0.25, 0.75)
    top, foot, end = complex(at, height), complex(at, 0), complex(base, 0)
    dashed, corner = _height(top, foot, end)
    area = sympy.Rational(base * height, 2)
    return Draft(
        key=tuple(sorted((base, height))),
        question=_ask(rng, "area", f"triangle {a}{b}{c}"),
        facts=f"In triangle {a}{b}{c}, {a}{b} = {base} and the height from {c} is {height}.",
        answer=area,
        givens=((a + b, str(base)), ("height", str(height))),
        steps=(
            f"{base}*{height}={base * height}",
            f"{base * height}/2={answer_text(area)}",
        ),
        scene=Scene(
            segments=(
                Segment(start=0j, end=foot),
                Segment(start=foot, end=end),
                Segment(start=end, end=top),
                Segment(start=top, end=0j),
                dashed,
            ),
            angles=(corner,),
            labels=(
                # "AB=12": beside the foot of the height a bare number could be a part of it.
                length(f"{a}{b}={base}", 0j, end),
                length(str(height), foot, top),
                *named(a + b + c, 0j, end, top),
            ),
        ),
        difficulty=1 if area.is_Integer else 2,
    )


def parallelogram_area(rng: random.Random) -> Draft:
    """Base times height (the slanted side is also shown), or the perimeter."""
    what = rng.choice(("area", "perimeter"))
    while True:
        # The foot of the height must fall well inside the base.
        shift, height, side = triple(rng, 41)
        base = rng.randint(4, 45)
        if 1.35 * shift <= base and 0.45 <= base / side <= 2.4:
            break
    a, b, c, d = letters(rng, 4)
    corners = (0j, complex(base, 0), complex(base + shift, height), complex(shift, height))
    foot = complex(shift, 0)
    dashed, corner = _height(corners[3], foot, corners[1])
    if what == "area":
        answer = base * height
        key: tuple[int | str, ...] = (what, base, height)
        givens = ((a + b, str(base)), ("height", str(height)))
        steps: tuple[str, ...] = (f"{base}*{height}={answer}",)
    else:
        answer = 2 * (base + side)
        key = (what, *sorted((base, side)))
        givens = ((a + b, str(base)), (a + d, str(side)))
        steps = (f"{base}+{side}={base + side}", f"2*{base + side}={answer}")
    return Draft(
        key=key,
        question=_ask(rng, what, f"parallelogram {a}{b}{c}{d}"),
        facts=f"In parallelogram {a}{b}{c}{d}, {a}{b} = {base}, {a}{d} = {side} and the height "
        f"on {a}{b} is {height}.",
        answer=sympy.Integer(answer),
        givens=givens,
        steps=steps,
        scene=Scene(
            segments=(
                Segment(start=0j, end=foot),
                Segment(start=foot, end=corners[1]),
                Segment(start=corners[1], end=corners[2]),
                Segment(start=corners[2], end=corners[3]),
                Segment(start=corners[3], end=0j),
                dashed,
            ),
            angles=(corner,),
            labels=(
                length(f"{a}{b}={base}", 0j, corners[1]),
                length(str(side), 0j, corners[3]),
                length(str(height), foot, corners[3]),
                *named(a + b + c + d, *corners),
            ),
        ),
        difficulty=2,
    )


def trapezoid_area(rng: random.Random) -> Draft:
    """The mean of the parallel sides times the height."""
    while True:
        long, short, height = rng.randint(6, 40), rng.randint(3, 30), rng.randint(3, 30)
        if 0.35 <= short / long <= 0.75 and 0.4 <= height / long <= 0.8:
            break
    a, b, c, d = letters(rng, 4)
    shift = (long - short) * rng.uniform(0.3, 0.7)
    corners = (0j, complex(long, 0), complex(shift + short, height), complex(shift, height))
    foot = complex(shift, 0)
    dashed, corner = _height(corners[3], foot, corners[1])
    total = long + short
    area = sympy.Rational(total * height, 2)
    return Draft(
        key=(long, short, height),
        question=_ask(rng, "area", f"trapezoid {a}{b}{c}{d}"),
        facts=f"In trapezoid {a}{b}{c}{d}, {a}{b} is parallel to {d}{c}, {a}{b} = {long}, "
        f"{d}{c} = {short} and the height is {height}.",
        answer=area,
        givens=((a + b, str(long)), (d + c, str(short)), ("height", str(height))),
        steps=(
            f"{long}+{short}={total}",
            f"{total}*{height}={total * height}",
            f"{total * height}/2={answer_text(area)}",
        ),
        scene=Scene(
            segments=(
                Segment(start=0j, end=foot),
                Segment(start=foot, end=corners[1], chevrons=1, mark_at=0.75),
                Segment(start=corners[1], end=corners[2]),
                Segment(start=corners[3], end=corners[2], chevrons=1, mark_at=0.7),
                Segment(start=corners[3], end=0j),
                dashed,
            ),
            angles=(corner,),
            labels=(
                length(f"{a}{b}={long}", 0j, corners[1]),
                length(str(short), corners[3], corners[2]),
                length(str(height), foot, corners[3]),
                *named(a + b + c + d, *corners),
            ),
        ),
        difficulty=2 if area.is_Integer else 3,
    )


def rectangle_perimeter(rng: random.Random) -> Draft:
    """Perimeter, area or diagonal of a rectangle; perimeter or area of an L-shape."""
    if rng.random() < 0.6:
        return _corner_cut(rng)
    what = rng.choice(("perimeter", "area", "diagonal"))
    width, height = triple(rng, 80)[:2] if what == "diagonal" else spaced(rng, 3, 60, 0.4)
    a, b, c, d = letters(rng, 4)
    corners = (0j, complex(width, 0), complex(width, height), complex(0, height))
    figure = f"rectangle {a}{b}{c}{d}"
    if what == "perimeter":
        answer = sympy.Integer(2 * (width + height))
        steps: tuple[str, ...] = (
            f"{width}+{height}={width + height}",
            f"2*{width + height}={answer}",
        )
        question = _ask(rng, what, figure)
    elif what == "area":
        answer = sympy.Integer(width * height)
        steps, question = (f"{width}*{height}={answer}",), _ask(rng, what, figure)
    else:
        square = width**2 + height**2
        answer = sympy.sqrt(square)
        steps = (f"{width}^2+{height}^2={square}", rf"\sqrt{{{square}}}={answer}")
        question = _ask(rng, "length", f"the diagonal {a}{c} of the rectangle")
    inner = (Segment(start=corners[0], end=corners[2]),) if what == "diagonal" else ()
    return Draft(
        key=(what, *sorted((width, height))),
        question=question,
        facts=f"In {figure}, {a}{b} = {width} and {b}{c} = {height}.",
        answer=answer,
        givens=((a + b, str(width)), (b + c, str(height))),
        steps=steps,
        scene=Scene(
            segments=(*outline(*corners), *inner),
            angles=(AngleMark(vertex=corners[1], start=corners[0], end=corners[2], right=True),),
            labels=(
                length(str(width), corners[0], corners[1]),
                length(str(height), corners[1], corners[2]),
                *named(a + b + c + d, *corners),
            ),
        ),
        difficulty=2 if what == "diagonal" else 1,
    )


def _corner_cut(rng: random.Random) -> Draft:
    """An L-shape: a rectangle without a smaller rectangle at one corner."""
    what = rng.choice(("perimeter", "area"))
    while True:
        width, height = spaced(rng, 5, 24, 0.6)
        cut_width, cut_height = rng.randint(2, width - 2), rng.randint(2, height - 2)
        sizes = (cut_width / width, cut_height / height)
        if min(sizes) >= 0.35 and max(sizes) <= 0.65:
            break
    inner = (width - cut_width, height - cut_height)
    corners = (
        0j, complex(width, 0), complex(width, inner[1]), complex(inner[0], inner[1]),
        complex(inner[0], height), complex(0, height),
    )  # fmt: skip
    names = "".join(letters(rng, 6))
    sides = [(corners[k], corners[(k + 1) % 6], names[k] + names[(k + 1) % 6]) for k in range(6)]
    shown = {0: width, 5: height, 2: cut_width, 3: cut_height}
    if what == "perimeter":
        answer = 2 * (width + height)
        steps: tuple[str, ...] = (
            f"{width}+{height}={width + height}",
            f"2*{width + height}={answer}",
        )
    else:
        whole, cut = width * height, cut_width * cut_height
        answer = whole - cut
        steps = (
            f"{width}*{height}={whole}",
            f"{cut_width}*{cut_height}={cut}",
            f"{whole}-{cut}={answer}",
        )
    stated = ", ".join(f"{sides[k][2]} = {value}" for k, value in shown.items())
    canonical = min((width, height, cut_width, cut_height), (height, width, cut_height, cut_width))
    return Draft(
        key=("corner", what, *canonical),
        question=f"All angles are right angles. {_ask(rng, what, 'the shape')}",
        facts=f"The six-sided shape {names} is a rectangle without a rectangular corner; {stated}.",
        answer=sympy.Integer(answer),
        givens=tuple((sides[k][2], str(value)) for k, value in shown.items()),
        steps=steps,
        scene=Scene(
            segments=outline(*corners),
            labels=tuple(
                length(str(value), sides[k][0], sides[k][1]) for k, value in shown.items()
            ),
        ),
        difficulty=3,
    )


def kite_area(rng: random.Random) -> Draft:
    """Rhombus or kite: the area from the diagonals, or the side of a rhombus."""
    what = rng.choice(("area", "area", "side"))
    a, b, c, d = letters(rng, 4)
    if what == "side":
        half_width, half_height, side = triple(rng, 60)
        width, height, split = 2 * half_width, 2 * half_height, 0.5
    else:
        width, height = spaced(rng, 4, 40, 0.5)
        split = rng.choice((0.5, rng.uniform(0.3, 0.42)))
    figure = f"{'rhombus' if split == 0.5 else 'kite'} {a}{b}{c}{d}"
    corners = (
        complex(0, height * (1 - split)), complex(width / 2, 0),
        complex(0, -height * split), complex(-width / 2, 0),
    )  # fmt: skip
    givens = ((a + c, str(height)), (b + d, str(width)))
    if what == "area":
        answer = sympy.Rational(width * height, 2)
        steps: tuple[str, ...] = (
            f"{height}*{width}={height * width}",
            f"{height * width}/2={answer_text(answer)}",
        )
        question = _ask(rng, "area", figure)
    else:
        square = half_width**2 + half_height**2
        answer = sympy.Integer(side)
        steps = (
            f"{height}/2={half_height}",
            f"{width}/2={half_width}",
            f"{half_height}^2+{half_width}^2={square}",
            rf"\sqrt{{{square}}}={side}",
        )
        question = _ask(rng, "length", f"side {a}{b} of {figure}")
    return Draft(
        key=(what, *sorted((width, height))),
        question=question,
        facts=f"The diagonals of {figure} are {a}{c} = {height} and {b}{d} = {width}.",
        answer=answer,
        givens=givens,
        steps=steps,
        scene=Scene(
            segments=(
                *outline(*corners),
                *(Segment(start=0j, end=corner, dashed=True) for corner in corners),
            ),
            angles=(AngleMark(vertex=0j, start=corners[0], end=corners[1], right=True),),
            labels=(
                _diagonal(f"{a}{c}={height}", corners[0], corners[2]),
                _diagonal(f"{b}{d}={width}", corners[1], corners[3]),
                *named(a + b + c + d, *corners),
            ),
        ),
        difficulty=2 if what == "area" else 4,
    )


def _diagonal(text: str, start: complex, end: complex) -> Label:
    """A label beside the longer half of a diagonal, from the corner to near the crossing."""
    corner = start if abs(start) >= abs(end) else end
    return length(text, 0.12 * corner, 0.85 * corner)
