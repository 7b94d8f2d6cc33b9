"""Numbers as people read them."""

from __future__ import annotations

import math
from datetime import datetime

NOTHING = "\u2013"
"""Stands where a value is unknown."""


def format_value(value: float | None) -> str:
    """At most three significant digits and a short exponent; a dash for None."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}".replace("e-0", "e-")


def percent(fraction: float | None, digits: int = 1) -> str:
    """`0.314` as `31.4 %`, on one line; a dash for None."""
    if fraction is None or not math.isfinite(fraction):
        return NOTHING
    return f"{100 * fraction:.{digits}f}\u00a0%"


def signed(value: float) -> str:
    """Two decimals with the sign, a real minus included."""
    return f"{value:+.2f}".replace("-", "\u2212")


def counted(count: int, noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def parameters(count: int) -> str:
    """`1.83 M parameters`."""
    for size, unit in ((10**9, " B"), (10**6, " M"), (10**3, " k")):
        if count >= size:
            return f"{count / size:.3g}{unit} parameters"
    return counted(count, "parameter")


def duration(minutes: float) -> str:
    """Minutes below two hours, hours above."""
    return f"{minutes:.0f} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def moment(text: str) -> str:
    """An ISO 8601 time without its seconds; any other text unchanged."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{parsed:%Y-%m-%d %H:%M} {parsed.tzname() or ''}".strip()
