"""How much a problem takes: the facts without which its answer is not determined.

At the solution, leaving out the equations of one literal either keeps the gradient of the asked
quantity in the row space of the rest, or not. The count of literals that nothing replaces is the
number of facts that a solver has to use.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.geometry.answers import Answer
from data_prep.geometry.solver import linearized

STEPS = (2, 3, 5, 7)
"""Up to so many steps is difficulty 1, 2, 3, 4; more is 5."""


def indispensable(answer: Answer) -> list[str]:
    """The literals without which the answer is not determined."""
    sources, rows, gradient = linearized(answer.figure, answer.outcome, answer.left_out)
    names = np.array(sources)
    return [
        source for source in dict.fromkeys(sources) if not _spanned(rows[names != source], gradient)
    ]


def _spanned(rows: np.ndarray, gradient: np.ndarray) -> bool:
    if not len(rows):
        return False
    residual = gradient - rows.T @ np.linalg.lstsq(rows.T, gradient, rcond=1e-9)[0]
    return bool(np.linalg.norm(residual) < 1e-5 * np.linalg.norm(gradient))


def difficulty(answer: Answer, needed: Sequence[str]) -> int:
    """1 to 5, from the facts that are needed.

    That points lie on lines is what everybody sees; that they lie on circles counts once, and so
    does an answer that is no fraction.
    """
    steps = sum(not fact.startswith("PointLiesOn") for fact in needed)
    steps += any(fact.startswith("PointLiesOnCircle") for fact in needed)
    steps += answer.exact is None or not answer.exact.is_Rational
    return 1 + sum(steps > limit for limit in STEPS)
