"""Comparison of parsed answers: lists of members, labels, units, percentages, equations.

Every function answers True or False and raises UndecidedError when the bounded path cannot tell;
`check` then hands the pair to a worker.
"""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction

from adora_mm.verify import exact, labels, scalars, units
from adora_mm.verify.answers import Answer, parse_answer
from adora_mm.verify.containers import equal_nodes, is_scalar
from adora_mm.verify.equations import same_relation
from adora_mm.verify.items import Item
from adora_mm.verify.limits import UndecidedError
from adora_mm.verify.plusminus import expand_pm
from adora_mm.verify.profiles import Profile
from adora_mm.verify.syntax import Node, number, symbols, walk
from adora_mm.verify.words import means_nothing, same_words

_GROUPED = re.compile(r"\d{1,3}(?:,\d{3})+")
Outcome = tuple[bool, str]


def compare_answers(gold: Answer, other: Answer, profile: Profile) -> Outcome:
    """Whether `other` states the same answer as `gold`, and the rule that decided."""
    if gold.text == other.text and gold.text:
        return True, "the same text"
    left, right = list(gold.items), list(other.items)
    if len(left) == 1 < len(right):
        left = _ungrouped(gold) or left
    elif len(right) == 1 < len(left):
        right = _ungrouped(other) or right
    if len(left) == len(right) == 1:
        return compare_items(left[0], right[0], profile)
    return _compare_lists(left, right, other.alternatives and not gold.alternatives, profile)


def _ungrouped(answer: Answer) -> list[Item]:
    """`120,360` as two numbers, where the other side has several."""
    if not _GROUPED.fullmatch(answer.text):
        return []
    return [item for part in answer.text.split(",") for item in parse_answer(part).items]


def _compare_lists(left: list[Item], right: list[Item], hedged: bool, profile: Profile) -> Outcome:
    ordered = False
    if len(left) == 1:
        node = _only_value(left[0])
        if node is None or node.op not in ("set", "tuple", "list", "interval", "matrix"):
            return False, "several answers where one was expected"
        if (node.op == "interval" and node.value != "()") or (
            node.op == "matrix" and len(node.args) > 1
        ):
            return False, "several answers where one was expected"
        ordered = node.op != "set"
        if ordered and not profile.bare_list_as_tuple:
            return False, "a list without brackets for a tuple"
        left = _members(left[0], node)
    elif len(right) == 1:
        node = _only_value(right[0])
        if node is None or node.op not in ("set", "tuple", "list", "interval"):
            return False, f"one answer where {len(left)} were expected"
        if node.op == "interval" and node.value not in ("()", "[]"):
            return False, f"one answer where {len(left)} were expected"
        ordered = node.op != "set"
        right = _members(right[0], node)
    if len(left) != len(right):
        return False, f"{len(right)} members where {len(left)} were expected"
    named = [[item.label for item in side if item.label is not None] for side in (left, right)]
    one_sided = bool(len(set(named[0])) > 1) != bool(len(set(named[1])) > 1)
    if ordered or (one_sided and not all(named)):
        left, right = _by_coordinate(left), _by_coordinate(right)
        for a, b in zip(left, right, strict=True):
            same, reason = compare_items(a, b, profile)
            if not same:
                return False, f"a member differs: {reason}"
        return True, "the same members in order"
    return _matching(left, right, profile)


def _by_coordinate(items: list[Item]) -> list[Item]:
    """`y = 3, x = 2` in the order of coordinates, to be read as the point (2, 3)."""
    names = [item.label for item in items]
    for order in (["x", "y", "z"], ["a", "b", "c"]):
        if len(names) > 1 and sorted(str(name) for name in names) == order[: len(names)]:
            return sorted(items, key=lambda item: str(item.label))
    return items


def _matching(left: list[Item], right: list[Item], profile: Profile) -> Outcome:
    remaining = list(right)
    undecided: UndecidedError | None = None
    for item in left:
        for candidate in remaining:
            try:
                if compare_items(item, candidate, profile)[0]:
                    remaining.remove(candidate)
                    break
            except UndecidedError as error:
                undecided = error
        else:
            if undecided is not None:
                raise undecided
            return False, "a member has no counterpart"
    return True, "the same members in any order"


