"""Metrics of a step's advantages: what ADORA did, how groups fared, how long answers were."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

SUCCESS_BINS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Edges of the histogram over mixed groups; a bin is open below and closed above."""


def weight_metrics(tas_P: Tensor, weights_P: Tensor, base_PG: Tensor) -> dict[str, float]:
    """Share of TAS and TDS groups, the applied weights, and what they leave of the update.

    `adora/effective_lr_factor` is sum |w A| / sum |A| over the batch: the factor by which the
    layer scales the advantages before whitening. Unlike the mean weight it ignores groups without
    signal. 1.0 when no group has any.
    """
    tas = tas_P.float().mean().item()
    size_P = base_PG.abs().sum(dim=1).double()
    total = size_P.sum().item()
    kept = (size_P * weights_P).sum().item()
    return {
        "adora/tas_frac": tas,
        "adora/tds_frac": 1.0 - tas,
        "adora/weight_mean": weights_P.double().mean().item(),
        "adora/weight_std": weights_P.double().std(correction=0).item(),
        "adora/effective_lr_factor": kept / total if total > 0 else 1.0,
    }


def advantage_metrics(advantages_PG: Tensor, mask_PG: Tensor) -> dict[str, float]:
    """Spread of the final advantages and the share of groups in which all of them are zero.

    `advantages_PG` is zero outside the mask.
    """
    rollouts = mask_PG.sum().item()
    mean = advantages_PG.sum(dtype=torch.float64).item() / rollouts
    spread = torch.where(mask_PG, advantages_PG - mean, 0.0).square().sum(dtype=torch.float64)
    return {
        "advantage/mean": mean,
        "advantage/std": (spread.item() / rollouts) ** 0.5,
        "advantage/min": advantages_PG.masked_fill(~mask_PG, math.inf).min().item(),
        "advantage/max": advantages_PG.masked_fill(~mask_PG, -math.inf).max().item(),
        "advantage/zero_group_frac": advantages_PG.eq(0).all(dim=1).float().mean().item(),
    }


def group_metrics(success_PG: Tensor, lengths_PG: Tensor, mask_PG: Tensor) -> dict[str, float]:
    """How groups fared, a histogram of their success rates, and lengths of right and wrong answers.

    `group/success_le_X` is the share of groups that are neither all right nor all wrong, with a
    success rate above the bin before and at most X percent; the bins add up to `group/mixed_frac`.
    """
    rate_P = success_PG.sum(dim=1).double() / mask_PG.sum(dim=1)
    none, every = rate_P.eq(0), rate_P.eq(1)
    metrics = {
        "group/none_correct_frac": none.double().mean().item(),
        "group/all_correct_frac": every.double().mean().item(),
        "group/mixed_frac": (~none & ~every).double().mean().item(),
        "group/success_rate": rate_P.mean().item(),
    }
    for low, high in pairwise(SUCCESS_BINS):
        inside = (rate_P > low) & (rate_P <= high) & ~every
        metrics[f"group/success_le_{round(100 * high)}"] = inside.double().mean().item()
    return metrics | _length_metrics(success_PG, lengths_PG, mask_PG)


def _length_metrics(success_PG: Tensor, lengths_PG: Tensor, mask_PG: Tensor) -> dict[str, float]:
    """Mean lengths in tokens; a mean over nothing is left out."""
    metrics = {}
    for name, picked_PG in {"correct": success_PG, "incorrect": mask_PG & ~success_PG}.items():
        count = picked_PG.sum().item()
        if count:
            total = torch.where(picked_PG, lengths_PG, 0).sum(dtype=torch.float64).item()
            metrics[f"length/{name}"] = total / count
    return metrics
