"""What every adapter shares: the ADORA weights for advantages that another trainer has made.

The host's own estimator gives the advantages; here each group gets its weight from this step's
rollouts. Multiplying is left to the adapter, so that a weight of 1 leaves the host's numbers as
they are, bit for bit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from adora_mm.advantages.adora import adora_preset, is_advantageous, step_weights
from adora_mm.advantages.measures import group_metrics, weight_metrics
from adora_mm.config.algorithm import AdoraConfig

DEFAULT_THRESHOLD = 0.5
"""Reward above which a rollout counts as a success when nothing else is said. [code: VL]"""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupWeights:
    """The weights of one rollout batch."""

    weights_P: Tensor
    """After schedule and control, in the advantages' dtype."""
    metrics: dict[str, float]
    """Keys as in docs/algorithms.md, over the groups whose success is known."""


def resolve_adora(adora: AdoraConfig | str) -> AdoraConfig:
    """The settings themselves, or those of a preset's name; ValueError for an unknown name."""
    return adora_preset(adora) if isinstance(adora, str) else adora


def success_threshold(adora: AdoraConfig) -> float:
    """The settings' own threshold, else the default."""
    return DEFAULT_THRESHOLD if adora.success_threshold is None else adora.success_threshold


def group_weights(
    advantages_PG: Tensor,
    success_PG: Tensor,
    lengths_PG: Tensor,
    truncated_PG: Tensor,
    mask_PG: Tensor,
    config: AdoraConfig,
    *,
    step: int = 0,
    seed: int = 0,
) -> GroupWeights:
    """The weight of every group of the whole rollout batch, over all processes.

    advantages_PG: the host's, before weights; mask_PG: rollouts that exist and whose success is
    known. A group without any keeps weight 1 and takes no part in controls and metrics.
    """
    weights_P = torch.ones_like(advantages_PG[:, 0])
    known = mask_PG.any(dim=1).nonzero().squeeze(1)
    if known.numel() == 0:
        return GroupWeights(weights_P=weights_P, metrics={})
    base_PG, success_PG, lengths_PG, truncated_PG, mask_PG = (
        tensor[known] for tensor in (advantages_PG, success_PG, lengths_PG, truncated_PG, mask_PG)
    )
    tas_P = is_advantageous(success_PG, lengths_PG, truncated_PG, config, mask_PG)
    signal_P = base_PG.ne(0).any(dim=1)
    known_P = step_weights(tas_P, signal_P, config, step=step, seed=seed, dtype=base_PG.dtype)
    metrics = weight_metrics(tas_P, known_P, base_PG)
    metrics |= group_metrics(success_PG.bool() & mask_PG, lengths_PG, mask_PG)
    return GroupWeights(weights_P=weights_P.index_copy(0, known, known_P), metrics=metrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the rows of a flat batch stand in [P, G], for groups of any size in any order."""

    group_of_row: Tensor
    """[B], groups numbered in the order of their sorted ids."""
    place_of_row: Tensor
    """[B], position inside the group."""
    mask_PG: Tensor
    """True where a row stands."""

    def grouped(self, values_B: Tensor) -> Tensor:
        """[B] -> [P, G], zero where no row stands."""
        padded_PG = torch.zeros(self.mask_PG.shape, dtype=values_B.dtype, device=values_B.device)
        padded_PG[self.group_of_row, self.place_of_row] = values_B
        return padded_PG


def layout_of(group_ids: np.ndarray, device: torch.device) -> Layout:
    """The layout of rows that carry their group's id; ids of one type that can be sorted."""
    _, group_of_row, sizes = np.unique(group_ids, return_inverse=True, return_counts=True)
    order = np.argsort(group_of_row, kind="stable")
    place_of_row = np.empty_like(order)
    place_of_row[order] = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    places = torch.arange(int(sizes.max()), device=device)
    return Layout(
        group_of_row=torch.from_numpy(group_of_row).to(device),
        place_of_row=torch.from_numpy(place_of_row).to(device),
        mask_PG=places < torch.from_numpy(sizes).to(device)[:, None],
    )
