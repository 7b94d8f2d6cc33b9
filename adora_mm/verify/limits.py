"""The bounds that make the in-process path safe: checked before any number or tree is built.

Every limit is a plain constant, so that the cost of a check can be read off this page. An answer
beyond a limit is `unparsed` (or goes to a worker when only its value is too large), never a hang.
"""

from __future__ import annotations

import threading

MAX_ANSWER_CHARS = 1_500
"""Characters of one answer after extraction."""
MAX_RESPONSE_CHARS = 4_000_000
"""Characters of one response; a longer one is refused unread."""
MAX_BOXES = 256
"""Boxes looked at in one response; the scan stops there and the answer is ambiguous."""
MAX_BOX_CHARS = 20_000
"""Characters searched for the brace that closes a box; beyond, the box counts as not closed."""
MAX_TOKENS = 600
"""Tokens of one answer."""
MAX_DEPTH = 40
"""Nesting of brackets, fractions, roots and function arguments."""
MAX_NODES = 800
"""Nodes of one syntax tree."""
MAX_DIGITS = 400
"""Digits of one literal."""
MAX_BITS = 12_000
"""Bits of any exact integer that is computed (about 3,600 decimal digits)."""
MAX_FACTORIAL = 1_000
"""Largest argument of an exact factorial."""
MAX_TERMS = 120
"""Terms of one expanded polynomial."""
MAX_EXPAND = 40
"""Largest exponent of an expanded sum."""
MAX_ITEMS = 64
"""Members of one list, set, tuple or matrix."""
MAX_WORK = 150_000
"""Work units of one check in process: 10 for a numeric node, 1 or more for a product of terms."""
CACHED_CHARS = 160
"""Only texts up to this length are remembered by the caches, which bounds their memory."""
MAX_PM = 4
"""Independent plus-minus signs expanded into a set."""


_work = threading.local()


def start_work(limit: int = MAX_WORK) -> None:
    """Begin the work account of one check on this thread."""
    _work.left = limit


def spend(units: int) -> None:
    """Charge work to this thread's account; raises LimitError when it is used up."""
    _work.left = left = getattr(_work, "left", MAX_WORK) - units
    if left < 0:
        raise LimitError("the comparison needs too much work")


class AnswerError(ValueError):
    """An answer that cannot be read; the message is one line for people."""


class LimitError(AnswerError):
    """An answer beyond one of the limits of this page."""


class NotExactError(Exception):
    """A value outside the exact forms; the numeric tier has to decide."""


class UndecidedError(Exception):
    """A comparison that the bounded path cannot decide; a worker may."""
