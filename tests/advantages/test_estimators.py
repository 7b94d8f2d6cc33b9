"""Base estimators against loops in plain Python, and their degenerate groups."""

from __future__ import annotations

import itertools
import math
import statistics

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adora_mm.advantages import ESTIMATORS
from adora_mm.config.algorithm import AdvantageConfig

QUICK = settings(deadline=None, max_examples=50)

EPS = 1e-6
MAX_K = 3


def naive_grpo(rewards: list[float]) -> list[float]:
    mean = statistics.fmean(rewards)
    spread = statistics.stdev(rewards) if len(rewards) > 1 else 0.0
    return [(r - mean) / (spread + EPS) for r in rewards]


def naive_dr_grpo(rewards: list[float]) -> list[float]:
    return [r - statistics.fmean(rewards) for r in rewards]


def naive_rloo(rewards: list[float]) -> list[float]:
    others = [rewards[:i] + rewards[i + 1 :] for i in range(len(rewards))]
    return [
        r - statistics.fmean(rest) if rest else 0.0 for r, rest in zip(rewards, others, strict=True)
    ]


def naive_max_at_k(rewards: list[float]) -> list[float]:
    """Enumerates every subset of k rollouts: max with i less max without i, averaged, times n."""
    n = len(rewards)
    gains = [0.0] * n
    for subset in itertools.combinations(range(n), MAX_K):
        for i in subset:
            rest = max(rewards[j] for j in subset if j != i)
            gains[i] += max(rewards[i] - rest, 0.0)
    return [n * gain / math.comb(n, MAX_K) for gain in gains]


NAIVE = {
    "grpo": naive_grpo,
    "dr_grpo": naive_dr_grpo,
    "rloo": naive_rloo,
    "reinforce_pp": lambda rewards: rewards,
    "reinforce_pp_baseline": naive_dr_grpo,
    "max_at_k": naive_max_at_k,
}

REWARDS = st.sampled_from([0.0, 0.1, 1.0, -0.5, 0.7])


@pytest.mark.parametrize("name", ESTIMATORS)
@QUICK
@given(groups=st.lists(st.lists(REWARDS, min_size=MAX_K, max_size=6), min_size=1, max_size=4))
def test_agrees_with_a_naive_loop_on_ragged_groups(name: str, groups: list[list[float]]) -> None:
    size = max(len(g) for g in groups)
    rewards = torch.tensor([g + [0.0] * (size - len(g)) for g in groups], dtype=torch.float64)
    mask = torch.tensor([[i < len(g) for i in range(size)] for g in groups])
    result = ESTIMATORS[name](rewards, mask, AdvantageConfig(eps=EPS, max_k=MAX_K))
    for row, keep, g in zip(result, mask, groups, strict=True):
        expected = [0.0] * len(g) if len(set(g)) == 1 and name == "grpo" else NAIVE[name](g)
        assert row[keep].tolist() == pytest.approx(expected, abs=1e-9)


def test_every_estimator_has_a_naive_loop_here() -> None:
    assert set(NAIVE) == set(ESTIMATORS)


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"reinforce_pp"}))
@pytest.mark.parametrize("reward", [0.1, 1.0, 1e4])
def test_equal_rewards_give_exact_zeros(name: str, reward: float) -> None:
    """0.1 is not exact in float32: the mean of seven of them need not be one of them."""
    rewards = torch.full((1, 7), reward)
    mask = torch.ones(1, 7, dtype=torch.bool)
    assert ESTIMATORS[name](rewards, mask, AdvantageConfig()).eq(0).all()


@pytest.mark.parametrize("name", sorted(set(ESTIMATORS) - {"reinforce_pp", "max_at_k"}))
def test_a_group_of_one_rollout_has_no_advantage(name: str) -> None:
    rewards = torch.tensor([[1.0, 0.0]])
    mask = torch.tensor([[True, False]])
    result = ESTIMATORS[name](rewards, mask, AdvantageConfig())
    assert result[0, 0].item() == 0.0


def test_grpo_divides_by_the_spread_with_n_minus_one() -> None:
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
    mask = torch.ones(1, 4, dtype=torch.bool)
    result = ESTIMATORS["grpo"](rewards, mask, AdvantageConfig())
    assert result[0].tolist() == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-5)


def test_max_at_k_of_binary_rewards_is_the_gain_in_pass_at_k() -> None:
    """One success in four, k = 2: it lies in half of the pairs and decides each of them."""
    rewards = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    mask = torch.ones(1, 4, dtype=torch.bool)
    result = ESTIMATORS["max_at_k"](rewards, mask, AdvantageConfig(max_k=2))
    assert result[0].tolist() == pytest.approx([4 * 0.5, 0.0, 0.0, 0.0])


def test_max_at_k_gradient_is_unbiased_for_a_policy_small_enough_to_enumerate() -> None:
    """Actions 0 and 1 are their own reward, p = sigmoid(theta): d/dtheta (1 - (1 - p)^k)."""
    p, n, k = 0.3, 4, 3
    mask = torch.ones(1, n, dtype=torch.bool)
    config = AdvantageConfig(max_k=k)
    gradient = 0.0
    for actions in itertools.product([0.0, 1.0], repeat=n):
        probability = math.prod(p if a else 1 - p for a in actions)
        rewards = torch.tensor([actions], dtype=torch.float64)
        advantages = ESTIMATORS["max_at_k"](rewards, mask, config)[0].tolist()
        score = [a - p for a in actions]
        terms = [x * s for x, s in zip(advantages, score, strict=True)]
        gradient += probability * sum(terms) / n
    assert gradient == pytest.approx(k * (1 - p) ** (k - 1) * p * (1 - p), rel=1e-9)


def test_max_at_k_refuses_groups_smaller_than_k() -> None:
    mask = torch.tensor([[True, True, False]])
    with pytest.raises(ValueError, match=r"max_k=3 met a group of 2"):
        ESTIMATORS["max_at_k"](torch.zeros(1, 3), mask, AdvantageConfig(max_k=3))
