"""Confidence intervals of success rates."""

from __future__ import annotations

import math


def wilson_interval(correct: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson score interval of a success rate, 95 % by default (Wilson, JASA 22, 1927).

    Good for small counts and for rates near 0 and 1, where the normal interval leaves [0, 1].
    Items are taken as independent. Raises ValueError when `total` is 0.
    """
    if total <= 0:
        raise ValueError("an interval needs at least one item")
    rate = correct / total
    spread = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    centre = rate + z * z / (2 * total)
    scale = 1 + z * z / total
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)
