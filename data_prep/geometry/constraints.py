"""Facts: what `Perpendicular(Line(A, B), Line(B, C))` or `Kite(A, B, C, D)` demands.

One function per head in `FACTS`; each adds equations to the model, or raises Unsupported. Here are
equations and pairs of shapes; the others stand in `fact_lines`, `fact_shapes`, `fact_cevians` and
`fact_circles`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from data_prep.geometry.fact_cevians import CEVIAN_FACTS
from data_prep.geometry.fact_circles import CIRCLE_FACTS
from data_prep.geometry.fact_lines import LINE_FACTS
from data_prep.geometry.fact_parts import (
    equal_lengths,
    shape_head,
)
from data_prep.geometry.fact_shapes import SHAPE_FACTS
from data_prep.geometry.figure import angle_number, unwrap_measure
from data_prep.geometry.literals import SHAPES, Args, Term
from data_prep.geometry.measures import measure
from data_prep.geometry.model import Array, Function, Model, Unsupported, sides_of
from data_prep.geometry.resolve import (
    is_shape,
    polygon_of,
    ring_of,
)

ROLES = {"AltitudeOf": "IsAltitudeOf", "HypotenuseOf": "IsHypotenuseOf", "BaseOf": ""}
"""`Equals(Line(A, D), AltitudeOf(...))` says what a line is, not how long it is."""
MALFORMED = (Unsupported, IndexError, KeyError, ValueError)
"""What a literal with too few arguments, or of unknown points, ends in."""


def add_facts(model: Model, facts: Sequence[Term]) -> None:
    """Add the equations of all facts; what has no meaning is listed in `model.skipped`."""
    for fact in facts:
        with model.reading(str(fact)):
            try:
                add_fact(model, fact)
            except MALFORMED as error:
                model.skipped.append((str(fact), str(error)))


def add_fact(model: Model, fact: Term) -> None:
    """Add the equations of one fact; raises Unsupported."""
    if fact.head not in FACTS:
        raise Unsupported(f"{fact.head} is not a fact")
    FACTS[fact.head](model, fact.args)


def _equals(model: Model, args: Args) -> None:
    if len(args) != 2:
        raise Unsupported("Equals of other than two sides")
    for this, other in (args, args[::-1]):
        if isinstance(other, Term) and other.head in ROLES:
            if ROLES[other.head]:
                add_fact(model, Term(ROLES[other.head], (this, *other.args)))
            return
    if _defines_name(model, args):
        return
    one, two = measure(model, args[0]), measure(model, args[1])
    kind = one.kind if one.kind != "number" else two.kind
    given = "number" in (one.kind, two.kind)
    model.equal(one.function, two.function, kind, given=given)


def _defines_name(model: Model, args: Args) -> bool:
    """`MeasureOf(Angle(A, B, C)) = MeasureOf(angle 4)` and `LengthOf(Line(P, Q)) = m` only name."""
    for this, other in (args, args[::-1]):
        number, inner = angle_number(other), unwrap_measure(this)
        if number and isinstance(inner, Term) and len(inner.args) == 3:
            return True
        if isinstance(other, str) and other in model.figure.line_names:
            return True
    return False


def _congruent(model: Model, args: Args) -> None:
    one = args[0]
    if shape_head(one) == "Circle":
        radii = [model.radius(ring_of(model.figure, argument)) for argument in args]
        model.equal(radii[0], radii[1], "length")
    elif not is_shape(one):
        _equals(model, args)
    else:
        first, second = (polygon_of(model.figure, a, ordered=False) for a in args)
        for here, there in zip(sides_of(first), sides_of(second), strict=True):
            if set(here) != set(there):
                equal_lengths(model, here, there)
        _same_angles(model, first, second)


def _similar(model: Model, args: Args) -> None:
    if not (is_shape(args[0]) and is_shape(args[1])):
        raise Unsupported("Similar of shapes without vertices")
    first, second = (polygon_of(model.figure, a, ordered=False) for a in args)
    if len(first) != len(second):
        raise Unsupported("Similar of shapes with different numbers of vertices")
    sides = list(zip(sides_of(first), sides_of(second), strict=True))
    for before, after in pairwise(sides):
        model.add(_same_ratio(model, before, after), "ratio")
    _same_angles(model, first, second)


def _same_ratio(
    model: Model,
    before: tuple[tuple[str, str], tuple[str, str]],
    after: tuple[tuple[str, str], tuple[str, str]],
) -> Function:
    """Zero when two pairs of lengths have one ratio."""
    a, b = (model.distance(*line) for line in before)
    c, d = (model.distance(*line) for line in after)

    def function(x: Array) -> Array:
        one, two = a(x) * d(x), b(x) * c(x)
        return np.asarray((one - two) / (one + two))

    return function


def _same_angles(model: Model, first: Sequence[str], second: Sequence[str]) -> None:
    """Sides alone fix triangles; other polygons need their angles too."""
    if len(first) == 3:
        return
    for i in range(len(first)):
        one = model.angle(first[i - 2], first[i - 1], first[i])
        model.equal(one, model.angle(second[i - 2], second[i - 1], second[i]), "angle")


def _no_equation(model: Model, args: Args) -> None:
    """It only names what other literals speak of."""


FACTS: dict[str, Callable[[Model, Args], None]] = {
    "Equals": _equals,
    "Congruent": _congruent,
    "Similar": _similar,
    **LINE_FACTS,
    **SHAPE_FACTS,
    **CEVIAN_FACTS,
    **CIRCLE_FACTS,
    **dict.fromkeys(
        (*(SHAPES - set(SHAPE_FACTS)), "Circle", "Line", "Angle", "Arc", "Point", "UseTheorem",
         "IsDiagonalOf", "Shaded"),
        _no_equation,
    ),
}  # fmt: skip
