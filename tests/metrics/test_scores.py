"""Scores and intervals against numbers worked out by hand and against naive loops."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from adora_mm.metrics import scores
from adora_mm.metrics.intervals import wilson_interval
from adora_mm.metrics.scores import (
    average_at_k,
    compare,
    majority_at_k,
    mcnemar,
    pass_at_k,
    score,
    worst_case,
)


def own(samples: list[list[bool | None]]) -> list[str]:
    """Every problem a cluster of its own."""
    return [f"p{i}" for i in range(len(samples))]


def test_one_sample_each_has_wilsons_interval() -> None:
    samples = [[True]] * 3 + [[False]] * 7
    found = score(samples, own(samples))
    assert (found.correct, found.n, found.accuracy, found.interval) == (3, 10, 0.3, "wilson")
    assert (found.low, found.high) == wilson_interval(3, 10)


def test_samples_without_answer_leave_every_count() -> None:
    samples: list[list[bool | None]] = [[True], [None], [False], [None]]
    found = score(samples, own(samples))
    assert (found.correct, found.n, found.accuracy) == (1, 2, 0.5)


def test_nothing_scored_has_no_accuracy() -> None:
    found = score([[None], [None]], ["a", "b"])
    assert (found.n, found.accuracy, found.low, found.interval) == (0, None, None, "none")


def test_related_items_widen_the_interval() -> None:
    """Ten copies of each answer hold no more than one: the interval must not shrink."""
    rng = random.Random(0)
    truths = [rng.random() < 0.4 for _ in range(50)]
    copied = [[truth] * 10 for truth in truths]
    found = score(copied, own(copied))
    assert found.interval == "clustered bootstrap"
    low, high = wilson_interval(sum(truths), 50)
    assert found.low == pytest.approx(low, abs=0.02)
    assert found.high == pytest.approx(high, abs=0.02)
    narrow = wilson_interval(10 * sum(truths), 500)
    assert found.high - found.low > 2 * (narrow[1] - narrow[0])


def test_clusters_over_problems_count_like_samples() -> None:
    samples = [[True], [True], [False], [False], [True], [False]]
    as_rows = score(samples, ["a", "a", "b", "b", "c", "c"])
    as_samples = score([[True, True], [False, False], [True, False]], ["a", "b", "c"])
    assert as_rows == as_samples


def test_the_interval_covers_the_truth_nineteen_times_in_twenty() -> None:
    rng = random.Random(1)
    covered = 0
    for _ in range(60):
        rates = [rng.betavariate(1, 1) for _ in range(60)]
        samples = [[rng.random() < rate for _ in range(4)] for rate in rates]
        found = score(samples, own(samples))
        assert found.low is not None
        assert found.high is not None
        covered += found.low <= 0.5 <= found.high
    assert covered >= 52


@pytest.mark.parametrize("right", [True, False])
def test_all_right_and_all_wrong_keep_a_width(right: bool) -> None:
    found = score([[right, right]] * 10, own([[right]] * 10))
    assert (found.low, found.high) == wilson_interval(10 if right else 0, 10)


def test_the_same_input_gives_the_same_interval() -> None:
    samples = [[i % 3 == 0, i % 2 == 0] for i in range(40)]
    assert score(samples, own(samples)) == score(samples, own(samples))


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_pass_at_k_is_the_mean_over_all_draws(k: int) -> None:
    samples = [[True, False, False, True, False], [False] * 5, [True] * 5]
    naive = [
        sum(any(draw) for draw in itertools.combinations(row, k)) / math.comb(5, k)
        for row in samples
    ]
    assert pass_at_k(samples, k) == pytest.approx(sum(naive) / 3)


def test_pass_at_k_needs_k_answers() -> None:
    assert pass_at_k([[True, None]], 2) is None
    assert pass_at_k([[True, None], [False, False]], 2) == 0


def test_average_at_k_takes_the_first_samples() -> None:
    samples = [[True, False, False, False], [True, True, False, False]]
    assert average_at_k(samples, 1) == 1
    assert average_at_k(samples, 2) == 0.75
    assert average_at_k(samples, 4) == 0.375
    assert average_at_k([[None]], 1) is None


def test_majority_votes_by_class() -> None:
    samples = [[False, True, True], [False, False, True], [False, True, False]]
    votes = [[0, 1, 1], [0, 0, 1], [0, 1, 2]]
    assert majority_at_k(samples, votes, 3) == pytest.approx(1 / 3)
    assert majority_at_k(samples, votes, 1) == 0


def test_unread_answers_do_not_vote() -> None:
    assert majority_at_k([[False, False, True]], [[None, None, 0]], 3) == 1
    assert majority_at_k([[False, False]], [[None, None]], 2) == 0
    assert majority_at_k([[None, None]], [[None, None]], 2) is None


def test_worst_case_wants_every_variant() -> None:
    samples = [[True], [True], [True], [False], [True], [None]]
    assert worst_case(samples, ["a", "a", "b", "b", "c", "c"]) == 0.5
    assert worst_case([[None]], ["a"]) is None


def test_worst_case_is_taken_sample_by_sample() -> None:
    samples = [[True, False], [True, True]]
    assert worst_case(samples, ["a", "a"]) == 0.5


@pytest.mark.parametrize(
    ("lost", "won", "p"), [(0, 0, 1.0), (0, 5, 0.0625), (1, 9, 0.021484375), (4, 4, 1.0)]
)
def test_mcnemar_by_hand(lost: int, won: int, p: float) -> None:
    assert mcnemar(lost, won) == pytest.approx(p)


def test_two_runs_are_compared_problem_by_problem() -> None:
    first = {f"p{i}": float(i < 40) for i in range(100)}
    second = {f"p{i}": float(i < 50) for i in range(100)}
    found = compare(first, second, {name: name for name in first})
    assert (found.problems, found.only_first, found.only_second) == (100, 0, 10)
    assert found.difference == pytest.approx(0.1)
    assert 0.03 < found.low < 0.1 < found.high < 0.17
    assert found.p_mcnemar == pytest.approx(2 / 2**10)


def test_only_shared_problems_are_compared() -> None:
    found = compare({"a": 1.0, "b": 0.0}, {"b": 1.0, "c": 0.0}, {"a": "a", "b": "b", "c": "c"})
    assert (found.problems, found.only_second) == (1, 1)
    with pytest.raises(ValueError, match="no answered problem in common"):
        compare({"a": 1.0}, {"b": 1.0}, {"a": "a", "b": "b"})


def test_mean_scores_have_no_mcnemar() -> None:
    found = compare({"a": 0.5, "b": 1.0}, {"a": 1.0, "b": 1.0}, {"a": "a", "b": "b"})
    assert found.p_mcnemar is None
    assert found.only_first is None


def test_related_problems_count_once_in_the_comparison() -> None:
    """All of the gain lies in one cluster: the interval must reach zero."""
    first = {f"p{i}": 0.0 for i in range(60)}
    second = {f"p{i}": float(i < 20) for i in range(60)}
    apart = compare(first, second, {name: name for name in first})
    tied = compare(first, second, {name: "x" if second[name] else name for name in first})
    assert apart.low > 0.2
    assert tied.low == 0


def test_many_clusters_fit_into_memory_in_lots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "RESAMPLES", 100)
    samples = [[i % 2 == 0, True] for i in range(60_000)]
    found = score(samples, own(samples))
    assert found.accuracy == 0.75
    assert found.low is not None
    assert 0.74 < found.low < 0.75
