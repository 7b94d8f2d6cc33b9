"""What is trained and how fast: frozen parts, AdamW's parameter groups, learning rates."""

from __future__ import annotations

import math
from typing import Any

import torch

from adora_mm.config import PolicyConfig, TrainConfig


def freeze_parts(model: Any, policy: PolicyConfig) -> None:
    """Take the parts that the recipe freezes out of training.

    Raises ValueError for a model without a vision tower, where either choice would be a mistake.
    """
    for key, frozen in (
        ("freeze_vision", policy.freeze_vision),
        ("freeze_language", policy.freeze_language),
    ):
        if frozen and not _has_tower(model):
            raise ValueError(f"policy.{key}=true, but this model has no vision tower")
    if policy.freeze_vision:
        model.model.visual.requires_grad_(False)
    if policy.freeze_language:
        for name, parameter in model.named_parameters():
            if not _in_tower(name):
                parameter.requires_grad_(False)


def build_optimizer(model: Any, train: TrainConfig) -> torch.optim.Optimizer:
    """AdamW; weight decay on matrices only, as transformers' and OpenRLHF's trainers do.

    `rate_share` of a group is its learning rate over `train.learning_rate`.
    """
    vision_rate = train.vision_learning_rate
    if vision_rate is not None and not _has_tower(model):
        raise ValueError("train.vision_learning_rate is set, but this model has no vision tower")
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        share = 1.0
        if vision_rate is not None and _in_tower(name):
            share = vision_rate / train.learning_rate
        decay = train.weight_decay if parameter.dim() > 1 else 0.0
        empty: dict[str, Any] = {"params": [], "weight_decay": decay, "rate_share": share}
        groups.setdefault((share, float(parameter.dim() > 1)), empty)["params"].append(parameter)
    return torch.optim.AdamW(
        [groups[key] for key in sorted(groups, reverse=True)],
        lr=train.learning_rate,
        betas=train.betas,
        eps=train.adam_eps,
    )


def set_learning_rates(
    optimizer: Any, train: TrainConfig, update: int, *, total_updates: int
) -> dict[str, float]:
    """Set every group's rate for an optimizer step; the rates as metrics."""
    rate = learning_rate(train, update, total_updates=total_updates)
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_share"]
    rates = {"optim/lr": rate}
    if train.vision_learning_rate is not None:
        rates["optim/lr_vision"] = rate * train.vision_learning_rate / train.learning_rate
    return rates


def learning_rate(train: TrainConfig, update: int, *, total_updates: int) -> float:
    """Learning rate of an optimizer step (from 0): linear warm-up, then constant or cosine."""
    if update < train.warmup_steps:
        return train.learning_rate * (update + 1) / train.warmup_steps
    if train.schedule == "constant":
        return train.learning_rate
    span = max(1, total_updates - train.warmup_steps)
    progress = min(1.0, (update - train.warmup_steps) / span)
    share = 0.5 * (1 + math.cos(math.pi * progress))
    return train.learning_rate * (train.min_lr_ratio + (1 - train.min_lr_ratio) * share)


def _in_tower(name: str) -> bool:
    return name.startswith("model.visual.")


def _has_tower(model: Any) -> bool:
    return any(_in_tower(name) for name, _ in model.named_parameters())