def _only_value(item: Item) -> Node | None:
    return item.chain[-1] if item.chain else None


def _members(item: Item, node: Node) -> list[Item]:
    nodes = [arg for row in node.args for arg in (row.args if row.op == "row" else (row,))]
    if node.op == "set":
        nodes = [value for part in nodes for value in expand_pm(part)]
    return [Item(None, _plain(value), _mark(value), "") for value in nodes]


def _plain(value: Node) -> tuple[Node]:
    return (value.args[0],) if value.op == "deg" else (value,)


def _mark(value: Node) -> units.Unit | None:
    return units.DEGREE if value.op == "deg" else None


def compare_items(gold: Item, other: Item, profile: Profile) -> Outcome:
    """One member against one member; a second reading of a letter as a unit is tried last."""
    result = _compare_once(gold, other, profile)
    if result[0]:
        return result
    readings = [(gold, other.other), (gold.other, other), (gold.other, other.other)]
    for left, right in readings:
        if left is None or right is None:
            continue
        if not left.chain or not right.chain or not (gold.chain or other.chain):
            continue
        if left is gold.other and left.glued and right.unit is None and not profile.glued_unit:
            continue
        again = _compare_once(left, right, profile)
        if again[0]:
            return again
    return result


def _compare_once(gold: Item, other: Item, profile: Profile) -> Outcome:
    if (
        gold.label is not None
        and other.label is not None
        and not labels.same(gold.label, other.label)
    ):
        if (
            gold.relation is None
            or other.relation is None
            or not _same_equation(gold, other, profile)
        ):
            return False, f"labelled {other.label!r} where {gold.label!r} was expected"
        return True, "the same equation"
    if not gold.chain or not other.chain:
        return _without_values(gold, other, profile)
    contradiction = _contradiction(other, profile)
    if contradiction:
        return False, contradiction
    return _any_member(gold, other, profile)


def _any_member(gold: Item, other: Item, profile: Profile) -> Outcome:
    """The last member of a consistent chain, or an earlier one, states the gold's value."""
    result = _one_value(gold, other, other.chain[-1], profile)
    for member in reversed(other.chain[:-1]):
        if result[0]:
            break
        again = _one_value(gold, other, member, profile)
        result = again if again[0] else result
    return result


def _one_value(gold: Item, other: Item, value: Node, profile: Profile) -> Outcome:
    target = gold.chain[-1]
    if gold.label and other.label and gold.label != other.label and "(" in gold.label + other.label:
        value = _rename(value, _argument(other.label), _argument(gold.label))
    if is_scalar(target) and is_scalar(value):
        return _quantities(gold, other, target, value, profile)
    factor = units.compatible(gold.unit, other.unit)
    if factor is None:
        return False, "different units"
    same = equal_nodes(target, value, profile)
    return same, "the same members" if same else "the values differ"


def _argument(label: str) -> str:
    return label.partition("(")[2].rstrip(")")


def _rename(node: Node, old: str, new: str) -> Node:
    if not old or not new or old == new:
        return node
    if node.op == "sym":
        return replace(node, value=new) if node.value == old else node
    return (
        replace(node, args=tuple(_rename(arg, old, new) for arg in node.args))
        if node.args
        else node
    )


def _contradiction(item: Item, profile: Profile) -> str:
    """`6 = 5` says two different things; every member of a chain must agree with the last."""
    last = item.chain[-1]
    loose = replace(profile, min_decimals=1, min_significant=2)
    for member in item.chain[:-1]:
        if symbols(member) and not symbols(last):
            continue  # A = pi r^2 = 25 pi: a formula before its value
        try:
            if not (equal_nodes(member, last, loose) or equal_nodes(last, member, loose)):
                return "the chain of equalities contradicts itself"
        except UndecidedError as error:
            if not any(n.op == "big" for n in walk(member)):
                raise error
    return ""


