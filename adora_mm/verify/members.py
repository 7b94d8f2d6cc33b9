"""Comparison of one member with another: labels, units, percentages, radians, pieces, equations.

Every function answers True or False and raises UndecidedError when the bounded path cannot tell;
`check` then hands the pair to a worker.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from adora_mm.verify import exact, labels, scalars, units
from adora_mm.verify.containers import equal_nodes, is_scalar
from adora_mm.verify.equations import same_relation
from adora_mm.verify.families import same_progression
from adora_mm.verify.items import Item
from adora_mm.verify.limits import UndecidedError
from adora_mm.verify.profiles import Profile
from adora_mm.verify.syntax import Node, number, substituted, symbol, symbols, walk
from adora_mm.verify.words import means_nothing, same_criterion, same_words

Outcome = tuple[bool, str]


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
        if left is gold.other and gold.relation is not None and not gold.chain:
            named = len(left.chain) > 1 and left.chain[0].op == "sym"  # m_{\max}
            if len(left.chain) < 2 or not (named or not _contradiction(left, profile)):
                continue  # an equation is not the value of its right side
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
    if gold.pieces or other.pieces:
        same = _same_pieces(gold, other, profile)
        return same, "the same pieces" if same else "different pieces"
    if not gold.chain or not other.chain:
        return _without_values(gold, other, profile)
    contradiction = _contradiction(other, profile)
    if contradiction:
        return False, contradiction
    return _any_member(gold, other, profile)


def _same_pieces(gold: Item, other: Item, profile: Profile) -> bool:
    """Every piece has its counterpart; one of the last pieces may say "otherwise"."""
    rest = list(other.pieces)
    missing = []
    for value, condition in gold.pieces:
        for piece in rest:
            if (
                compare_items(value, piece[0], profile)[0]
                and compare_items(condition, piece[1], profile)[0]
            ):
                rest.remove(piece)
                break
        else:
            missing.append((value, condition))
    if len(rest) != 1 or len(missing) != 1:
        return not rest and not missing
    otherwise = {rest[0][1].words, missing[0][1].words} & {"otherwise", "else"}
    return bool(otherwise) and compare_items(missing[0][0], rest[0][0], profile)[0]


def _any_member(gold: Item, other: Item, profile: Profile) -> Outcome:
    """The last member of a consistent chain, or an earlier one, states the gold's value."""
    result = _one_value(gold, other, other.chain[-1], profile)
    for member in reversed(other.chain[:-1]):
        if result[0]:
            break
        if any(n.op == "big" for n in walk(member)):
            continue  # an integral counts by the value that is stated for it
        again = _one_value(gold, other, member, profile)
        result = again if again[0] else result
    return result


def _one_value(gold: Item, other: Item, value: Node, profile: Profile) -> Outcome:
    target = gold.chain[-1]
    if gold.label and other.label and gold.label != other.label and "(" in gold.label + other.label:
        letters = [_argument(label) for label in (other.label, gold.label)]
        if all(letters):
            value = substituted(value, {symbol(letters[0]): symbol(letters[1])})
    if gold.family and other.family and same_progression(target, value):
        return True, "the same family of values"
    if is_scalar(target) and is_scalar(value):
        return _quantities(gold, other, target, value, profile)
    factor = units.compatible(gold.unit, other.unit)
    if factor is None:
        return False, "different units"
    same = equal_nodes(target, value, profile)
    return same, "the same members" if same else "the values differ"


def _argument(label: str) -> str:
    return label.partition("(")[2].rstrip(")")


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
    if same_criterion(gold.words, other.words):
        return True, "the same criterion"
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
        unit is not None and units.PERCENT.dimension[0] in unit.dimension
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
    marked = other.unit is not None and other.unit.name in ("'", '"')
    if marked and gold.unit is None and scalars.decimals_of(value):
        return False, "a mark of feet or minutes on a decimal"
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
    small = gold.unit is None and _is_proper(target)  # 0.25% is no spelling of 0.25
    if not small and scalars.equal(target, value, profile):
        return True, "equal values, with and without the percent sign"
    if not profile.percent_value:
        return False, "the values differ"
    value = Node("mul", (value, number(Fraction(100) if gold.unit else Fraction(1, 100))))
    return (
        (True, "equal values of a percentage")
        if scalars.equal(target, value, profile)
        else (False, "the values differ")
    )


def _is_proper(node: Node) -> bool:
    """A positive number below one."""
    value = scalars.exact_value(node)
    amount = exact.rational(value) if value is not None else None
    return amount is not None and 0 < amount < 1


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
