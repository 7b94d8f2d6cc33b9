r"""The `cases` environment: a piecewise function, or a system of equations.

f(x) = \begin{cases} x + 1 & x < 0 \\ x - 1 & \text{if } x \ge 0 \end{cases}
\begin{cases} x + y = 3 \\ x - y = 1 \end{cases}
"""

from __future__ import annotations

from adora_mm.verify import labels
from adora_mm.verify.items import CLOSING, OPENING, Item, parse_item
from adora_mm.verify.limits import MAX_ITEMS, AnswerError, LimitError
from adora_mm.verify.tokens import Token

_BEGIN, _END = ["begin", "{", "cases", "}"], ["end", "{", "cases", "}"]
_RELATIONS = frozenset({"=", "<", ">", "le", "ge", "ne"})
_INTRODUCTIONS = frozenset({"if", "when", "for", "where", "while", "as", "provided"})
_ENDS = frozenset({",", ";", "."})


def read_cases(tokens: list[Token], words: str) -> list[Item] | None:
    """The members of an answer that is one `cases` environment; None for other answers."""
    texts = [token.text for token in tokens]
    if "cases" not in texts:
        return None
    at = texts.index("cases") - 2
    if texts[at : at + 4] != _BEGIN or texts[-4:] != _END:
        raise AnswerError("more than one cases environment, or text around it")
    label = None
    if at > 0:
        label = labels.label_of(tokens[: at - 1]) if texts[at - 1] == "=" else None
        if label is None:
            raise AnswerError("cannot read what stands before the cases")
    rows = [_cells(row) for row in _split(tokens[at + 4 : -4], "\\\\")]
    if len(rows) > MAX_ITEMS:
        raise LimitError(f"more than {MAX_ITEMS} cases")
    if not rows:
        raise AnswerError("an environment without cases")
    if all(len(row) == 1 for row in rows):
        return [parse_item(row[0], words, 2) for row in rows]
    if any(len(row) != 2 for row in rows):
        raise AnswerError("every case needs a value and a condition")
    pieces = tuple((parse_item(row[0], "", 2), parse_item(row[1], "", 2)) for row in rows)
    failed = next((item.error for piece in pieces for item in piece if item.error), "")
    return [Item(label, (), None, words, pieces=pieces, error=failed)]


def _cells(row: list[Token]) -> list[list[Token]]:
    """One equation, or a value and its condition."""
    cells = [_trimmed(cell) for cell in _split(row, "&")]
    if len(cells) == 2 and cells[1][0].text in _RELATIONS:
        cells = [cells[0] + cells[1]]  # x &= 1: the sign for aligning equations
    if len(cells) == 1 and not _is_equation(cells[0]):
        cells = [_trimmed(cell) for cell in _split(cells[0], ",")]
        if len(cells) == 1:
            cells = _before_word(cells[0])
    if len(cells) == 2 and len(cells[1]) > 1 and cells[1][0].text.lower().strip() in _INTRODUCTIONS:
        cells[1] = cells[1][1:]
    return cells


def _is_equation(cell: list[Token]) -> bool:
    texts = [token.text for token in cell]
    return "=" in texts and "," not in texts[: texts.index("=")]


def _before_word(cell: list[Token]) -> list[list[Token]]:
    """`x + 1 \\text{ if } x < 0`: the condition begins at a word."""
    for at, token in enumerate(cell):
        if at and token.text.lower().strip() in _INTRODUCTIONS | {"otherwise", "else"}:
            return [cell[:at], cell[at:]]
    return [cell]


def _trimmed(cell: list[Token]) -> list[Token]:
    while len(cell) > 1 and cell[-1].text in _ENDS:
        cell = cell[:-1]
    return cell


def _split(tokens: list[Token], sign: str) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "op":
            depth += (token.text in OPENING) - (token.text in CLOSING)
        if depth <= 0 and token.kind == "op" and token.text == sign:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]
