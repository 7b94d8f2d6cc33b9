"""Advantages of a rollout batch: base estimator, ADORA weight per group, optional whitening."""

from __future__ import annotations

from adora_mm.advantages.adora import adora_preset, adora_weights, is_advantageous
from adora_mm.advantages.compute import AdvantageResult, compute_advantages
from adora_mm.advantages.estimators import ESTIMATORS
from adora_mm.advantages.filtering import (
    groups_with_signal,
    needs_more,
    sampling_metrics,
)
from adora_mm.advantages.movement import record_moves

__all__ = [
    "ESTIMATORS",
    "AdvantageResult",
    "adora_preset",
    "adora_weights",
    "compute_advantages",
    "groups_with_signal",
    "is_advantageous",
    "needs_more",
    "record_moves",
    "sampling_metrics",
]
