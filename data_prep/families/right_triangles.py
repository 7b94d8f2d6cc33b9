"""Right triangles: Pythagoras, the two special ones, trigonometric ratios."""

from __future__ import annotations

import random
from collections.abc import Sequence

import sympy

from data_prep.families.wording import (
    answer_text,
    ask_length,
    degrees,
    letters,
    spaced,
    triple,
)
from data_prep.scene import AngleMark, Draft, Scene, length, named, outline

FLATTEST = 0.42
"""Smallest ratio of the legs: about 23 degrees."""


def right_triangle_pythagoras(rng: random.Random) -> Draft:
    """Two sides of a right triangle are given, the third is asked."""
    hypotenuse_asked = rng.random() < 0.5
    if rng.random() < 0.5:
        first, second, third = map(sympy.Integer, triple(rng, 100))
    elif hypotenuse_asked:
        first, second = map(sympy.Integer, spaced(rng, 2, 24, FLATTEST))
        third = sympy.sqrt(first**2 + second**2)
    else:
        third = sympy.Integer(rng.randint(5, 30))
        first = sympy.Integer(rng.randint(round(0.4 * third), round(0.9 * third)))
        second = sympy.sqrt(third**2 - first**2)
    a, b, c = letters(rng, 3)
    if hypotenuse_asked:
        asked = ask_length(rng, f"{a}{b}")
        answer = third
        key: tuple[int | str, ...] = ("hypotenuse", *sorted(map(int, (first, second))))
        givens = ((f"{a}{c}", str(first)), (f"{b}{c}", str(second)))
        square = first**2 + second**2
        step = f"{first}^2+{second}^2={square}"
        texts = (str(first), str(second), asked.mark)
    else:
        asked = ask_length(rng, f"{b}{c}")
        answer = second
        key = ("leg", int(third), int(first))
        givens = ((f"{a}{b}", str(third)), (f"{a}{c}", str(first)))
        square = third**2 - first**2
        step = f"{third}^2-{first}^2={square}"
        texts = (str(first), asked.mark, str(third))
    stated = " and ".join(f"{name} = {value}" for name, value in givens)
    return Draft(
        key=key,
        question=asked.question,
        facts=f"Triangle {a}{b}{c} has a right angle at {c}, {stated}. {asked.fact}",
        answer=answer,
        givens=givens,
        steps=(step, rf"\sqrt{{{square}}}={answer_text(answer)}"),
        scene=_scene(a + b + c, float(first), float(second), texts),
        difficulty=2 if answer.is_Integer else 3,
    )


def _scene(
    names: str,
    first: float,
    second: float,
    texts: Sequence[str],
    angles: tuple[str, str] = ("", ""),
) -> Scene:
    """Corners A, B and the right angle C; `texts` label AC, BC and AB, `angles` A and B."""
    a, b, c = complex(first, 0), complex(0, second), 0j
    marks = [AngleMark(vertex=c, start=a, end=b, right=True)]
    if angles[0]:
        marks.append(AngleMark(vertex=a, start=c, end=b, text=angles[0]))
    if angles[1]:
        marks.append(AngleMark(vertex=b, start=c, end=a, text=angles[1]))
    sides = ((c, a), (c, b), (a, b))
    return Scene(
        segments=outline(a, b, c),
        angles=tuple(marks),
        labels=(
            *(length(text, *side) for text, side in zip(texts, sides, strict=True) if text),
            *named(names, a, b, c),
        ),
    )


