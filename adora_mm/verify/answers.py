"""From the text of an answer to its members: labels, relations, units and values.

An answer is one or more items (`3, 5`, `x = 1 or x = 2`). An item is a chain of equal values
(`x = 2 + 3 = 5`), with an optional label (`x`), an optional unit, or it is words. Where one letter
may be a unit or a variable (`40m`), the item carries both readings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from adora_mm.verify import labels, units
from adora_mm.verify.limits import (
    CACHED_CHARS,
    MAX_ANSWER_CHARS,
    MAX_ITEMS,
    MAX_PM,
    AnswerError,
    LimitError,
)
from adora_mm.verify.normalize import fold_words, normalize
from adora_mm.verify.parser import Parser
from adora_mm.verify.syntax import Node, symbols, walk
from adora_mm.verify.tokens import END, Token, tokenize
from adora_mm.verify.units import Unit
from adora_mm.verify.words import number_in_words

RELATIONS = {"=": "=", "<": "<", ">": ">"}
RELATION_COMMANDS = {
    "le": "<=",
    "ge": ">=",
    "ne": "!=",
    "approx": "~",
    "in": "in",
    "equiv": "=",
    "sim": "~",
}
_FLIP = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "=", "!=": "!=", "~": "~", "in": "in"}
_OPEN = frozenset({"(", "[", "{", "\\{"})
_CLOSE = frozenset({")", "]", "}", "\\}"})
_OPEN_COMMANDS = frozenset({"begin", "langle", "lfloor", "lceil"})
_CLOSE_COMMANDS = frozenset({"end", "rangle", "rfloor", "rceil"})
_LEAD = re.compile(
    r"^(?:(?:so|thus|therefore|hence),?\s+)?(?:the\s+)?(?:(?:final|correct)\s+)?(?:answer|result)\s*(?:is|are|=|:)\s*:?\s*",
    re.IGNORECASE,
)
_TRAIL = re.compile(r"(?<=[\w\d)}\]%°$])\s*[.;,]+\s*$")


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


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer after parsing."""

    text: str
    """Normalised text."""
    items: tuple[Item, ...]
    alternatives: bool = False
    """Joined by "or": one of them, or all solutions."""
    error: str = ""
    """Why the answer is unreadable; empty when every item was read."""


def parse_answer(text: str) -> Answer:
    """Parse one answer; never raises for text, the reason of a failure stands in `error`."""
    return _cached(text) if len(text) <= CACHED_CHARS else _parse(text)


def _parse(text: str) -> Answer:
    if len(text) > MAX_ANSWER_CHARS:
        return Answer(
            text[:80], (), error=f"the answer is longer than {MAX_ANSWER_CHARS} characters"
        )
    cleaned = _TRAIL.sub("", _LEAD.sub("", normalize(text))).strip()
    if not cleaned:
        return Answer("", (), error="the answer is empty")
    try:
        tokens = tokenize(cleaned)
        segments, joiner = split_members(tokens[:-1])
        if len(segments) > MAX_ITEMS:
            raise LimitError(f"the answer has more than {MAX_ITEMS} members")
        items = tuple(
            _expanded([parse_item(segment, cleaned, len(segments)) for segment in segments])
        )
    except LimitError as error:
        return Answer(cleaned, (), error=str(error))
    except AnswerError as error:
        words = fold_words(cleaned)
        item = Item(None, (), None, words, error=str(error))
        return Answer(cleaned, (item,), error="" if _is_prose(cleaned) else str(error))
    if (
        joiner == "or"
        and len(items) > 1
        and all(item.chain and item.chain[-1].op == "interval" for item in items)
    ):
        parts = tuple(item.chain[-1] for item in items)
        items = (Item(items[0].label, (Node("union", parts),), None, fold_words(cleaned)),)
        joiner = ""
    failed = next((item.error for item in items if item.error and not _is_prose(item.words)), "")
    if len(items) > 1 and all(not item.chain and item.relation is None for item in items):
        # A sentence with a comma is one text, unless its members are single words or letters.
        if any(len(item.words.split()) > 3 for item in items):
            items = (Item(None, (), None, fold_words(cleaned)),)
    return Answer(cleaned, items, alternatives=joiner == "or", error=failed)


_cached = lru_cache(maxsize=8192)(_parse)


