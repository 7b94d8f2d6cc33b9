"""Base estimators: rewards of a prompt's group in, one advantage per rollout out.

Each function takes `rewards_PG` (zero where `mask_PG` is False), `mask_PG` (bool, True for a real
rollout) and the config, and returns advantages of the same shape; entries outside the mask are
arbitrary and removed by the caller. Groups may be ragged. n is the number of rollouts in a group.

Degenerate groups: where all rewards of a group are equal, a baseline estimator gives exactly zero
(not the rounding error of the mean divided by eps), and so does a group of one rollout, which has
nothing to be compared with. `reinforce_pp` is the exception: its baseline is the whole batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from adora_mm.config.algorithm import AdvantageConfig

Estimator = Callable[[Tensor, Tensor, AdvantageConfig], Tensor]


def group_counts(mask_PG: Tensor) -> Tensor:
    """Rollouts per group as an int64 column, shape [P, 1]."""
    return mask_PG.sum(dim=1, keepdim=True)


def centre(rewards_PG: Tensor, mask_PG: Tensor) -> Tensor:
    """Reward minus the group's mean; exactly zero where a group's rewards are all equal."""
    mean_P1 = rewards_PG.sum(dim=1, keepdim=True) / group_counts(mask_PG)
    high_P1 = rewards_PG.masked_fill(~mask_PG, -math.inf).amax(dim=1, keepdim=True)
    low_P1 = rewards_PG.masked_fill(~mask_PG, math.inf).amin(dim=1, keepdim=True)
    varies_PG = mask_PG & (high_P1 > low_P1)
    return torch.where(varies_PG, rewards_PG - mean_P1, 0.0)


def grpo(rewards_PG: Tensor, mask_PG: Tensor, config: AdvantageConfig) -> Tensor:
    """(r - mean) / (std + eps) inside the group, std with n - 1 (GRPO, arXiv 2402.03300)."""
    centred_PG = centre(rewards_PG, mask_PG)
    degrees_P1 = (group_counts(mask_PG) - 1).clamp(min=1)
    std_P1 = (centred_PG.square().sum(dim=1, keepdim=True) / degrees_P1).sqrt()
    return centred_PG / (std_P1 + config.eps)


def dr_grpo(rewards_PG: Tensor, mask_PG: Tensor, config: AdvantageConfig) -> Tensor:
    """r - mean inside the group, without the division by std (Dr.GRPO, arXiv 2503.20783).

    The paper pairs it with a constant length divisor: `loss.aggregation=constant_length`.
    """
    return centre(rewards_PG, mask_PG)


def rloo(rewards_PG: Tensor, mask_PG: Tensor, config: AdvantageConfig) -> Tensor:
    """r minus the mean of the group's *other* rollouts (RLOO, arXiv 2402.14740).

    Equal to n / (n - 1) times the centred reward.
    """
    count_P1 = group_counts(mask_PG)
    return centre(rewards_PG, mask_PG) * count_P1 / (count_P1 - 1).clamp(min=1)


def reinforce_pp(rewards_PG: Tensor, mask_PG: Tensor, config: AdvantageConfig) -> Tensor:
    """The reward itself; the whitening after it is the baseline (REINFORCE++, arXiv 2501.03262).

    Sequence-level form: whitening weighs every rollout once, not once per token.
    """
    return rewards_PG


def reinforce_pp_baseline(rewards_PG: Tensor, mask_PG: Tensor, config: AdvantageConfig) -> Tensor:
    """r - mean in the group, to be whitened over the batch (REINFORCE++-baseline, same paper)."""
    return centre(rewards_PG, mask_PG)


def max_at_k(rewards_PG: Tensor, mask_PG: Tensor, config: AdvantageConfig) -> Tensor:
    """Marginal contribution to the best of k rollouts, k = `max_k` (PKPO, arXiv 2505.15201).

    For rollout i: n times the mean, over all k-subsets of the group, of (max with i - max without
    i) for the subsets that contain i, and 0 for the others. The mean over i of this times
    grad log p_i estimates the gradient of E[max of k] without bias; with 0/1 rewards that is
    pass@k. Never negative. With rewards in ascending order r_1 <= ... <= r_n it has the closed form
    n / C(n, k) * sum_{j < i} C(j - 1, k - 2) (r_i - r_j).

    Raises ValueError for a group with fewer than k rollouts.
    """
    k, group_size = config.max_k, rewards_PG.shape[1]
    count_P1 = group_counts(mask_PG)
    if bool((count_P1 < k).any()):
        raise ValueError(
            f"max_at_k with max_k={k} met a group of {int(count_P1.min())} rollouts; lower max_k "
            "or sample more rollouts per prompt"
        )
    padded_PG = rewards_PG.double().masked_fill(~mask_PG, math.inf)
    sorted_PG, order_PG = padded_PG.sort(dim=1)
    # Counting from the group's lowest reward keeps equal rewards at exactly zero.
    sorted_PG = torch.where(sorted_PG.isinf(), 0.0, sorted_PG - sorted_PG[:, :1])
    pairs_G = _comb_column(group_size, k - 2, device=rewards_PG.device)
    below_PG = (pairs_G.cumsum(0) - pairs_G) * sorted_PG
    below_PG = below_PG - ((pairs_G * sorted_PG).cumsum(1) - pairs_G * sorted_PG)
    scale_P1 = count_P1 / _comb_column(group_size + 1, k, device=rewards_PG.device)[count_P1]
    unsorted_PG = torch.empty_like(below_PG).scatter_(1, order_PG, below_PG * scale_P1)
    return unsorted_PG.clamp(min=0.0).to(rewards_PG.dtype)


def _comb_column(length: int, k: int, *, device: torch.device) -> Tensor:
    """C(0, k) ... C(length - 1, k) as float64."""
    return torch.tensor(
        [math.comb(n, k) for n in range(length)], dtype=torch.float64, device=device
    )


ESTIMATORS: dict[str, Estimator] = {
    "grpo": grpo,
    "dr_grpo": dr_grpo,
    "rloo": rloo,
    "reinforce_pp": reinforce_pp,
    "reinforce_pp_baseline": reinforce_pp_baseline,
    "max_at_k": max_at_k,
}