def right_triangle_special(rng: random.Random) -> Draft:
    """One side of a 30-60-90 or 45-45-90 triangle is given, another one is asked."""
    value = rng.randint(2, 40)
    kind = rng.choice(sorted(SPECIAL))
    given, asked_side = kind.split(">")
    ratios, angle = (THIRD, 60) if given in THIRD and asked_side in THIRD else (HALF, 45)
    unit = sympy.Integer(value) / ratios[given]
    answer = unit * ratios[asked_side]
    a, b, c = letters(rng, 3)
    names = {"short": a + c, "long": b + c, "slant": a + b}
    names |= {"leg": a + c, "other": b + c, "diagonal": a + b}
    asked = ask_length(rng, names[asked_side])
    texts = dict.fromkeys(ratios, "") | {given: str(value), asked_side: asked.mark}
    first, second, _ = (float(ratio) for ratio in ratios.values())
    at_a = angle == 45 or rng.random() < 0.5
    shown = (degrees(angle), "") if at_a else ("", degrees(90 - angle))
    corner = (a, angle) if at_a else (b, 90 - angle)
    value_text, answer_latex = str(value), answer_text(answer)
    steps = tuple(
        step.format(given=value_text, unit=answer_text(unit), answer=answer_latex)
        for step in SPECIAL[kind]
    )
    return Draft(
        key=(kind, value),
        question=f"{asked.question} Give the exact value.",
        facts=f"Triangle {a}{b}{c} has a right angle at {c} and angle {corner[0]} is "
        f"{corner[1]} degrees. {names[given]} = {value}. {asked.fact}",
        answer=answer,
        givens=((corner[0], str(corner[1])), (names[given], value_text)),
        steps=steps,
        scene=_scene(a + b + c, first, second, list(texts.values()), shown),
        difficulty=3 if len(steps) == 1 else 4,
    )


THIRD = {"short": sympy.Integer(1), "long": sympy.sqrt(3), "slant": sympy.Integer(2)}
HALF = {"leg": sympy.Integer(1), "other": sympy.Integer(1), "diagonal": sympy.sqrt(2)}
"""Sides of the two special triangles in units of the first leg."""
SPECIAL: dict[str, tuple[str, ...]] = {
    "short>long": (r"{given}*\sqrt{{3}}={answer}",),
    "short>slant": ("2*{given}={answer}",),
    "long>short": (r"{given}/\sqrt{{3}}={answer}",),
    "long>slant": (r"{given}/\sqrt{{3}}={unit}", "2*{unit}={answer}"),
    "slant>short": ("{given}/2={answer}",),
    "slant>long": ("{given}/2={unit}", r"{unit}*\sqrt{{3}}={answer}"),
    "leg>diagonal": (r"{given}*\sqrt{{2}}={answer}",),
    "diagonal>leg": (r"{given}/\sqrt{{2}}={answer}",),
}
"""given>asked: the worked solution."""


def trig_ratio(rng: random.Random) -> Draft:
    """Sine, cosine or tangent of an acute angle, from two sides of an integer right triangle."""
    opposite, adjacent, slant = triple(rng, 100)
    function = rng.choice(("sin", "cos", "tan"))
    a, b, c = letters(rng, 3)
    sides = {f"{b}{c}": opposite, f"{a}{c}": adjacent, f"{a}{b}": slant}
    top, bottom = {"sin": (opposite, slant), "cos": (adjacent, slant), "tan": (opposite, adjacent)}[
        function
    ]
    hidden = rng.choice(sorted(sides))
    shown = {name: value for name, value in sides.items() if name != hidden}
    steps: list[str] = []
    if sides[hidden] in (top, bottom):
        legs = [value for value in shown.values() if value != slant]
        sign, square = ("+", slant**2) if hidden == a + b else ("-", sides[hidden] ** 2)
        first, second = legs if hidden == a + b else (slant, legs[0])
        steps += [f"{first}^2{sign}{second}^2={square}", rf"\sqrt{{{square}}}={sides[hidden]}"]
    answer = sympy.Rational(top, bottom)
    steps.append(f"{top}/{bottom}={answer_text(answer)}")
    name = {"sin": "sine", "cos": "cosine", "tan": "tangent"}[function]
    question = rng.choice(
        (f"Find {function} {a}.", f"What is the {name} of angle {a}?", f"Find the {name} of {a}.")
    )
    texts = tuple(str(shown[n]) if n in shown else "" for n in (a + c, b + c, a + b))
    stated = " and ".join(f"{n} = {value}" for n, value in shown.items())
    return Draft(
        key=(
            function,
            opposite,
            adjacent,
            slant,
            ("opposite", "adjacent", "slant")[list(sides).index(hidden)],
        ),
        question=question,
        facts=f"Triangle {a}{b}{c} has a right angle at {c}, {stated}.",
        answer=answer,
        givens=tuple((n, str(value)) for n, value in shown.items()),
        steps=tuple(steps),
        scene=_scene(a + b + c, adjacent, opposite, texts),
        difficulty=2 if len(steps) == 1 else 3,
    )
