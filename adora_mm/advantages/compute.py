"""From the rewards of a rollout batch to the advantages that the loss sees.

The order is that of the reference code: baseline -> ADORA weight -> whitening. [code] The batch
must be the whole rollout batch of a step, over all ranks: whitening, controls and metrics look at
all of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from adora_mm.advantages.adora import is_advantageous, step_weights
from adora_mm.advantages.estimators import ESTIMATORS
from adora_mm.advantages.measures import advantage_metrics, group_metrics, weight_metrics
from adora_mm.config.algorithm import AdvantageConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class AdvantageResult:
    """Advantages of a rollout batch, with the weights that were applied."""

    advantages_PG: Tensor
    """Zero at padded rollouts."""
    weights_P: Tensor
    """The weights that were multiplied on, after schedule and control; 1 where ADORA is off."""
    tas_P: Tensor
    """Bool; the criterion's verdict on each group, also while ADORA is off or a control runs."""
    metrics: dict[str, float]
    """Keys as in docs/algorithms.md; a mean over an empty set is left out."""


def compute_advantages(
    rewards_PG: Tensor,
    *,
    success_PG: Tensor | None,
    lengths_PG: Tensor,
    truncated_PG: Tensor,
    mask_PG: Tensor | None = None,
    config: AdvantageConfig,
    step: int = 0,
    seed: int = 0,
) -> AdvantageResult:
    """Base advantages times ADORA weights, whitened where the estimator asks for it.

    rewards_PG: total reward; success_PG: right answers, or None to use
    `adora.success_threshold` on the rewards; lengths_PG: response tokens; truncated_PG: cut off at
    the cap; mask_PG: True for real rollouts, all when None. Values outside the mask are ignored.
    `step` drives the schedule, (`seed`, `step`) the matched_random control.
    Raises ValueError for non-finite rewards, unequal shapes and groups without a rollout.
    """
    mask_PG = torch.ones_like(rewards_PG, dtype=torch.bool) if mask_PG is None else mask_PG.bool()
    rewards_PG = _clean_rewards(rewards_PG, mask_PG)
    if success_PG is None:
        success_PG = _success_from_rewards(rewards_PG, config)
    _check_shapes(mask_PG, success_PG=success_PG, lengths_PG=lengths_PG, truncated_PG=truncated_PG)
    success_PG = success_PG.bool() & mask_PG

    base_PG = torch.where(mask_PG, ESTIMATORS[config.estimator](rewards_PG, mask_PG, config), 0.0)
    tas_P = is_advantageous(success_PG, lengths_PG, truncated_PG, config.adora, mask_PG)
    signal_P = base_PG.ne(0).any(dim=1)
    weights_P = step_weights(
        tas_P, signal_P, config.adora, step=step, seed=seed, dtype=base_PG.dtype
    )
    advantages_PG = base_PG * weights_P[:, None]
    if config.whitens:
        advantages_PG = whiten(advantages_PG, mask_PG, config.eps)

    metrics = (
        weight_metrics(tas_P, weights_P, base_PG)
        | advantage_metrics(advantages_PG, mask_PG)
        | group_metrics(success_PG, lengths_PG, mask_PG)
    )
    return AdvantageResult(
        advantages_PG=advantages_PG, weights_P=weights_P, tas_P=tas_P, metrics=metrics
    )


def whiten(advantages_PG: Tensor, mask_PG: Tensor, eps: float) -> Tensor:
    """Zero mean and unit spread (n - 1) over all rollouts of the batch; zeros if all are equal."""
    values = advantages_PG[mask_PG]
    if values.numel() < 2 or bool(values.max() == values.min()):
        return torch.zeros_like(advantages_PG)
    return torch.where(mask_PG, (advantages_PG - values.mean()) / (values.std() + eps), 0.0)


def _clean_rewards(rewards_PG: Tensor, mask_PG: Tensor) -> Tensor:
    """Rewards as floats with zeros outside the mask; refuses what no estimator can use."""
    if rewards_PG.dim() != 2 or rewards_PG.numel() == 0:
        raise ValueError(f"rewards_PG must be a non-empty [P, G], got {list(rewards_PG.shape)}")
    _check_shapes(mask_PG, rewards_PG=rewards_PG)
    if not bool(mask_PG.any(dim=1).all()):
        empty = (~mask_PG.any(dim=1)).nonzero().flatten().tolist()[:5]
        raise ValueError(f"groups {empty} have no rollout; drop them before advantages are made")
    if not rewards_PG.is_floating_point():
        rewards_PG = rewards_PG.to(torch.float32)
    rewards_PG = torch.where(mask_PG, rewards_PG, 0.0)
    if not bool(rewards_PG.isfinite().all()):
        where = (~rewards_PG.isfinite()).nonzero()[0].tolist()
        raise ValueError(f"reward of group {where[0]}, rollout {where[1]} is not finite")
    return rewards_PG


def _success_from_rewards(rewards_PG: Tensor, config: AdvantageConfig) -> Tensor:
    threshold = config.adora.success_threshold
    if threshold is None:
        raise ValueError(
            "without success_PG the rewards must say what succeeded; set "
            "advantage.adora.success_threshold"
        )
    return rewards_PG > threshold


def _check_shapes(mask_PG: Tensor, **tensors: Tensor) -> None:
    for name, tensor in tensors.items():
        if tensor.shape != mask_PG.shape:
            raise ValueError(
                f"{name} has shape {list(tensor.shape)}, the mask of real rollouts "
                f"{list(mask_PG.shape)}; all of them are [prompts, rollouts]"
            )
