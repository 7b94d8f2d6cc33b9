"""Equality of two values of any kind: tuples and intervals in order, sets in any order, ratios up
to scale, matrices entry by entry, scalars by `scalars`."""

from __future__ import annotations

from fractions import Fraction

from adora_mm.verify import scalars
from adora_mm.verify.plusminus import expand_pm
from adora_mm.verify.profiles import Profile
from adora_mm.verify.syntax import CONTAINERS, Node
from adora_mm.verify.vectors import components

_SEQUENCES = frozenset({"tuple", "list", "interval"})


def is_scalar(node: Node) -> bool:
    """Whether a tree is one number or expression."""
    return node.op not in CONTAINERS and node.op != "text"


def equal_nodes(gold: Node, other: Node, profile: Profile) -> bool:
    """Values of any kind; tuples and intervals in order, sets in any order, ratios up to scale."""
    if gold == other:
        return True
    if gold.op == "text" or other.op == "text":
        return gold.value == other.value and gold.op == other.op
    if is_scalar(gold) and is_scalar(other):
        return scalars.equal(_no_mark(gold), _no_mark(other), profile)
    if is_scalar(gold) != is_scalar(other):
        vectors = _unit_vectors(gold, other)
        if vectors is not None:
            return in_order(*vectors, profile)
    if "ratio" in (gold.op, other.op):
        return _ratios(gold, other, profile)
    if "matrix" in (gold.op, other.op):
        return _matrices(gold, other, profile)
    if gold.op in ("union", "inter") or other.op in ("union", "inter"):
        return _unions(gold, other, profile)
    for single, scalar in ((gold, other), (other, gold)):
        if single.op == "set" and len(single.args) == 1 and is_scalar(scalar):
            return equal_nodes(
                *((single.args[0], scalar) if single is gold else (scalar, single.args[0])), profile
            )
    if gold.op == "set" and other.op == "set":
        return _sets(gold, other, profile)
    if gold.op == "interval" and other.op == "interval":
        return _marks(gold) == _marks(other) and in_order(gold.args, other.args, profile)
    if gold.op in _SEQUENCES and other.op in _SEQUENCES:
        pairs = {gold.op, other.op}
        if (
            "interval" in pairs
            and len(gold.args) == 2
            and ("list" in pairs or _marks(gold) != _marks(other))
        ):
            return False
        return in_order(gold.args, other.args, profile)
    return False


def _unit_vectors(gold: Node, other: Node) -> tuple[tuple[Node, ...], tuple[Node, ...]] | None:
    """Both as components when one is a tuple or column and the other a sum like 2i + 3j."""
    listed, plain = (other, gold) if is_scalar(gold) else (gold, other)
    parts = listed.args if listed.op in _SEQUENCES else _column(listed)
    if not parts or (listed.op == "interval" and listed.value != "()"):
        return None
    found = components(plain, len(parts))
    if found is None:
        return None
    return (found, parts) if plain is gold else (parts, found)


def _column(matrix: Node) -> tuple[Node, ...]:
    """The entries of a matrix with one column or one row; nothing for others."""
    if matrix.op != "matrix" or min(len(matrix.args), len(matrix.args[0].args)) > 1:
        return ()
    return tuple(entry for row in matrix.args for entry in row.args)


def _no_mark(node: Node) -> Node:
    return node.args[0] if node.op == "deg" else node


def _marks(node: Node) -> str:
    """The ends of an interval; an infinite end is open however it is written."""
    if node.op != "interval":
        return "()" if node.op == "tuple" else "[]"
    marks = str(node.value)
    low = "(" if scalars.is_infinite(node.args[0]) else marks[0]
    return low + (")" if scalars.is_infinite(node.args[1]) else marks[1])


def in_order(left: tuple[Node, ...], right: tuple[Node, ...], profile: Profile) -> bool:
    return len(left) == len(right) and all(
        equal_nodes(a, b, profile) for a, b in zip(left, right, strict=True)
    )


def _sets(gold: Node, other: Node, profile: Profile) -> bool:
    sides = [[value for arg in node.args for value in expand_pm(arg)] for node in (gold, other)]
    left, right = (_distinct(side, profile) for side in sides)
    return len(left) == len(right) and all(
        any(equal_nodes(a, b, profile) for b in right) for a in left
    )


def _distinct(nodes: list[Node], profile: Profile) -> list[Node]:
    found: list[Node] = []
    for node in nodes:
        if not any(equal_nodes(node, seen, profile) for seen in found):
            found.append(node)
    return found


def _unions(gold: Node, other: Node, profile: Profile) -> bool:
    if gold.op != other.op:
        return False
    return (
        len(gold.args) == len(other.args)
        and all(any(equal_nodes(a, b, profile) for b in other.args) for a in gold.args)
        and all(any(equal_nodes(a, b, profile) for a in gold.args) for b in other.args)
    )


def _ratios(gold: Node, other: Node, profile: Profile) -> bool:
    if gold.op != other.op:
        if not profile.ratio_as_fraction:
            return False
        ratio, plain = (gold, other) if gold.op == "ratio" else (other, gold)
        if len(ratio.args) != 2 or not is_scalar(plain):
            return False
        return scalars.equal(Node("div", ratio.args), plain, profile)
    if len(gold.args) != len(other.args):
        return False
    if _may_be_time(gold) and (_looks_like_time(gold) or _looks_like_time(other)):
        return in_order(gold.args, other.args, profile)
    for a, b in zip(gold.args[1:], other.args[1:], strict=True):
        crossed = Node("mul", (gold.args[0], b)), Node("mul", (other.args[0], a))
        if not scalars.equal(*crossed, profile):
            return False
    return _zeros(gold) == _zeros(other)


def _zeros(node: Node) -> tuple[bool, ...]:
    return tuple(arg.op == "num" and arg.value == 0 for arg in node.args)


def _may_be_time(node: Node) -> bool:
    """`8:5` is none: minutes have two digits."""
    minutes = node.args[-1].value
    return not isinstance(minutes, Fraction) or minutes >= 10


def _looks_like_time(node: Node) -> bool:
    """4:30 is a time of day, because a ratio would be written 3:20 in lowest terms."""
    values = [arg.value for arg in node.args if arg.op == "num" and not arg.decimals]
    if len(values) != 2 or len(node.args) != 2:
        return False
    first, second = (int(value) for value in values if isinstance(value, Fraction))
    return first <= 24 and 10 <= second < 60 and Fraction(first, second).denominator != second


def _matrices(gold: Node, other: Node, profile: Profile) -> bool:
    if gold.op == other.op:
        return len(gold.args) == len(other.args) and all(
            in_order(a.args, b.args, profile) for a, b in zip(gold.args, other.args, strict=True)
        )
    matrix, plain = (gold, other) if gold.op == "matrix" else (other, gold)
    if plain.op == "func" and plain.value == "binom":
        plain = Node("tuple", plain.args)  # a column vector typed as a binomial
    if (
        not profile.vector_as_tuple
        or plain.op not in ("tuple", "interval")
        or (plain.op == "interval" and plain.value != "()")
    ):
        return False
    pair = (_column(matrix), plain.args)
    return in_order(*(pair if gold.op == "matrix" else pair[::-1]), profile)