def _is_prose(text: str) -> bool:
    """Whether what failed to parse is words rather than a broken formula."""
    stripped = re.sub(r"\\text\s*\{([^{}]*)\}", r"\1", text)
    if re.search(r"[\\^_={}]", stripped):
        return False
    letters = sum(char.isalpha() for char in stripped)
    return (
        letters >= 2
        and letters * 2 >= len(stripped.replace(" ", ""))
        and bool(re.search(r"[^\W\d_]{2}", stripped))
    )


# -- members ----------------------------------------------------------------------------------
def split_members(tokens: list[Token]) -> tuple[list[list[Token]], str]:
    """Top-level members, split at commas, semicolons, new lines, "and", "or"."""
    segments: list[list[Token]] = [[]]
    depth, joiner = 0, ""
    begins_reversed = bool(tokens) and tokens[0].text == "]"
    environment = 0
    for position, token in enumerate(tokens):
        kind, text, _ = token
        if kind == "op" and not begins_reversed:
            depth += (text in _OPEN) - (text in _CLOSE)
        environment += (kind == "cmd") * ((text in _OPEN_COMMANDS) - (text in _CLOSE_COMMANDS))
        cut = (kind == "op" and text in (",", ";", "\n")) or (
            kind in ("word", "text") and text.lower().strip(" ,;") in ("and", "or", "und")
        )
        if cut and depth <= 0 and not environment and not begins_reversed:
            if text.lower().strip(" ,;") == "or":
                joiner = "or"
            segments.append([])
        else:
            segments[-1].append(token)
    del position
    return [segment for segment in segments if segment], joiner


def _expanded(items: list[Item]) -> list[Item]:
    """Items with a plus-minus sign become one item per sign."""
    found: list[Item] = []
    for item in items:
        last = item.chain[-1] if item.chain else None
        if (
            last is None
            or last.op in ("set", "tuple", "matrix")
            or not any(n.op == "pm" for n in walk(last))
        ):
            found.append(item)
            continue
        found.extend(replace(item, chain=(value,), other=None) for value in expand_pm(last))
    return found


def expand_pm(node: Node) -> list[Node]:
    """The values of an expression with plus-minus signs; mp moves against pm."""
    count = sum(n.op == "pm" for n in walk(node))
    if not count:
        return [node]
    if count > MAX_PM:
        raise LimitError(f"more than {MAX_PM} plus-minus signs")
    both = any(n.op == "pm" and n.value == "mp" for n in walk(node))
    if both or count == 1:
        return [_signed(node, 1), _signed(node, -1)]
    values = [node]
    while any(n.op == "pm" for n in walk(values[0])):
        values = [_first_signed(value, sign)[0] for value in values for sign in (1, -1)]
    return values


def _signed(node: Node, sign: int) -> Node:
    args = tuple(_signed(arg, sign) for arg in node.args)
    if node.op == "pm":
        return _plus(args, sign if node.value == "pm" else -sign)
    return replace(node, args=args) if args else node


def _plus(args: tuple[Node, ...], sign: int) -> Node:
    return Node("add", (args[0], args[1] if sign > 0 else Node("neg", (args[1],))))


def _first_signed(node: Node, sign: int) -> tuple[Node, bool]:
    if node.op == "pm":
        return _plus(node.args, sign), True
    args, done = [], False
    for arg in node.args:
        new, hit = (arg, False) if done else _first_signed(arg, sign)
        args.append(new)
        done = done or hit
    return (replace(node, args=tuple(args)) if done else node), done


# -- one item ---------------------------------------------------------------------------------
def parse_item(tokens: list[Token], whole: str, count: int) -> Item:
    """Read one member; a formula that cannot be read becomes words with the error."""
    words = fold_words(whole if count == 1 else " ".join(token.text for token in tokens))
    compass = _bearing(tokens, words)
    if compass is not None:
        return compass
    spelled = number_in_words(words) if tokens[0].kind in ("word", "text") else None
    if spelled is not None:
        return Item(None, (spelled,), None, words)
    try:
        if _is_named_point(tokens):
            return replace(_parse_formula(tokens[1:], words), label=tokens[0].text)
        return _parse_formula(tokens, words)
    except LimitError:
        raise
    except AnswerError as error:
        return Item(None, (), None, words, error=str(error))


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


