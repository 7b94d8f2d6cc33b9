"""Dynamic sampling on accuracy, and moves between TAS and TDS."""

from __future__ import annotations

import pytest
import torch

from adora_mm.advantages import (
    groups_with_signal,
    needs_more,
    record_moves,
    sampling_metrics,
)
from adora_mm.config.algorithm import DynamicSamplingConfig


def test_only_groups_with_right_and_wrong_answers_carry_signal() -> None:
    success = torch.tensor([[1, 1, 1], [0, 0, 0], [1, 0, 0]]).bool()
    kept = groups_with_signal(success, DynamicSamplingConfig())
    assert kept.tolist() == [False, False, True]


def test_padding_is_neither_right_nor_wrong() -> None:
    success = torch.tensor([[1, 1, 0], [0, 0, 1], [1, 0, 1]]).bool()
    mask = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 1, 0]]).bool()
    kept = groups_with_signal(success, DynamicSamplingConfig(), mask)
    assert kept.tolist() == [False, False, True]


def test_bounds_are_strict_and_can_be_narrowed() -> None:
    success = torch.tensor([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0]]).bool()
    config = DynamicSamplingConfig(min_success_rate=0.25, max_success_rate=0.75)
    assert groups_with_signal(success, config).tolist() == [False, True, False]


def test_sampling_goes_on_until_enough_groups_or_the_last_attempt() -> None:
    config = DynamicSamplingConfig(max_attempts=3)
    assert needs_more(kept=3, wanted=4, attempts=1, config=config)
    assert not needs_more(kept=4, wanted=4, attempts=1, config=config)
    assert not needs_more(kept=3, wanted=4, attempts=3, config=config)


def test_nothing_to_train_on_is_an_error_and_a_shortfall_may_be() -> None:
    config = DynamicSamplingConfig(max_attempts=2)
    with pytest.raises(ValueError, match="kept 0 of 4 groups in 2"):
        needs_more(kept=0, wanted=4, attempts=2, config=config)
    strict = DynamicSamplingConfig(max_attempts=2, on_shortfall="error")
    with pytest.raises(ValueError, match="kept 3 of 4"):
        needs_more(kept=3, wanted=4, attempts=2, config=strict)


def test_sampling_metrics_count_groups() -> None:
    assert sampling_metrics(seen=20, kept=10, used=8, attempts=2) == {
        "sampling/attempts": 2.0,
        "sampling/groups_seen": 20.0,
        "sampling/groups_kept": 10.0,
        "sampling/kept_frac": 0.5,
        "sampling/unused_frac": 0.2,
    }


def test_moves_are_counted_over_problems_seen_before() -> None:
    state, metrics = record_moves({}, ["a", "b"], [True, False])
    assert metrics == {"adora/revisited_frac": 0.0}
    state, metrics = record_moves(state, ["a", "b", "c", "d"], [False, False, True, True])
    assert state == {"a": False, "b": False, "c": True, "d": True}
    assert metrics == {
        "adora/revisited_frac": 0.5,
        "adora/tas_to_tas": 0.0,
        "adora/tas_to_tds": 0.5,
        "adora/tds_to_tas": 0.0,
        "adora/tds_to_tds": 0.5,
    }


def test_recording_moves_leaves_the_old_state_alone() -> None:
    before = {"a": True}
    record_moves(before, ["a"], [False])
    assert before == {"a": True}
