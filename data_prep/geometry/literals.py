"""Geometry3K literals, `Equals(LengthOf(Line(A, C)), 20)`, as trees.

A literal is a head with arguments; an argument is a literal or a text (a point, a letter, an
expression). The files were typed by hand: blanks anywhere, "Cirle", a sentence that goes on after
the closing bracket, a bracket too many. What cannot be read raises `LiteralError`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

POINT = re.compile(r"[A-Z]'?|point_\d+")
"""Names of points; `point_7` are crossings that the book leaves without a letter."""
SHAPES = frozenset(
    ("Triangle", "Quadrilateral", "Parallelogram", "Rectangle", "Rhombus", "Square", "Kite",
     "Trapezoid", "Polygon", "Pentagon", "Hexagon", "Heptagon", "Octagon", "Shape")
)  # fmt: skip
_HEAD = re.compile(r"\s*([A-Za-z]+)\s*\(")
_MISSPELT = {"Cirle": "Circle", "Sectoe": "Sector", "parallelogram": "Parallelogram"}
_TAIL = re.compile(r"\)\s*(?:and\b|at\b|\. ).*$")


class LiteralError(ValueError):
    """A text that is not a literal."""


@dataclass(frozen=True, slots=True)
class Term:
    """`head(args...)`."""

    head: str
    args: Args

    def __str__(self) -> str:
        return f"{self.head}({', '.join(map(str, self.args))})"


Argument = Term | str
Args = tuple[Argument, ...]
Line = tuple[str, str]
"""Two points."""


def parse(text: str) -> Term:
    """The literal in a text; raises LiteralError."""
    found = parse_argument(_TAIL.sub(")", text.strip()))
    if isinstance(found, str):
        raise LiteralError(f"not a literal: {text!r}")
    return found


def parse_argument(text: str) -> Argument:
    """A nested literal, or the stripped text itself (a name, a number, an expression)."""
    text = text.strip()
    head = _HEAD.match(text)
    if head is None or not text.endswith(")") or head[1] == "sqrt":
        return text
    pieces = list(_split(text[head.end() : -1], text))
    name = _MISSPELT.get(head[1], head[1])
    return Term(name, tuple(parse_argument(piece) for piece in pieces))


def _split(inner: str, whole: str) -> Iterator[str]:
    """The pieces between commas that stand outside all brackets."""
    depth, start = 0, 0
    for index, sign in enumerate(inner):
        depth += (sign in "({") - (sign in ")}")
        if depth < 0:
            raise LiteralError(f"a bracket too many: {whole!r}")
        if sign == "," and depth == 0:
            yield inner[start:index]
            start = index + 1
    if depth:
        raise LiteralError(f"a bracket is not closed: {whole!r}")
    yield inner[start:]


def is_point(argument: Argument) -> bool:
    """Whether an argument is the name of a point."""
    return isinstance(argument, str) and POINT.fullmatch(argument) is not None


def walk(argument: Argument) -> Iterator[Term]:
    """The literal and all literals inside it, outer ones first."""
    if isinstance(argument, Term):
        yield argument
        for inner in argument.args:
            yield from walk(inner)


def points_in(arguments: Iterable[Argument]) -> set[str]:
    """The names of points in literals."""
    return {
        str(arg)
        for argument in arguments
        for term in walk(argument)
        for arg in term.args
        if is_point(arg)
    }
