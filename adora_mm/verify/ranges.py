"""Inequalities of one variable as intervals, and bearings as azimuths."""

from __future__ import annotations

import re

from adora_mm.verify.numerals import literal
from adora_mm.verify.syntax import INFINITY, Node, number

FLIPPED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!=", "~": "~", "in": "in"}
_TURNS = {"ne": (0, 1), "nw": (360, -1), "se": (180, -1), "sw": (180, 1)}
_COMPASS = re.compile(
    r"([ns])(?:orth|outh)?\s*(\d+(?:\.\d+)?)\s*(?:°|deg|degrees?)\s*([ew])(?:ast|est)?",
    re.IGNORECASE,
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
    """`N 34° W` as degrees clockwise from north; None for anything else."""
    match = _COMPASS.fullmatch(text.strip())
    if match is None:
        return None
    start, angle, side = match.groups()
    base, sign = _TURNS[(start + side).lower()]
    turned = literal(angle)
    return Node("add", (number(base), turned if sign > 0 else Node("neg", (turned,))))
