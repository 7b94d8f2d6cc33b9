"""Measures in degrees: angles by points, by number or by corner, and arcs of circles."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable

from data_prep.geometry.figure import Ring
from data_prep.geometry.literals import Args, is_point
from data_prep.geometry.model import Measure, Model, Unsupported
from data_prep.geometry.resolve import corner_of


def _angle(model: Model, args: Args) -> Measure:
    names = tuple(map(str, args))
    if len(names) == 1:
        if names[0].isdigit():
            return numbered_angle(model, names[0])
        if is_point(names[0]):
            names = corner_of(model.figure, names[0])
        elif len(names[0]) == 3 and names[0].isupper():
            names = tuple(names[0])
        elif len(names[0]) == 1:
            return model.expression(names[0])
    if len(names) != 3 or len(set(names)) < 3 or not all(name in model.index for name in names):
        raise Unsupported(f"Angle({', '.join(names)}) is not in the figure")
    return Measure(function=model.angle(*names), kind="angle")


def numbered_angle(model: Model, number: str) -> Measure:
    """The angle that carries a number in the picture."""
    if number not in model.figure.numbered:
        raise Unsupported(f"angle {number} is not in the figure")
    return _angle(model, model.figure.numbered[number])


def arc_ring(model: Model, args: Args) -> Ring:
    """The circle that an arc lies on."""
    names = tuple(map(str, args))
    rings = model.figure.rings
    on = [ring for ring in rings if names[0] in ring.points and names[-1] in ring.points]
    if not on and len(rings) == 1:
        on = list(rings)
    if not on or not all(name in model.index for name in names):
        raise Unsupported(f"Arc({', '.join(names)}) is on no circle")
    return on[0]


def _arc(model: Model, args: Args) -> Measure:
    """Degrees: two letters are the arc drawn below 180, three run through the middle one."""
    center = arc_ring(model, args).center
    names = [name for name in map(str, args) if name != center]
    if len(names) == 2 and len(set(names)) == 2:
        return Measure(function=model.angle(names[0], center, names[1]), kind="angle")
    if len(names) < 3 or names[0] == names[-1]:
        raise Unsupported(f"Arc({', '.join(names)}) is no arc")
    at = model.figure.at

    def turn(point: str) -> float:
        way = (at[point] - at[center]) / ((at[names[0]] - at[center]) or 1)
        return cmath.phase(way) % (2 * math.pi)

    sign = 1.0 if turn(names[1]) < turn(names[-1]) else -1.0
    return Measure(
        function=model.directed_angle(names[0], center, names[-1], sign, 0.0), kind="angle"
    )


ANGLES: dict[str, Callable[[Model, Args], Measure]] = {"Angle": _angle, "Arc": _arc}
"""Literal -> what it measures."""
