"""One member of an answer: its label, relation, chain of values and unit.

An item is a chain of equal values (`x = 2 + 3 = 5`), with an optional label (`x`) and an optional
unit, or an equation or inequality, or words. Where one letter may be a unit or a variable (`40m`),
or an equation may be an expression written twice, the item carries both readings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from adora_mm.verify import labels, units
from adora_mm.verify.limits import AnswerError, LimitError
from adora_mm.verify.normalize import fold_words
from adora_mm.verify.plusminus import expand_pm
from adora_mm.verify.ranges import FLIPPED, between, compass, ray, reals_without
from adora_mm.verify.syntax import Node, func, symbols, walk
from adora_mm.verify.tokens import END, Token
from adora_mm.verify.units import Unit
from adora_mm.verify.values import letters_product, read_value, unit_reading
from adora_mm.verify.words import value_in_words

_RELATIONS = {
    ("op", "="): "=",
    ("op", "<"): "<",
    ("op", ">"): ">",
    ("cmd", "le"): "<=",
    ("cmd", "ge"): ">=",
    ("cmd", "ne"): "!=",
    ("cmd", "approx"): "~",
    ("cmd", "sim"): "~",
    ("cmd", "cong"): "~",
    ("cmd", "in"): "in",
    ("cmd", "equiv"): "=",
}
_EQUALITIES = frozenset({"=", "~", "in"})
_RISING, _FALLING = frozenset({"<", "<="}), frozenset({">", ">="})
_UNEVALUATED = frozenset({"int", "sum", "prod", "lim"})
_TRUE_NORTH = frozenset({("°", "T"), ("°", "true"), ("°", "True")})
_DEGREE_MARKS = frozenset({"°", "deg", "degree", "degrees"})
OPENING = frozenset({"(", "[", "{", "\\{"})
CLOSING = frozenset({")", "]", "}", "\\}"})
Parts = list[list[Token]]


@dataclass(frozen=True, slots=True)
class Item:
    """One member of an answer."""

    label: str | None
    """Canonical name on the left of `=`, `:` or `in`; None without one."""
    chain: tuple[Node, ...]
    """Values that the answer says are equal, in order; empty for words."""
    unit: Unit | None
    words: str
    """Folded text, for answers that are words and as a last resort."""
    relation: Node | None = None
    """The whole equation or inequality when it is more than a label and a value."""
    other: Item | None = None
    """A second reading, when the last letter may be a unit or a variable."""
    glued: bool = False
    """This is the reading of a letter without a space before it as a unit: `40m`."""
    bearing: bool = False
    """The value is an azimuth in degrees: `315° T`, `N 34° W`."""
    pieces: tuple[tuple[Item, Item], ...] = ()
    """Values and conditions of a piecewise function."""
    family: bool = False
    """The values run over the integers, with the letter of `families.INTEGER`."""
    error: str = ""
    """Why the formula could not be read, when it could not."""


def parse_item(tokens: list[Token], whole: str, count: int) -> Item:
    """Read one of `count` members; a formula that cannot be read becomes words with the error."""
    words = fold_words(whole if count == 1 else " ".join(token.text for token in tokens))
    condition = set_builder(tokens)
    if condition:
        return parse_item(condition, whole, 2)
    spelled = value_in_words(words) if tokens[0].kind in ("word", "text") else None
    if spelled is not None:
        return Item(None, (spelled,), None, words)
    try:
        bearing = _bearing(tokens, words)
        if bearing is not None:
            return bearing
        if _is_named_point(tokens):
            point = replace(_parse_formula(tokens[1:], words), label=tokens[0].text)
            return replace(point, other=_counted(point, words))
        return _parse_formula(tokens, words)
    except LimitError:
        raise
    except AnswerError as error:
        return Item(None, (), None, words, error=str(error))


def set_builder(tokens: list[Token]) -> list[Token]:
    r"""The condition of `\{x : 1 < x < 5\}` or `\{x \in \mathbb{R} \mid x > 2\}`; else nothing."""
    ends = tokens[0].text, tokens[-1].text
    if ends != ("\\{", "\\}") or len(tokens) < 6:
        return []
    at = 2 if tokens[2].text != "in" else next((k for k in (4, 5, 6, 7) if _bar(tokens, k)), 2)
    return tokens[at + 1 : -1] if _bar(tokens, at) else []


def _bar(tokens: list[Token], at: int) -> bool:
    return at < len(tokens) - 2 and tokens[at].text in (":", "|")


def _is_named_point(tokens: list[Token]) -> bool:
    """`P(2, 3)`: a capital letter directly before a bracket with several members."""
    name, opening = tokens[0], tokens[1] if len(tokens) > 1 else END
    if name.kind != "word" or len(name.text) != 1 or not name.text.isupper() or opening.text != "(":
        return False
    texts = [token.text for token in tokens]
    return (
        texts[-1] == ")"
        and texts.count("(") == texts.count(")") == 1
        and "," in texts
        and not opening.spaced
    )


def _counted(point: Item, words: str) -> Item | None:
    """`C(4, 2)` may also be a number of combinations, P(4, 2) of permutations."""
    args = point.chain[-1].args if point.chain and point.label in ("C", "P") else ()
    if len(args) != 2 or any(arg.op != "num" or arg.decimals for arg in args):
        return None
    ways = func("binom", *args)
    if point.label == "P":
        ways = Node("mul", (ways, Node("fact", (args[1],))))
    return Item(None, (ways,), None, words)


def _bearing(tokens: list[Token], words: str) -> Item | None:
    """`N 34° W` and `315° T` as an azimuth in degrees; None for anything else."""
    texts = [token.text for token in tokens]
    bare = len(texts) == 3 and texts[0] in ("N", "S") and texts[2] in ("E", "W")  # N30E
    if not bare and _DEGREE_MARKS.isdisjoint(texts):
        return None
    azimuth = compass("".join(token.text for token in tokens))
    if azimuth is None and len(tokens) >= 3 and (tokens[-2].text, tokens[-1].text) in _TRUE_NORTH:
        azimuth, _ = read_value(tokens[:-1])
    if azimuth is None:
        return None
    return Item(None, (azimuth,), units.DEGREE, words, bearing=True)


# -- relations --------------------------------------------------------------------------------
def _parse_formula(tokens: list[Token], words: str) -> Item:
    parts, signs = _split_relations(tokens)
    if len(parts) == 1:
        label, rest = labels.colon_label(parts[0])
        introduced = labels.leading_label(rest)
        if introduced is not None:
            label, rest = introduced
        return _values(label, [rest], words)
    if not _EQUALITIES.issuperset(signs):
        return _inequality(parts, signs, words)
    labelled = _labelled(parts, signs, words)
    if labelled is not None:
        return labelled
    if not parts[0]:
        return _values(None, parts[1:], words)  # `= 5`
    if any(token.text in _UNEVALUATED for part in parts for token in part):
        return _values(None, parts, words)  # an integral and its value
    if signs == ["="]:
        relation = _equation(parts, "=")
        if relation is not None and (symbols(relation.args[0]) or symbols(relation.args[1])):
            # 2k+2 = 2(k+1) may also be one expression written twice; 2x = 10 may not.
            chain = Item(None, relation.args, None, words) if symbols(relation.args[1]) else None
            if chain is None and (label := _letters_label(relation.args[0], parts[0])):
                chain = _values(label, parts[1:], words)
            return Item(None, (), None, words, relation=relation, other=chain)
    return _values(None, parts, words)


def _letters_label(node: Node, tokens: list[Token]) -> str:
    """`b + c`, `m - n`: several letters without a number, whose value the answer states."""
    parts = walk(node)
    if len(symbols(node)) < 2 or any(n.op not in ("add", "neg", "mul", "sym") for n in parts):
        return ""
    return "".join(token.text for token in tokens)


def _split_relations(tokens: list[Token]) -> tuple[Parts, list[str]]:
    """The sides of all relation signs outside brackets, and the signs."""
    parts: Parts = [[]]
    signs: list[str] = []
    depth = 0
    for token in tokens:
        if token.kind == "op":
            depth += (token.text in OPENING) - (token.text in CLOSING)
        sign = _RELATIONS.get((token.kind, token.text))
        if sign is None or depth > 0:
            parts[-1].append(token)
        elif parts[-1] or not signs:
            signs.append(sign)
            parts.append([])
    if signs and not parts[-1]:
        raise AnswerError("nothing stands after a relation sign")
    if signs and not parts[0] and signs[0] not in ("=", "~"):
        raise AnswerError("nothing stands before a relation sign")
    return parts, signs


def _labelled(parts: Parts, signs: list[str], words: str) -> Item | None:
    """`x = 5`, `x in [1, 2]`, `AB = CD = 5` and `5 = x`; None when no side is a label."""
    first = labels.label_of(parts[0]) if signs[0] != "~" else None
    if first is not None:
        plain = signs == ["="] and labels.is_plain(first)
        return _values(first, parts[1:], words, _equation(parts, "=") if plain else None)
    last = labels.label_of(parts[-1]) if signs == ["="] else None
    if last is not None and labels.is_plain(last) and parts[0]:
        return _values(last, parts[:1], words, _equation(parts, "="))
    return None


def _equation(parts: Parts, sign: str) -> Node | None:
    """Both sides of an equation as trees; None when one side is not an expression."""
    try:
        left, right = (letters_product(part) or read_value(part)[0] for part in parts)
    except LimitError:
        raise
    except AnswerError:
        return None
    return Node("rel", (left, right), sign)


def _inequality(parts: Parts, signs: list[str], words: str) -> Item:
    """`x > 5` and `-2 <= x < 7` are intervals of x; anything else stays a relation."""
    nodes = [read_value(part)[0] for part in parts]
    names = [labels.label_of(part) for part in parts]
    if len(nodes) == 3 and names[1] and not symbols(nodes[0]) | symbols(nodes[2]):
        low, _, high = nodes
        if _RISING.issuperset(signs):
            return Item(names[1], (between(low, signs[0], high, signs[1]),), None, words)
        if _FALLING.issuperset(signs):
            turned = between(high, FLIPPED[signs[1]], low, FLIPPED[signs[0]])
            return Item(names[1], (turned,), None, words)
    if len(nodes) != 2:
        raise AnswerError("a chain of relations that is neither an interval nor an equation")
    relation = Node("rel", (nodes[0], nodes[1]), signs[0])
    for at, sign in ((0, signs[0]), (1, FLIPPED[signs[0]])):
        bound = nodes[1 - at]
        if names[at] is not None and not symbols(bound):
            values = ray(sign, bound) if sign != "!=" else reals_without(tuple(expand_pm(bound)))
            return Item(names[at], (values,), None, words, relation=relation)
    return Item(None, (), None, words, relation=relation)


# -- values -----------------------------------------------------------------------------------
def _values(label: str | None, parts: Parts, words: str, relation: Node | None = None) -> Item:
    chain: list[Node] = []
    for part in parts[:-1]:
        if labels.label_of(part) is None:  # AB = CD = 5 names its value twice
            chain.append(read_value(part)[0])
    last, unit = read_value(parts[-1])
    if last.op == "text":
        product = letters_product(parts[-1])
        reading = None if product is None else Item(label, (product,), None, words)
        text = fold_words(str(last.value))
        return Item(label, (), None, text, relation=relation, other=reading)
    item = Item(label, (*chain, last), unit, words, relation=relation)
    other = unit_reading(parts[-1]) if len(parts) == 1 and unit is None else None
    if other is not None:
        value, letter, glued = other
        item = replace(item, other=Item(label, (value,), letter, words, glued=glued))
    return item
