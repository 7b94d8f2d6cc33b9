"""Measures: what `LengthOf(Line(A, B))`, `2x+5` or `AreaOf(Sector(B, A, C))` is as a function.

One function per head in `MEASURES`; each returns a function of the unknowns and its kind. Here are
measures of other measures; the others stand in `measure_sizes` and `measure_angles`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from data_prep.geometry.figure import angle_number
from data_prep.geometry.literals import Args, Argument, Term
from data_prep.geometry.measure_angles import ANGLES, arc_ring, numbered_angle
from data_prep.geometry.measure_sizes import SIZES, line_measure
from data_prep.geometry.model import Array, Kind, Measure, Model, Unsupported
from data_prep.geometry.resolve import is_shape


def measure(model: Model, argument: Argument) -> Measure:
    """The measure that an argument names; raises Unsupported."""
    if isinstance(argument, str):
        return _text(model, argument)
    if argument.head not in MEASURES:
        raise Unsupported(f"{argument.head} is not a measure")
    return MEASURES[argument.head](model, argument.args)


def _text(model: Model, text: str) -> Measure:
    if angle_number(text):
        return numbered_angle(model, angle_number(text))
    if len(text) == 2 and text.isupper():
        return line_measure(model, (text,))
    return model.expression(text)


def _inner(model: Model, args: Args) -> Measure:
    return measure(model, args[0])


def _length(model: Model, args: Args) -> Measure:
    if len(args) == 2:
        return line_measure(model, args)
    inner = args[0]
    while isinstance(inner, Term) and inner.head == "MeasureOf":
        inner = inner.args[0]
    arc = inner
    if isinstance(arc, Term) and arc.head in ("Major", "Minor"):
        arc = arc.args[0]
    if isinstance(arc, Term) and arc.head == "Arc" and isinstance(inner, Term):
        ring = arc_ring(model, arc.args)
        degrees, radius = measure(model, inner).function, model.radius(ring)
        return Measure(function=lambda x: degrees(x) * (math.pi / 180) * radius(x), kind="length")
    return measure(model, inner)


def _major(model: Model, args: Args) -> Measure:
    arc = measure(model, args[0])
    named_through = isinstance(args[0], Term) and len(args[0].args) > 2
    if named_through:
        return arc
    return Measure(function=lambda x: 360 - arc.function(x), kind="angle")


def _trigonometric(function: Callable[[Any], Any]) -> Callable[[Model, Args], Measure]:
    def read(model: Model, args: Args) -> Measure:
        inner = measure(model, args[0]).function
        return Measure(function=lambda x: function(inner(x) * (math.pi / 180)), kind="ratio")

    return read


def _ratio(model: Model, args: Args) -> Measure:
    if len(args) == 1:
        return measure(model, args[0])
    top, bottom = (measure(model, argument).function for argument in args)
    return Measure(function=lambda x: top(x) / bottom(x), kind="ratio")


def _scale_factor(model: Model, args: Args) -> Measure:
    if not all(map(is_shape, args)):
        raise Unsupported("a scale factor of shapes without vertices")
    return _ratio(model, (Term("PerimeterOf", (args[0],)), Term("PerimeterOf", (args[1],))))


def _kind(parts: list[Measure]) -> Kind:
    return next((part.kind for part in parts if part.kind != "number"), "number")


def _sum(factor: float) -> Callable[[Model, Args], Measure]:
    def read(model: Model, args: Args) -> Measure:
        # SumOf(CircumferenceOf(a), Circle(b)): the later ones are meant like the first
        first = args[0]
        like = first.head if isinstance(first, Term) and first.head == "CircumferenceOf" else ""
        parts = [
            measure(
                model,
                Term(like, (a,)) if like and isinstance(a, Term) and a.head == "Circle" else a,
            )
            for a in args
        ]
        functions = [part.function for part in parts]
        return Measure(
            function=lambda x: factor * sum((f(x) for f in functions[1:]), functions[0](x)),
            kind=_kind(parts),
        )

    return read


def _product(model: Model, args: Args) -> Measure:
    parts = [measure(model, argument) for argument in args]

    def function(x: Array) -> Array:
        product = parts[0].function(x)
        for part in parts[1:]:
            product = product * part.function(x)
        return product

    return Measure(function=function, kind=_kind(parts))


MEASURES: dict[str, Callable[[Model, Args], Measure]] = {
    "MeasureOf": _inner,
    "LengthOf": _length,
    "Major": _major,
    "Minor": _inner,
    "SinOf": _trigonometric(np.sin),
    "CosOf": _trigonometric(np.cos),
    "TanOf": _trigonometric(np.tan),
    "RatioOf": _ratio,
    "ScaleFactorOf": _scale_factor,
    "SumOf": _sum(1),
    "Add": _sum(1),
    "HalfOf": _sum(0.5),
    "Mul": _product,
    **SIZES,
    **ANGLES,
}
