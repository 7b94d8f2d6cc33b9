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
from adora_mm.verify.parser import Parser
from adora_mm.verify.ranges import FLIPPED, between, compass, ray
from adora_mm.verify.syntax import Node, number, symbols, walk
from adora_mm.verify.tokens import END, Token
from adora_mm.verify.units import Unit
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
    ("cmd", "in"): "in",
    ("cmd", "equiv"): "=",
}
_EQUALITIES = frozenset({"=", "~", "in"})
_RISING, _FALLING = frozenset({"<", "<="}), frozenset({">", ">="})
_SHAPES = frozenset({"angle", "triangle"})
_CURRENCIES = frozenset({"usd", "euro", "yen"})
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
    error: str = ""
    """Why the formula could not be read, when it could not."""


def parse_item(tokens: list[Token], whole: str, count: int) -> Item:
    """Read one of `count` members; a formula that cannot be read becomes words with the error."""
    words = fold_words(whole if count == 1 else " ".join(token.text for token in tokens))
    if _is_set_builder(tokens):
        return parse_item(tokens[3:-1], whole, 2)
    spelled = value_in_words(words) if tokens[0].kind in ("word", "text") else None
    if spelled is not None:
        return Item(None, (spelled,), None, words)
    try:
        bearing = _bearing(tokens, words)
        if bearing is not None:
            return bearing
        if _is_named_point(tokens):
            return replace(_parse_formula(tokens[1:], words), label=tokens[0].text)
        return _parse_formula(tokens, words)
    except LimitError:
        raise
    except AnswerError as error:
        return Item(None, (), None, words, error=str(error))


def _is_set_builder(tokens: list[Token]) -> bool:
    r"""`\{x : 1 < x < 5\}`: a set given by a condition on one letter."""
    ends = tokens[0].text, tokens[-1].text
    return ends == ("\\{", "\\}") and len(tokens) > 5 and tokens[2].text in (":", "|")


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


def _bearing(tokens: list[Token], words: str) -> Item | None:
    """`N 34° W` and `315° T` as an azimuth in degrees; None for anything else."""
    if not any(token.text in _DEGREE_MARKS for token in tokens):
        return None
    azimuth = compass("".join(token.text for token in tokens))
    if azimuth is None and len(tokens) >= 3 and (tokens[-2].text, tokens[-1].text) == ("°", "T"):
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
    if signs == ["="]:
        relation = _equation(parts, "=")
        if relation is not None and (symbols(relation.args[0]) or symbols(relation.args[1])):
            # 2k+2 = 2(k+1) may also be one expression written twice; 2x = 10 may not.
            chain = Item(None, relation.args, None, words) if symbols(relation.args[1]) else None
            return Item(None, (), None, words, relation=relation, other=chain)
    return _values(None, parts, words)


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
        left, right = (_letters(part) or read_value(part)[0] for part in parts)
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
        if names[at] is not None and sign != "!=" and not symbols(nodes[1 - at]):
            return Item(names[at], (ray(sign, nodes[1 - at]),), None, words, relation=relation)
    return Item(None, (), None, words, relation=relation)


# -- values -----------------------------------------------------------------------------------
def _values(label: str | None, parts: Parts, words: str, relation: Node | None = None) -> Item:
    chain: list[Node] = []
    for part in parts[:-1]:
        if labels.label_of(part) is None:  # AB = CD = 5 names its value twice
            chain.append(read_value(part)[0])
    last, unit = read_value(parts[-1])
    if last.op == "text":
        product = _letters(parts[-1])
        reading = None if product is None else Item(label, (product,), None, words)
        text = fold_words(str(last.value))
        return Item(label, (), None, text, relation=relation, other=reading)
    item = Item(label, (*chain, last), unit, words, relation=relation)
    other = _unit_reading(parts[-1]) if len(parts) == 1 and unit is None else None
    if other is not None:
        value, letter, glued = other
        item = replace(item, other=Item(label, (value,), letter, words, glued=glued))
    return item


def read_value(tokens: list[Token]) -> tuple[Node, Unit | None]:
    """An expression and the unit after it; raises AnswerError when something else is left."""
    tokens, money = _take_currency(tokens)
    if not tokens:
        raise AnswerError("a value is missing")
    if all(_is_word(token) for token in tokens) and not _formula_words(tokens):
        return Node("text", (), " ".join(token.text for token in tokens)), None
    if tokens[0].text == "]":
        tokens[0] = Token("op", "(", False)  # ]1, 2[ is the open interval (1, 2)
    parser = Parser(tokens)
    node = parser.factor() if units.letter_second(tokens) else _union(parser)
    rest = parser.tokens[parser.index :]
    unit = money
    if rest:
        node, found = _compound(node, rest)
        unit = money or found
    return (node, unit) if unit is not None else _marked(node)


