"""Facts about points and lines: incidence, right angles, parallels."""

from __future__ import annotations

from collections.abc import Callable

from data_prep.geometry.fact_parts import (
    point_of,
    put_on_circle,
)
from data_prep.geometry.literals import Args, Term
from data_prep.geometry.model import Model
from data_prep.geometry.resolve import (
    line_of,
)


def _on_line(model: Model, args: Args) -> None:
    point, line = point_of(args[0]), line_of(model.figure, args[1])
    if point not in line:
        model.add(model.off_line(point, line), "length")


def _on_circle(model: Model, args: Args) -> None:
    circle = args[1] if isinstance(args[1], Term) else Term("Circle", (args[1],))
    put_on_circle(model, point_of(args[0]), circle)


def _perpendicular(model: Model, args: Args) -> None:
    one, two = (line_of(model.figure, argument) for argument in args)
    model.add(model.cosine(one, two), "ratio")


def _parallel(model: Model, args: Args) -> None:
    one, two = (line_of(model.figure, argument) for argument in args)
    if set(one) != set(two):
        model.add(model.sine(one, two), "ratio")


LINE_FACTS: dict[str, Callable[[Model, Args], None]] = {
    "PointLiesOnLine": _on_line,
    "PointLiesOnCircle": _on_circle,
    "Perpendicular": _perpendicular,
    "Parallel": _parallel,
}
"""Literal -> what adds its equations."""
