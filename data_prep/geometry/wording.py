"""Literals in words: what a question says, and what a picture cannot carry.

`sentence` and `name` raise Unsupported for what has no wording; such a problem is not written.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from data_prep.geometry.algebra import AlgebraError, parse_expression, text_of
from data_prep.geometry.figure import COLOURS, QUALITIES, angle_number
from data_prep.geometry.literals import SHAPES, Args, Argument, Term, is_point
from data_prep.geometry.model import Unsupported

DEGREE = "\N{DEGREE SIGN}"


def expression_text(text: str) -> str:
    """An expression as plain text; raises Unsupported."""
    try:
        plain = text_of(parse_expression(text))
    except AlgebraError as error:
        raise Unsupported(str(error)) from error
    plain = re.sub(r"sqrt\((\w+)\)", "\N{SQUARE ROOT}\\1", plain)
    return plain.replace("sqrt", "\N{SQUARE ROOT}").replace("pi", "\N{GREEK SMALL LETTER PI}")


def name(argument: Argument) -> str:
    """A measure, shape or expression in words."""
    if isinstance(argument, str):
        number = angle_number(argument)
        if number:
            return f"angle {number}"
        if is_point(argument) or (len(argument) == 2 and argument.isupper()):
            return argument
        return expression_text(argument)
    if argument.head in SHAPES:
        return f"{_kind_of(argument.head, len(argument.args))} {_run(argument.args)}".strip()
    if argument.head not in NAMES:
        raise Unsupported(f"no wording for {argument.head}")
    return NAMES[argument.head](argument.args)


def _kind_of(head: str, count: int) -> str:
    if head in ("Shape", "Polygon"):
        return {3: "triangle", 4: "quadrilateral"}.get(count, "polygon")
    return head.lower()


def _run(args: Args) -> str:
    """Points one after another: `ABC`."""
    if not all(isinstance(arg, str) and re.fullmatch("[A-Z]'?", arg) for arg in args):
        raise Unsupported("a name without letters")
    return "".join(map(str, args))


def _after(words: str) -> Callable[[Args], str]:
    return lambda args: f"{words} {name(args[0])}"


def _line(args: Args) -> str:
    if len(args) == 1 and isinstance(args[0], str):
        text = args[0]
        if re.fullmatch("[a-z]", text):
            return f"line {text}"
        return _run(tuple(text))
    return _run(args)


def _circle(args: Args) -> str:
    return f"circle {_run(args[:1])}"


def _angle(args: Args) -> str:
    if len(args) == 1 and str(args[0]).isdigit():
        return f"angle {args[0]}"
    return f"angle {_run(tuple(''.join(map(str, args))))}"


def _of_angle(word: str) -> Callable[[Args], str]:
    return lambda args: f"the {word} of {name(args[0])}"


def _scale_factor(args: Args) -> str:
    return f"the scale factor of {name(args[0])} to {name(args[1])}"


def _ratio(args: Args) -> str:
    if len(args) == 1:
        return name(args[0])
    return f"the ratio of {name(args[0])} to {name(args[1])}"


def _joined(sign: str) -> Callable[[Args], str]:
    return lambda args: sign.join(name(arg) for arg in args)


def _length(args: Args) -> str:
    inner = args[0]
    if isinstance(inner, Term) and inner.head in ("Arc", "Major"):
        return f"the length of {name(inner)}"
    return _line(args) if len(args) == 2 else name(inner)


def _product(args: Args) -> str:
    *first, last = (name(arg) for arg in args)
    return f"{last} times {' times '.join(first)}"


def _quality(word: str) -> Callable[[Args], str]:
    return lambda args: f"{word} {name(args[0])}"


NAMES: dict[str, Callable[[Args], str]] = {
    "Line": _line,
    "Point": lambda args: f"point {_run(args)}",
    "Circle": _circle,
    "Angle": _angle,
    "Arc": lambda args: f"arc {_run(args)}",
    "Major": _after("the major"),
    "Minor": _after("the minor"),
    "Sector": lambda args: f"sector {_run(args)}",
    "MeasureOf": lambda args: name(args[0]),
    "LengthOf": _length,
    "RadiusOf": _after("the radius of"),
    "DiameterOf": _after("the diameter of"),
    "CircumferenceOf": _after("the circumference of"),
    "PerimeterOf": _after("the perimeter of"),
    "AreaOf": _after("the area of"),
    "SideOf": _after("the side of"),
    "LegOf": _after("a leg of"),
    "HypotenuseOf": _after("the hypotenuse of"),
    "SinOf": _of_angle("sine"),
    "CosOf": _of_angle("cosine"),
    "TanOf": _of_angle("tangent"),
    "RatioOf": _ratio,
    "ScaleFactorOf": _scale_factor,
    "Add": _joined(" + "),
    "SumOf": _joined(" + "),
    "Mul": _product,
    "HalfOf": _after("half of"),
    "Regular": _quality("regular"),
    "Isosceles": _quality("isosceles"),
    "Right": _quality("right"),
    "Equilateral": _quality("equilateral"),
    **dict.fromkeys(COLOURS, lambda args: name(args[0])),
}


# -- sentences ----------------------------------------------------------------------------------


def sentence(fact: Term) -> str:
    """A fact as a sentence; raises Unsupported."""
    if fact.head in SHAPES or fact.head in QUALITIES:
        return _shape(fact)
    if fact.head not in SENTENCES:
        raise Unsupported(f"no wording for {fact.head}")
    text = SENTENCES[fact.head](fact.args)
    # a letter of an expression stays small
    return text[0].upper() + text[1:] if text[1:2].isalpha() else text


def _shape(fact: Term) -> str:
    words = name(fact)
    kind, _, points = words.rpartition(" ")
    article = "an" if kind[:1] in "aeiou" else "a"
    return f"{points} is {article} {kind}."


def _equals(args: Args) -> str:
    unit = DEGREE if any(map(is_angle, args)) else ""
    one, two = (_with_unit(arg, unit) for arg in args)
    if is_angle(args[0]) and not one.startswith("angle"):
        one = f"the measure of {one}"
    terms = [arg for arg in args if isinstance(arg, Term)]
    if len(terms) == 2 and any(term.head == "HypotenuseOf" for term in terms):
        return f"{one} is {two}."
    return f"{one} = {two}."


def is_angle(argument: Argument) -> bool:
    """Whether a measure is in degrees."""
    if isinstance(argument, str):
        return bool(angle_number(argument))
    if argument.head == "LengthOf":
        return False
    return argument.head in ("Angle", "Arc") or (
        argument.head in ("MeasureOf", "Major", "Minor", "SumOf", "Add", "Mul", "HalfOf")
        and any(is_angle(arg) for arg in argument.args if isinstance(arg, Term))
    )


def _with_unit(argument: Argument, unit: str) -> str:
    words = name(argument)
    if not unit or not isinstance(argument, str) or angle_number(argument):
        return words
    return f"{words}{unit}" if re.fullmatch(r"[\w.]+", words) else f"({words}){unit}"


def _relation(words: str) -> Callable[[Args], str]:
    def say(args: Args) -> str:
        return f"{name(args[0])} {words} {name(args[1])}."

    return say


def _intersect(args: Args) -> str:
    *lines, point = args
    return f"{' and '.join(name(line) for line in lines)} meet at {name(point)}."


SENTENCES: dict[str, Callable[[Args], str]] = {
    "Equals": _equals,
    "Parallel": _relation("is parallel to"),
    "Perpendicular": _relation("is perpendicular to"),
    "Congruent": _relation("is congruent to"),
    "Similar": _relation("is similar to"),
    "PointLiesOnLine": lambda args: f"{name(args[0])} lies on {name(args[1])}.",
    "PointLiesOnCircle": lambda args: f"{name(args[0])} lies on {name(args[1])}.",
    "IsMidpointOf": _relation("is the midpoint of"),
    "IsMedianOf": _relation("is a median of"),
    "IsMidsegmentOf": _relation("is a midsegment of"),
    "IsAltitudeOf": _relation("is an altitude of"),
    "IsDiagonalOf": _relation("is a diagonal of"),
    "IsHypotenuseOf": _relation("is the hypotenuse of"),
    "IsDiameterOf": _relation("is a diameter of"),
    "IsRadiusOf": _relation("is a radius of"),
    "IsChordOf": _relation("is a chord of"),
    "IsIncenterOf": _relation("is the incenter of"),
    "IsCentroidOf": _relation("is the centroid of"),
    "IsOrthocenterOf": _relation("is the orthocenter of"),
    "IsPerpendicularBisectorOf": _relation("is the perpendicular bisector of"),
    "BisectsAngle": _relation("bisects"),
    "Tangent": _relation("is tangent to"),
    "InscribedIn": _relation("is inscribed in"),
    "CircumscribedTo": _relation("is circumscribed about"),
    "IntersectAt": _intersect,
    "RightAngle": lambda args: f"{name(args[0])} is a right angle.",
}


def question(target: Argument) -> str:
    """What is asked; raises Unsupported."""
    words = name(target)
    if isinstance(target, Term) and is_angle(target):
        return f"Find the measure of {words} in degrees."
    return f"Find {words}."
