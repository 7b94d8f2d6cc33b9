"""Inequalities of one variable as intervals, and bearings as azimuths."""

from __future__ import annotations

import re
from fractions import Fraction

from adora_mm.verify import exact
from adora_mm.verify.limits import MAX_ITEMS, AnswerError, LimitError, NotExactError
from adora_mm.verify.numerals import literal
from adora_mm.verify.syntax import INFINITY, REALS, Node, number

FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "!=": "!="}
_AXES = {"n": 0, "e": 90, "s": 180, "w": 270}
_ANGLE = r"(\d+(?:\.\d+)?)\s*(?:°|deg|degrees?)?\s*(?:(\d+(?:\.\d+)?)')?"
_SIDE = r"(n|s|e|w|north|south|east|west)"
_COMPASS = re.compile(
    rf"(?:{_SIDE}\s*{_ANGLE}\s*{_SIDE}|{_ANGLE}\s*{_SIDE}of{_SIDE})", re.IGNORECASE
)


def ray(sign: str, bound: Node) -> Node:
    """`x > 5` as (5, inf): the values on one side of a bound."""
    if sign in (">", ">="):
        return Node("interval", (bound, INFINITY), "[)" if sign == ">=" else "()")
    return Node("interval", (Node("neg", (INFINITY,)), bound), "(]" if sign == "<=" else "()")


def between(low: Node, first: str, high: Node, second: str) -> Node:
    """`-2 <= x < 7` as [-2, 7); both signs read from left to right."""
    marks = ("[" if first == "<=" else "(") + ("]" if second == "<=" else ")")
    return Node("interval", (low, high), marks)


def compass(text: str) -> Node | None:
    """`N 34° W` and `34° west of north` as degrees clockwise from north; None for anything else."""
    match = _COMPASS.fullmatch(text.strip())
    if match is None:
        return None
    start, angle, minutes, side, angle_of, minutes_of, side_of, start_of = match.groups()
    base, towards = (
        _AXES[(name or "").lower()[:1]] for name in (start or start_of, side or side_of)
    )
    if (towards - base) % 180 == 0:
        return None
    turned = literal(angle or angle_of)
    if minutes or minutes_of:
        turned = Node("add", (turned, Node("div", (literal(minutes or minutes_of), number(60)))))
    if (towards - base) % 360 == 90:
        return Node("add", (number(base), turned))
    return Node("add", (number(base or 360), Node("neg", (turned,))))


def reals_without(points: tuple[Node, ...]) -> Node:
    """All real numbers but these points, as a union of open intervals."""
    return interval_without(REALS, points)


def _place(point: Node) -> Fraction:
    try:
        value = exact.approximate(exact.evaluate(point))
    except (NotExactError, LimitError):
        value = None
    if value is None:
        raise AnswerError("an excluded point without a value")
    return value


def interval_without(node: Node, points: tuple[Node, ...]) -> Node:
    """An interval without points of it, as a union; raises AnswerError for points outside."""
    low, high = node.args
    marks = str(node.value or "()")
    first, last = marks[0], marks[1]
    start = None if low == Node("neg", (INFINITY,)) else _place(low)
    end = None if high == INFINITY else _place(high)
    placed = {_place(point): point for point in points[: MAX_ITEMS + 1]}
    if start is not None and placed.pop(start, None) is not None:
        first = "("
    if end is not None and placed.pop(end, None) is not None:
        last = ")"
    order = sorted(placed)
    if order and (
        (start is not None and order[0] < start) or (end is not None and order[-1] > end)
    ):
        raise AnswerError("an excluded point outside its interval")
    ends = [placed[value] for value in order]
    pairs = list(zip([low, *ends], [*ends, high], strict=True))
    parts = tuple(
        Node("interval", pair, (first if k == 0 else "(") + (last if k == len(ends) else ")"))
        for k, pair in enumerate(pairs)
    )
    return parts[0] if len(parts) == 1 else Node("union", parts)


def excluded_points(node: Node) -> tuple[Node, ...]:
    """The points that a set of reals leaves out; nothing for other sets."""
    if node.op != "union" or any(part.op != "interval" for part in node.args):
        return ()
    ends = tuple(part.args[1] for part in node.args[:-1])
    try:
        return ends if node == reals_without(ends) else ()
    except AnswerError:
        return ()
