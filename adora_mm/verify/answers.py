"""From the text of an answer to its members (`3, 5`, `x = 1 or x = 2`), each read by `items`."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from adora_mm.verify.containers import is_scalar
from adora_mm.verify.derivations import follows
from adora_mm.verify.items import CLOSING, OPENING, Item, parse_item, set_builder
from adora_mm.verify.limits import (
    CACHED_CHARS,
    MAX_ANSWER_CHARS,
    MAX_ITEMS,
    AnswerError,
    LimitError,
)
from adora_mm.verify.normalize import fold_words, normalize
from adora_mm.verify.phrases import split_parameter, strip_phrases
from adora_mm.verify.piecewise import read_cases
from adora_mm.verify.plusminus import expand_pm
from adora_mm.verify.ranges import excluded_points, reals_without
from adora_mm.verify.scalars import is_infinite
from adora_mm.verify.statements import statement
from adora_mm.verify.syntax import REALS, Node, walk
from adora_mm.verify.tokens import Token, tokenize

_OPEN_COMMANDS = frozenset({"begin", "langle", "lfloor", "lceil"})
_CLOSE_COMMANDS = frozenset({"end", "rangle", "rfloor", "rceil"})
_JOINERS = frozenset({"and", "or"})
_SHAPED = frozenset({"set", "matrix"})
_DATE = re.compile(r"\d{1,2}/\d{1,2}/\d{4}|\d{4}-\d{1,2}-\d{1,2}")
# "(2) Oliver is a knight": the number of a statement, which begins a member.
_NUMBERED = re.compile(r"\s?\(\d{1,2}\)\s+(?=[A-Z][a-z]+ is\b)")


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
    parameter: str = ""
    """The letter that stands for any integer, where the answer says so."""
    statement: tuple[str, ...] | None = None
    """The key of an answer that is a statement about figures, a time or a direction."""


def parse_answer(text: str) -> Answer:
    """Parse one answer; never raises for text, the reason of a failure stands in `error`."""
    return _cached(text) if len(text) <= CACHED_CHARS else _parse(text)


def _parse(text: str) -> Answer:
    if len(text) > MAX_ANSWER_CHARS:
        reason = f"the answer is longer than {MAX_ANSWER_CHARS} characters"
        return Answer(text[:80], (), error=reason)
    cleaned, parameter = split_parameter(strip_phrases(normalize(text)))
    if not cleaned:
        return Answer("", (), error="the answer is empty")
    try:
        read, key = _read(cleaned), statement(cleaned)
        return replace(read, parameter=parameter, statement=key) if parameter or key else read
    except LimitError as error:
        return Answer(cleaned, (), error=str(error))
    except AnswerError as error:
        item = Item(None, (), None, fold_words(cleaned), error=str(error))
        key = statement(cleaned)
        unread = "" if key or _is_prose(cleaned) else str(error)
        return Answer(cleaned, (item,), error=unread, statement=key)


_cached = lru_cache(maxsize=8192)(_parse)


def _read(cleaned: str) -> Answer:
    if _DATE.fullmatch(cleaned):
        return Answer(cleaned, (Item(None, (), None, fold_words(cleaned)),))
    statements = _NUMBERED.sub("\n", cleaned)
    tokens = tokenize(statements)[:-1]
    cases = read_cases(tokens, fold_words(cleaned)) if "cases" in cleaned else None
    if cases is not None:
        return Answer(cleaned, tuple(cases), error=next((i.error for i in cases if i.error), ""))
    if any(token.text in ("or", "\\}") for token in tokens[1:-1]):
        tokens = _alternative_conditions(tokens)
    segments, joiner = split_members(tokens)
    if len(segments) > MAX_ITEMS:
        raise LimitError(f"the answer has more than {MAX_ITEMS} members")
    items = _expanded([parse_item(segment, cleaned, len(segments)) for segment in segments])
    if not items:
        raise AnswerError("nothing but separators")
    failed = next((i.error for i in items if i.error), "") if not _is_prose(cleaned) else ""
    whole = fold_words(cleaned)
    if len(items) > 1 and joiner == "or" and all(_is_interval(item) for item in items):
        parts = tuple(item.chain[-1] for item in items)
        return Answer(cleaned, (Item(items[0].label, (Node("union", parts),), None, whole),))
    if len(items) > 1 and joiner != "or" and follows(items):
        return Answer(cleaned, (items[-1],))
    if joiner == "to":
        raise AnswerError("steps joined by arrows that do not lead to one value")
    joined = _both_bounds(items) if joiner == "and" else None
    joined = joined or (_without_points(items) if len(items) > 1 and joiner != "or" else None)
    if joined is not None:
        return Answer(cleaned, (Item(items[0].label, (joined,), None, whole),))
    textual = all(not item.chain and item.relation is None for item in items)
    if len(items) > 1 and textual and any(len(item.words.split()) > 3 for item in items):
        items = [Item(None, (), None, whole)]  # a sentence with a comma is one text
    return Answer(cleaned, tuple(items), alternatives=joiner == "or", error=failed)


def _alternative_conditions(tokens: list[Token]) -> list[Token]:
    r"""The conditions of `\{x \mid x < 1 \text{ or } x > 5\}`; other tokens as they are."""
    condition = set_builder(tokens)
    texts = [token.text for token in condition]
    return condition if "or" in texts and "\\}" not in texts else tokens


def _is_interval(item: Item) -> bool:
    return bool(item.chain) and item.chain[-1].op == "interval"


def _both_bounds(items: list[Item]) -> Node | None:
    """`x > 4 and x < 10` as (4, 10); None unless one bound is from below and one from above."""
    if len(items) != 2 or items[0].label != items[1].label or not all(map(_is_interval, items)):
        return None
    rays = [item.chain[-1] for item in items]
    high = [ray for ray in rays if is_infinite(ray.args[0]) < 0]
    low = [ray for ray in rays if is_infinite(ray.args[1]) > 0]
    if len(low) != 1 or len(high) != 1 or low[0] is high[0]:
        return None
    marks = str(low[0].value)[0] + str(high[0].value)[1]
    return Node("interval", (low[0].args[0], high[0].args[1]), marks)


def _without_points(items: list[Item]) -> Node | None:
    r"""`x \ne 2, x \ne 3`, `x \ne 2, 3` and `x \in \mathbb{R}, x \ne 2` as one set of reals."""
    if items[0].label is None or any(not item.chain for item in items):
        return None
    points: list[Node] = []
    for item in items:
        value = item.chain[-1]
        removed = excluded_points(value)
        bare = item.label is None and item.unit is None and bool(points) and is_scalar(value)
        if not bare and (item.label != items[0].label or not (removed or value == REALS)):
            return None
        points.extend((value,) if bare else removed)
    return reals_without(tuple(points)) if points else None


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


def split_members(tokens: list[Token]) -> tuple[list[list[Token]], str]:
    """Top-level members, split at commas, semicolons, new lines, "and" and "or"."""
    if tokens and tokens[0].text == "]":
        return [tokens], ""  # ]1, 2[
    segments: list[list[Token]] = [[]]
    depth, joiner = 0, ""
    for token in tokens:
        kind, text, _ = token
        if kind == "op":
            depth = max(0, depth + (text in OPENING) - (text in CLOSING))
        elif kind == "cmd":
            depth += (text in _OPEN_COMMANDS) - (text in _CLOSE_COMMANDS)
        word = text.lower().strip(" ,;") if kind in ("word", "text") else ""
        if depth <= 0 and kind == "text" and text.startswith(",") and word not in _JOINERS:
            segments.append([])  # \text{, decreasing on} begins a member
        if depth <= 0 and (word in _JOINERS or (kind == "op" and text in ",;\n")):
            joiner = word if word == "or" or not joiner else joiner
            segments.append([])
        elif depth <= 0 and kind == "op" and text == "&":
            segments.append([])
        elif depth <= 0 and kind == "cmd" and text == "to":
            joiner = "to"
            segments.append([])
        else:
            segments[-1].append(token)
    return [segment for segment in segments if segment], joiner


def _expanded(items: list[Item]) -> list[Item]:
    """Items with a plus-minus sign become one item per sign."""
    found: list[Item] = []
    for item in items:
        last = item.chain[-1] if item.chain else None
        if last is None or last.op in _SHAPED or not any(n.op == "pm" for n in walk(last)):
            found.append(item)
        else:
            found.extend(replace(item, chain=(v,), other=None) for v in expand_pm(last))
    return found
