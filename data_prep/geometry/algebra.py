r"""Expressions on diagrams: `2x+5`, `66--y`, `\frac{1}{2}x+12`, `7\sqrt{2}`, `y^{2}`, `42\pi`.

A recursive-descent parser to nested tuples; nothing is ever run as code. Values may be floats or
numpy arrays (complex ones too, for derivatives), so evaluation uses numpy throughout.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

Expression = tuple[Any, ...]
"""("number", text), ("letter", name), ("pi",), ("sqrt", e), ("negative", e), ("+-*/^", e, e)."""

_TOKEN = re.compile(r"\d+\.?\d*|\.\d+|\\?pi\b|\\?pi(?![a-z])|\\?sqrt|\\frac|[a-z]|[-+*/^(){}]|\S")
_STARTS = re.compile(r"[\d.]|[a-z\\]|[({]")


class AlgebraError(ValueError):
    """A text that is not an expression."""


def parse_expression(text: str) -> Expression:
    """The expression in a text; raises AlgebraError."""
    plain = text.replace("\\left", "").replace("\\right", "").replace("\\cdot", "*")
    tokens = _TOKEN.findall(plain.replace(" ", ""))
    reader = _Reader(tokens, text)
    tree = reader.sum()
    if reader.peek():
        raise AlgebraError(f"cannot read the expression {text!r}")
    return tree


class _Reader:
    """Tokens with a position; one method per level of precedence."""

    def __init__(self, tokens: list[str], text: str) -> None:
        self.tokens, self.text, self.at = tokens, text, 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> str:
        token = self.peek()
        if not token or (wanted and token != wanted):
            raise AlgebraError(f"cannot read the expression {self.text!r}")
        self.at += 1
        return token

    def sum(self) -> Expression:
        tree = self.product()
        while self.peek() in ("+", "-"):
            tree = (self.take(), tree, self.product())
        return tree

    def product(self) -> Expression:
        if self.peek() in ("+", "-"):
            return ("negative", self.product()) if self.take() == "-" else self.product()
        tree = self.power()
        while self.peek() in ("*", "/") or _STARTS.match(self.peek()):
            sign = self.take() if self.peek() in ("*", "/") else "*"
            tree = (sign, tree, self.power())
        return tree

    def power(self) -> Expression:
        tree = self.atom()
        while self.peek() == "^":
            self.take()
            tree = ("^", tree, self.atom())
        return tree

    def atom(self) -> Expression:
        token = self.take()
        if token in ("(", "{"):
            tree = self.sum()
            self.take(")" if token == "(" else "}")
            return tree
        if token.endswith("pi"):
            return ("pi",)
        if token.endswith("sqrt"):
            return ("sqrt", self.atom())
        if token == "\\frac":
            return ("/", self.atom(), self.atom())
        if token[0].isdigit() or token[0] == ".":
            return ("number", token)
        if len(token) == 1 and token.islower():
            return ("letter", token)
        raise AlgebraError(f"cannot read the expression {self.text!r}")


def letters(tree: Expression) -> set[str]:
    """The unknowns of an expression."""
    if tree[0] == "letter":
        return {tree[1]}
    return set().union(*(letters(part) for part in tree[1:] if isinstance(part, tuple)))


def evaluate(tree: Expression, values: Mapping[str, Any]) -> Any:
    """The value with the given letters, which may be arrays."""
    head = tree[0]
    if head == "number":
        return float(tree[1])
    if head == "letter":
        return values[tree[1]]
    if head == "pi":
        return math.pi
    parts = [evaluate(part, values) for part in tree[1:]]
    if head == "sqrt":
        return np.sqrt(parts[0])
    if head == "negative":
        return -parts[0]
    left, right = parts
    return _OPERATIONS[head](left, right)


_OPERATIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: a**b,
}


def text_of(tree: Expression) -> str:
    """The expression as plain text: `2x+5`, `7sqrt(2)`, `x/2+12`, `42pi`."""
    head, parts = tree[0], tree[1:]
    if head in ("number", "letter"):
        return str(parts[0])
    if head == "pi":
        return "pi"
    if head == "sqrt":
        return f"sqrt({text_of(parts[0])})"
    if head == "negative":
        return f"-{_bracketed(parts[0], '+-')}"
    left, right = parts
    if head in "+-":
        return f"{text_of(left)}{head}{_bracketed(right, '+-' if head == '-' else '')}"
    if head == "*":
        joint = "*" if right[0] == "number" else ""
        return f"{_bracketed(left, '+-/')}{joint}{_bracketed(right, '+-/')}"
    if head == "/":
        return f"{_bracketed(left, '+-')}/{_bracketed(right, '+-*/')}"
    return f"{_bracketed(left, '+-*/^')}^{_bracketed(right, '+-*/^')}"


def _bracketed(tree: Expression, heads: str) -> str:
    text = text_of(tree)
    return f"({text})" if tree[0] in heads or tree[0] == "negative" else text