def _take_currency(tokens: list[Token]) -> tuple[list[Token], Unit | None]:
    """`$5` and `-$5` without the sign of the currency, and the currency."""
    at = 1 if tokens and tokens[0].text == "-" else 0
    if len(tokens) <= at or tokens[at].kind != "cmd" or tokens[at].text not in _CURRENCIES:
        return list(tokens), None
    return tokens[:at] + tokens[at + 1 :], units.parse_unit(tokens[at].text)


def _compound(node: Node, rest: list[Token]) -> tuple[Node, Unit]:
    """The unit after a value, and a second value with a smaller unit: `5 ft 6 in`."""
    if rest[0].text == "(" and rest[-1].text == ")":
        rest = rest[1:-1]  # 7 (units)
    for at in range(1, len(rest) - 1):
        if rest[at].kind == "num" and rest[at - 1].kind in ("word", "text"):
            unit, (more, smaller) = _unit_of(rest[:at]), read_value(rest[at:])
            if smaller is None or smaller.dimension != unit.dimension:
                raise AnswerError("two values with units of different kinds")
            part = Node("mul", (more, number(smaller.factor / unit.factor)))
            return Node("add", (node, part)), unit
    return node, _unit_of(rest)


def _unit_of(rest: list[Token]) -> Unit:
    text = units.spell(rest)
    unit = units.parse_unit(text) if text else None
    if unit is None:
        shown = " ".join(token.text for token in rest)[:60]
        raise AnswerError(f"cannot read {shown!r} after the value")
    return unit


def _marked(node: Node) -> tuple[Node, Unit | None]:
    """A degree mark or a percent sign on the whole value, as its unit."""
    inner = node.args[0] if node.op == "neg" else node
    mark = {"deg": units.DEGREE, "percent": units.PERCENT}.get(inner.op)
    if mark is not None:
        value = inner.args[0]
        return (value if inner is node else Node("neg", (value,))), mark
    if node.op in ("add", "mul", "div") and any(n.op == "deg" for n in walk(node)):
        return node, units.DEGREE
    return node, None


def _is_word(token: Token) -> bool:
    return token.kind in ("text", "word") or (token.kind == "cmd" and token.text in _SHAPES)


def _formula_words(tokens: list[Token]) -> bool:
    """Whether words are short enough to be letters of a formula: `AB`, `x y`, `pi`."""
    return len(tokens) <= 3 and all(
        len(t.text) == 1 or t.text in ("pi", "theta", "alpha", "beta", "infinity", "inf")
        for t in tokens
    )


def _union(parser: Parser) -> Node:
    """Unions, intersections and ratios of expressions: the loosest operators of a value."""
    node = parser.expression()
    if parser.at_op(":"):
        parts = [node]
        while parser.at_op(":"):
            parser.advance()
            parts.append(parser.expression())
        return Node("ratio", tuple(parts))
    while parser.at_cmd("cup", "cap") or (parser.token.kind == "word" and parser.token.text == "U"):
        name = "inter" if parser.advance().text == "cap" else "union"
        other = parser.expression()
        node = Node(name, (*node.args, other) if node.op == name else (node, other))
    return node


def _letters(tokens: list[Token]) -> Node | None:
    """`ab`, `mn`: one short word as a product of letters."""
    if len(tokens) != 1 or tokens[0].kind != "word" or len(tokens[0].text) > 3:
        return None
    return Parser(list(tokens)).expression()


def _unit_reading(tokens: list[Token]) -> tuple[Node, Unit, bool] | None:
    """`40m`, `4.4 m^2`: value, last letter as a unit, and whether no space stood before it."""
    at = len(tokens) - 1
    while at > 0 and tokens[at].kind != "word":
        at -= 1
    if at <= 0 or not units.is_ambiguous(tokens[at].text):
        return None
    slash = tokens[at - 1].text == "/"
    start = at - 2 if slash and at >= 3 else at
    if any(token.kind == "word" and token.text not in ("pi", "sqrt") for token in tokens[:start]):
        return None
    text = units.spell(tokens[start:])
    unit = units.parse_unit(text) if text else None
    if unit is None:
        return None
    try:
        node, other = read_value(tokens[:start])
    except AnswerError:
        return None
    return (node, unit, not tokens[start].spaced) if other is None else None
