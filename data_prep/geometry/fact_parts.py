"""What the facts are built from: points on circles, midpoints, equal lengths and vectors."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.geometry.literals import Argument, Term, is_point
from data_prep.geometry.model import Model, Unsupported
from data_prep.geometry.resolve import (
    nearest,
    ring_of,
    unwrapped,
)


def point_of(argument: Argument) -> str:
    inner = (
        argument.args[0] if isinstance(argument, Term) and argument.head == "Point" else argument
    )
    if not isinstance(inner, str) or not is_point(inner):
        raise Unsupported(f"{argument} is not a point")
    return inner


def put_on_circle(model: Model, point: str, circle: Argument) -> None:
    ring = ring_of(model.figure, circle)
    model.equal(model.distance(ring.center, point), model.radius(ring), "length")


def same_vector(model: Model, first: tuple[str, str], second: tuple[str, str]) -> None:
    """Demand that two ways be the same vector."""
    one, two = model.vector(*first), model.vector(*second)
    model.add(lambda x: one(x)[0] - two(x)[0], "length")
    model.add(lambda x: one(x)[1] - two(x)[1], "length")


def put_midway(model: Model, point: str, line: tuple[str, str]) -> None:
    same_vector(model, (line[0], point), (point, line[1]))


def equal_lengths(model: Model, one: tuple[str, str], two: tuple[str, str]) -> None:
    model.equal(model.distance(*one), model.distance(*two), "length")


def side_at(model: Model, point: str, sides: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """The side whose middle is nearest to a point of the picture."""
    at = model.figure.at
    return nearest(sides, lambda side: abs((at[side[0]] + at[side[1]]) / 2 - at[point]))


def shape_head(argument: Argument) -> str:
    """The head of a shape without colours."""
    inner = unwrapped(argument)
    return inner.head if isinstance(inner, Term) else ""
