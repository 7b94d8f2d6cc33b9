"""One value: an expression, the unit or money sign beside it, and other readings of its letters."""

from __future__ import annotations

from dataclasses import replace

from adora_mm.verify import units
from adora_mm.verify.limits import AnswerError
from adora_mm.verify.parser import Parser
from adora_mm.verify.plusminus import expand_pm
from adora_mm.verify.ranges import interval_without
from adora_mm.verify.syntax import REALS, Node, number, walk
from adora_mm.verify.tokens import Token
from adora_mm.verify.units import Unit

_SHAPES = frozenset({"angle", "triangle"})


def read_value(tokens: list[Token]) -> tuple[Node, Unit | None]:
    """An expression and the unit after it; raises AnswerError when something else is left."""
    tokens, money = _take_currency(tokens)
    if not tokens:
        raise AnswerError("a value is missing")
    if _all_words(tokens) and not _formula_words(tokens):
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
        if node.op == "percent":  # 20% off
            node, mark = node.args[0], units.PERCENT.dimension
            unit = replace(unit, dimension=tuple(sorted(unit.dimension + mark)))
    return (node, unit) if unit is not None else _marked(node)


def _take_currency(tokens: list[Token]) -> tuple[list[Token], Unit | None]:
    """`$5` and `-$5` without the sign of the currency, and the currency."""
    at = 1 if tokens and tokens[0].text == "-" else 0
    if len(tokens) <= at or tokens[at].kind != "cmd" or tokens[at].text not in units.CURRENCIES:
        return list(tokens), None
    return tokens[:at] + tokens[at + 1 :], units.parse_unit(units.CURRENCIES[tokens[at].text])


def _compound(node: Node, rest: list[Token]) -> tuple[Node, Unit]:
    """The unit after a value, and a second value with a smaller unit: `5 ft 6 in`."""
    if rest[0].text == "(" and rest[-1].text == ")":
        rest = rest[1:-1]  # 7 (units)
    for at in range(1, len(rest) - 1):
        if rest[at].kind == "num" and (rest[at - 1].kind in ("word", "text") or at == 1):
            unit, (more, smaller) = _unit_of(rest[:at]), read_value(rest[at:])
            factor = units.compatible(unit, smaller) if smaller is not None else None
            if factor is None or factor >= 1:
                raise AnswerError("two values with units of different kinds")
            part = Node("mul", (more, number(factor)))
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


def _all_words(tokens: list[Token]) -> bool:
    """Nothing but words; an angle may have a number."""
    numbered = len(tokens) > 1 and tokens[-1].kind == "num" and tokens[-2].text == "angle"
    return all(_is_word(token) for token in (tokens[:-1] if numbered else tokens))


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
    removed: Node | None = None
    if parser.at_cmd("setminus"):
        parser.advance()
        removed = parser.expression()
        if len(node.args) != 2 or node.op not in ("interval", "tuple"):
            node, removed = Node("add", (node, Node("neg", (removed,)))), None
    elif node.op == "add" and node.args[0] == REALS and len(node.args) == 2:  # R - {2}
        node, removed = REALS, node.args[1].args[0] if node.args[1].op == "neg" else node
    if removed is not None:
        if removed.op != "set":
            raise AnswerError("an interval without something that is no set")
        return interval_without(node, tuple(v for arg in removed.args for v in expand_pm(arg)))
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


def letters_product(tokens: list[Token]) -> Node | None:
    """`ab`, `mn`: one short word as a product of letters."""
    if len(tokens) != 1 or tokens[0].kind != "word" or len(tokens[0].text) > 3:
        return None
    return Parser(list(tokens)).expression()


def unit_reading(tokens: list[Token]) -> tuple[Node, Unit, bool] | None:
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