def _without_values(gold: Item, other: Item, profile: Profile) -> Outcome:
    if gold.relation is not None or other.relation is not None:
        if _same_equation(gold, other, profile):
            return True, "the same equation up to a factor"
        if gold.relation is not None and other.relation is not None:
            return False, "a different equation"
    if gold.chain or other.chain:
        same = (bool(gold.words) and gold.words == other.words) or _both_nothing(gold, other)
        return (
            same,
            "the same words" if same else "words where a value was expected, or a value for words",
        )
    same = same_words(gold.words, other.words)
    return same, "the same words" if same else "different words"


def _both_nothing(gold: Item, other: Item) -> bool:
    """The empty set, and "no solution"."""
    sides = [
        (bool(i.chain) and i.chain[-1] == Node("set")) or (not i.chain and means_nothing(i.words))
        for i in (gold, other)
    ]
    return all(sides)


def _quantities(gold: Item, other: Item, target: Node, value: Node, profile: Profile) -> Outcome:
    if gold.unit is not None and other.unit is None and not profile.missing_unit:
        return False, "the unit is missing"
    if gold.unit is None and other.unit is not None and not profile.extra_unit:
        return False, "a unit where none was expected"
    percent = [
        unit is not None and unit.dimension == units.PERCENT.dimension
        for unit in (gold.unit, other.unit)
    ]
    if percent[0] != percent[1]:
        return _percent(gold, other, target, value, profile)
    factor = units.compatible(gold.unit, other.unit)
    radians = _radians(gold, other, target, value)
    if radians is not None:
        target, value, factor = *radians, Fraction(1)
    if factor is None:
        return False, "different units"
    if factor != 1:
        if not profile.convert_units:
            return False, "a different unit"
        value = Node("mul", (value, number(factor)))
    if gold.bearing and other.bearing:
        turned = scalars.exact_value(Node("add", (target, Node("neg", (value,)))))
        same = turned is not None and _is_turn(turned)
        return same, "the same bearing" if same else "a different bearing"
    if scalars.equal(target, value, profile):
        return True, "equal values"
    return False, "the values differ"


def _is_turn(value: exact.Exact) -> bool:
    degrees = exact.rational(value)
    return degrees is not None and degrees % 360 == 0


def _percent(gold: Item, other: Item, target: Node, value: Node, profile: Profile) -> Outcome:
    if gold.unit is not None and other.unit is not None:
        return False, "different units"
    if scalars.equal(target, value, profile):
        return True, "equal values, with and without the percent sign"
    if not profile.percent_value:
        return False, "the values differ"
    hundredth = number(Fraction(1, 100))
    if gold.unit is not None:
        target = Node("mul", (target, hundredth))
    else:
        value = Node("mul", (value, hundredth))
    return (
        (True, "equal values of a percentage")
        if scalars.equal(target, value, profile)
        else (False, "the values differ")
    )


def _is_inverse(node: Node) -> bool:
    """`arctan 2`, whose value is an angle in radians although no unit says so."""
    return node.op == "func" and str(node.value).startswith("arc")


def _radians(gold: Item, other: Item, target: Node, value: Node) -> tuple[Node, Node] | None:
    """Both in degrees when exactly one side says radians."""
    names = tuple(
        unit.dimension[0][0] if unit and unit.dimension else "" for unit in (gold.unit, other.unit)
    )
    turn = Node("div", (number(180), Node("const", (), "pi")))
    if names == ("degree", "radian"):
        return target, Node("mul", (value, turn))
    if names == ("degree", "") and _is_inverse(value):
        return target, Node("mul", (value, turn))
    if names == ("", "degree") and _is_inverse(target):
        return Node("mul", (target, turn)), value
    if names == ("radian", "degree") and scalars.decimals_of(target) is not None:
        return target, Node("div", (value, turn))
    if names == ("radian", "degree"):
        return Node("mul", (target, turn)), value
    return None


def _same_equation(gold: Item, other: Item, profile: Profile) -> bool:
    if gold.relation is None or other.relation is None:
        return False
    return same_relation(gold.relation, other.relation, profile)
