"""Which groups to sample again.

Dynamic sampling (DAPO, arXiv 2503.14476) drops groups whose rollouts are all right or all wrong and
samples new ones in their place. Here the filter looks at *accuracy*: on the mixed reward a group
that is all wrong would pass as soon as one of its answers earned the format credit.
"""

from __future__ import annotations

from torch import Tensor

from adora_mm.advantages.estimators import group_counts
from adora_mm.config.algorithm import DynamicSamplingConfig


def groups_with_signal(
    success_PG: Tensor, config: DynamicSamplingConfig, mask_PG: Tensor | None = None
) -> Tensor:
    """True for groups whose success rate lies strictly between the config's bounds, bool [P].

    With the default bounds of 0 and 1 these are the groups with right and wrong answers.
    """
    success_PG = success_PG.bool()
    if mask_PG is None:
        rate_P = success_PG.double().mean(dim=1)
    else:
        counts_P = group_counts(mask_PG).squeeze(1).clamp(min=1)
        rate_P = (success_PG & mask_PG).sum(dim=1).double() / counts_P
    return (rate_P > config.min_success_rate) & (rate_P < config.max_success_rate)


def needs_more(*, kept: int, wanted: int, attempts: int, config: DynamicSamplingConfig) -> bool:
    """Whether to sample another rollout batch: too few groups so far, and attempts left.

    Raises ValueError when attempts are spent and there is nothing to train on, or less than wanted
    with `on_shortfall=error`.
    """
    if kept >= wanted:
        return False
    if attempts < config.max_attempts:
        return True
    if kept == 0 or config.on_shortfall == "error":
        raise ValueError(
            f"dynamic sampling kept {kept} of {wanted} groups in {attempts} rollout batches; the "
            "problems are too easy or too hard for this model: choose others, raise group_size or "
            "max_attempts, or switch dynamic sampling off"
        )
    return False


def sampling_metrics(*, seen: int, kept: int, used: int, attempts: int) -> dict[str, float]:
    """Counts of one step: groups sampled (seen), with signal (kept), trained on (used)."""
    return {
        "sampling/attempts": float(attempts),
        "sampling/groups_seen": float(seen),
        "sampling/groups_kept": float(kept),
        "sampling/kept_frac": kept / seen if seen else 0.0,
        "sampling/unused_frac": (kept - used) / kept if kept else 0.0,
    }
