"""Comparison of parsed answers: one member by `members`, lists and sets member by member.

Every function answers True or False and raises UndecidedError when the bounded path cannot tell;
`check` then hands the pair to a worker.
"""

from __future__ import annotations

import re

from adora_mm.verify import units
from adora_mm.verify.answers import Answer, parse_answer
from adora_mm.verify.families import with_integer
from adora_mm.verify.items import Item
from adora_mm.verify.limits import UndecidedError
from adora_mm.verify.members import Outcome, compare_items
from adora_mm.verify.plusminus import expand_pm
from adora_mm.verify.profiles import Profile
from adora_mm.verify.syntax import Node

_GROUPED = re.compile(r"\d{1,3}(?:,[1-9]\d{2})+")


def compare_answers(gold: Answer, other: Answer, profile: Profile) -> Outcome:
    """Whether `other` states the same answer as `gold`, and the rule that decided."""
    if gold.text == other.text and gold.text:
        return True, "the same text"
    left, right = list(gold.items), list(other.items)
    if gold.parameter or other.parameter:
        left, right = with_integer(left, gold.parameter), with_integer(right, other.parameter)
    if len(right) == 1 < len(left):
        right = _ungrouped(other) or right
    if len(left) == len(right) == 1:
        return compare_items(left[0], right[0], profile)
    return _compare_lists(left, right, other.alternatives and not gold.alternatives, profile)


def _ungrouped(answer: Answer) -> list[Item]:
    """`120,360` as two numbers, where the gold has several; `10,000` stays one number."""
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