def _parse_formula(tokens: list[Token], words: str) -> Item:
    parts, operators = _split_relations(tokens)
    label = None
    if len(parts) == 1:
        label, parts[0] = labels.colon_label(parts[0])
    elif all(op in ("=", "in", "~") for op in operators):
        if operators[0] != "~" and (label := labels.label_of(parts[0])) is not None:
            whole = (
                _equation(parts, operators)
                if operators == ["="] and labels.is_plain(label)
                else None
            )
            parts = parts[1:]
            return _values(label, parts, words, whole)
        if (
            operators[-1] == "="
            and (label := labels.label_of(parts[-1])) is not None
            and not labels.label_of(parts[0])
        ):
            if labels.is_plain(label) and len(parts) == 2:
                whole = _equation(parts, operators)
                return _values(label, parts[:-1], words, whole)
    elif len(parts) > 1:
        return _inequality(parts, operators, words)
    if not parts[0] and len(parts) > 1:
        parts, operators = parts[1:], operators[1:]
    if len(parts) == 2 and operators == ["="]:
        relation = _equation(parts, operators)
        if relation is not None and (symbols(relation.args[0]) or symbols(relation.args[1])):
            # 2k+2 = 2(k+1) may also be one expression written twice; 2x = 10 may not.
            chain = Item(None, relation.args, None, words) if symbols(relation.args[1]) else None
            return Item(None, (), None, words, relation=relation, other=chain)
    return _values(label, parts, words, None)


def _split_relations(tokens: list[Token]) -> tuple[list[list[Token]], list[str]]:
    parts: list[list[Token]] = [[]]
    operators: list[str] = []
    depth = 0
    for token in tokens:
        if token.kind == "op":
            depth += (token.text in _OPEN) - (token.text in _CLOSE)
        operator = (
            RELATIONS.get(token.text)
            if token.kind == "op"
            else RELATION_COMMANDS.get(token.text)
            if token.kind == "cmd"
            else None
        )
        if operator is None or depth > 0:
            parts[-1].append(token)
        elif parts[-1] or not operators:
            operators.append(operator)
            parts.append([])
    if operators and not parts[-1]:
        raise AnswerError("nothing stands after a relation sign")
    if operators and not parts[0] and operators[0] not in ("=", "~"):
        raise AnswerError("nothing stands before a relation sign")
    return parts, operators


def _equation(parts: list[list[Token]], operators: list[str]) -> Node | None:
    """Both sides of an equation as trees; None when one side is not an expression."""
    try:
        left, right = (read_value(part)[0] for part in parts)
    except LimitError:
        raise
    except AnswerError:
        return None
    return Node("rel", (left, right), operators[0])


def _values(label: str | None, parts: list[list[Token]], words: str, relation: Node | None) -> Item:
    chain: list[Node] = []
    unit: Unit | None = None
    for position, part in enumerate(parts):
        if position + 1 < len(parts) and len(parts) > 1 and labels.label_of(part) is not None:
            continue  # AB = CD = 5 names its value twice
        node, unit = read_value(part)
        chain.append(node)
    item = Item(label, tuple(chain), unit, words, relation=relation)
    if chain[-1].op == "text":
        product = _letters(parts[-1])
        reading = None if product is None else Item(label, (product,), None, words)
        return replace(item, chain=(), words=fold_words(str(chain[-1].value)), other=reading)
    if len(parts) == 1 and unit is None and (other := _unit_reading(parts[0])) is not None:
        item = replace(item, other=Item(label, (other[0],), other[1], words, glued=other[2]))
    return item


def read_value(tokens: list[Token]) -> tuple[Node, Unit | None]:
    """An expression and the unit after it; raises AnswerError when something else is left."""
    tokens = list(tokens)
    prefix: Unit | None = None
    negative = (
        len(tokens) > 1 and tokens[0].text == "-" and tokens[1].text in ("usd", "euro", "yen")
    )
    at = int(negative)
    if (
        tokens
        and at < len(tokens)
        and tokens[at].kind == "cmd"
        and tokens[at].text in ("usd", "euro", "yen")
    ):
        prefix = units.parse_unit(tokens[at].text)
        del tokens[at]
    if not tokens:
        raise AnswerError("a value is missing")
    if all(token.kind in ("text", "word") for token in tokens) and not _formula_words(tokens):
        return Node("text", (), " ".join(token.text for token in tokens)), None
    parser = Parser(tokens)
    if tokens[0].text == "]":
        tokens[0] = Token("op", "(", False)
    node = union(parser)
    rest = parser.tokens[parser.index :]
    unit = prefix
    if rest:
        text = units.spell(rest)
        unit = units.parse_unit(text) if text else None
        if unit is None:
            raise AnswerError(
                f"cannot read {' '.join(token.text for token in rest)[:60]!r} after the value"
            )
        if prefix is not None and unit.dimension != prefix.dimension:
            unit = prefix
    if unit is None and node.op == "deg":
        return node.args[0], units.DEGREE
    if node.op == "neg" and node.args[0].op in ("deg", "percent") and unit is None:
        mark = units.DEGREE if node.args[0].op == "deg" else units.PERCENT
        return Node("neg", node.args[0].args), mark
    if unit is None and node.op == "percent":
        return node.args[0], units.PERCENT
    if unit is None and any(n.op == "deg" for n in walk(node)) and node.op in ("add", "mul", "div"):
        return node, units.DEGREE
    return node, unit


