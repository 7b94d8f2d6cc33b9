"""Wilson's interval against published values and its own definition."""

from __future__ import annotations

import math

import pytest

from adora_mm.metrics.intervals import wilson_interval


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values(correct: int, total: int, low: float, high: float) -> None:
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


def test_bounds_solve_the_score_equation() -> None:
    z = 1.959964
    for bound in wilson_interval(37, 120):
        spread = math.sqrt(bound * (1 - bound) / 120)
        assert abs(37 / 120 - bound) == pytest.approx(z * spread)


def test_extremes_stay_in_range() -> None:
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0


def test_nothing_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least one"):
        wilson_interval(0, 0)