def _formula_words(tokens: list[Token]) -> bool:
    """Whether words are short enough to be letters of a formula: `AB`, `x y`, `pi`."""
    return len(tokens) <= 3 and all(
        len(t.text) == 1 or t.text in ("pi", "theta", "alpha", "beta", "infinity", "inf")
        for t in tokens
    )


def union(parser: Parser) -> Node:
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
    """`40m`, `4.4 m^2`: value and unit with the last letter as a unit, and whether it is glued on."""
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


# -- inequalities and bearings ----------------------------------------------------------------
def _inequality(parts: list[list[Token]], operators: list[str], words: str) -> Item:
    """`x > 5` and `-2 <= x < 7` are intervals of x; anything else stays a relation."""
    nodes = [read_value(part)[0] for part in parts]
    names = [labels.label_of(part) for part in parts]
    if len(nodes) == 2 and operators[0] != "!=":
        at = next((k for k in (0, 1) if names[k] is not None and not symbols(nodes[1 - k])), None)
        if at is not None:
            sign = operators[0] if at == 0 else _FLIP[operators[0]]
            return Item(
                names[at],
                (_ray(sign, nodes[1 - at]),),
                None,
                words,
                relation=Node("rel", tuple(nodes), operators[0]),
            )
    if len(nodes) == 3 and names[1] is not None and not symbols(nodes[0]) | symbols(nodes[2]):
        if all(op in ("<", "<=") for op in operators):
            return _between(names[1], nodes[0], operators[0], nodes[2], operators[1], words)
        if all(op in (">", ">=") for op in operators):
            return _between(
                names[1], nodes[2], _FLIP[operators[1]], nodes[0], _FLIP[operators[0]], words
            )
    if len(nodes) != 2:
        raise AnswerError("a chain of relations that is neither an interval nor an equation")
    return Item(None, (), None, words, relation=Node("rel", tuple(nodes), operators[0]))


def _ray(sign: str, bound: Node) -> Node:
    infinity = Node("const", (), "inf")
    if sign in (">", ">="):
        return Node("interval", (bound, infinity), "[)" if sign == ">=" else "()")
    return Node("interval", (Node("neg", (infinity,)), bound), "(]" if sign == "<=" else "()")


def _between(label: str | None, low: Node, first: str, high: Node, second: str, words: str) -> Item:
    marks = ("[" if first == "<=" else "(") + ("]" if second == "<=" else ")")
    return Item(label, (Node("interval", (low, high), marks),), None, words)


_COMPASS = re.compile(r"^([ns])\s*(\d+(?:\.\d+)?)\s*°?\s*([ew])$")


def _bearing(tokens: list[Token], words: str) -> Item | None:
    """`N 34° W` and `315° T` as an azimuth in degrees; None for anything else."""
    text = "".join(token.text for token in tokens)
    match = _COMPASS.match(text.lower())
    if match and any(token.text == "°" for token in tokens):
        angle = tokenize(match.group(2))[0]
        node = Parser([angle, END]).expression()
        return Item(
            None,
            (azimuth(match.group(1), node, match.group(3)),),
            units.DEGREE,
            words,
            bearing=True,
        )
    if len(tokens) >= 3 and tokens[-1].text == "T" and tokens[-2].text == "°":
        node, _ = read_value(tokens[:-1])
        return Item(None, (node,), units.DEGREE, words, bearing=True)
    return None


def azimuth(start: str, angle: Node, side: str) -> Node:
    """Degrees clockwise from north of a compass bearing."""
    turn = {"ne": (0, 1), "nw": (360, -1), "se": (180, -1), "sw": (180, 1)}[start + side]
    base = Node("num", (), _int(turn[0]))
    return Node("add", (base, angle if turn[1] > 0 else Node("neg", (angle,))))


def _int(value: int):  # type: ignore[no-untyped-def]
    from fractions import Fraction

    return Fraction(value)
