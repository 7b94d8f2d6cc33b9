"""ADORA around an advantage estimator that sees token rewards, a mask and group ids (verl, EasyR1).

Such a host tells no verdicts, so success is the sum of a response's rewards above a threshold; it
tells no finish reasons, so a response counts as truncated when it reaches `max_response_tokens`,
and none does when that is not given; and it tells no step, so there is no schedule.
"""

from __future__ import annotations

import logging
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor

from adora_mm.config.algorithm import AdoraConfig
from adora_mm.integrations.weights import (
    group_weights,
    layout_of,
    resolve_adora,
    success_threshold,
)

Estimator = Callable[..., tuple[Tensor, Tensor]]
logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)  # verl asks for warnings only; what was applied must be seen


def log_weights(metrics: Mapping[str, float]) -> None:
    """Write one line of what was applied at this step."""
    shown = {name: value for name, value in metrics.items() if name.startswith("adora/")}
    logger.info(" ".join(f"{name}={value:.4f}" for name, value in shown.items()))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRewardSettings:
    """What a host's own config says about ADORA."""

    adora: AdoraConfig
    base: str = "grpo"
    """The host's estimator under the weights, by its name there."""
    max_response_tokens: int | None = None
    """The host's response cap; a response that reaches it counts as truncated."""


def read_settings(section: Mapping[str, Any]) -> TokenRewardSettings:
    """Settings from a mapping: `preset`, `base`, `max_response_tokens`, and `AdoraConfig`'s keys.

    Keys beside `preset` replace the preset's. Raises ValueError for an unknown key or a bad value.
    """
    given = dict(section)
    names = {name: given.pop(name) for name in ("base", "max_response_tokens") if name in given}
    if "preset" in given:
        preset = resolve_adora(str(given.pop("preset")))
        given = preset.model_dump(exclude_unset=True) | given
    try:
        return TokenRewardSettings(adora=AdoraConfig(**given), **names)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in ("adora", *first["loc"]))
        raise ValueError(f"{key}: {first['msg']} (given: {first['input']!r})") from None


def with_adora(
    estimator: Estimator,
    adora: AdoraConfig | str = "vl_reference",
    *,
    max_response_tokens: int | None = None,
    report: Callable[[dict[str, float]], None] = log_weights,
) -> Estimator:
    """The host's estimator with its advantages [B, T] times the weight of each row's group.

    The result is called with keywords as the host does: `token_level_rewards` [B, T],
    `response_mask` [B, T], `index` [B] (group ids), and whatever the estimator takes. Returns stay
    the estimator's own. Raises ValueError for a schedule, and for a call without `index`.
    """
    config = resolve_adora(adora)
    if config.from_step > 0 or config.until_step is not None:
        raise ValueError(
            "adora.from_step and adora.until_step need the training step, which an advantage "
            "estimator is not told here; leave them out"
        )

    def weighted(
        *, token_level_rewards: Tensor, response_mask: Tensor, **rest: Any
    ) -> tuple[Tensor, Tensor]:
        if rest.get("index") is None:
            raise ValueError("ADORA needs the group id of every row: pass index=uid")
        advantages_BT, returns_BT = estimator(
            token_level_rewards=token_level_rewards, response_mask=response_mask, **rest
        )
        weights_B, metrics = row_weights(
            advantages_BT,
            token_level_rewards,
            response_mask,
            rest["index"],
            config,
            max_response_tokens=max_response_tokens,
        )
        report(metrics)
        return advantages_BT * weights_B[:, None], returns_BT

    return weighted


def row_weights(
    advantages_BT: Tensor,
    rewards_BT: Tensor,
    mask_BT: Tensor,
    group_ids: np.ndarray,
    config: AdoraConfig,
    *,
    max_response_tokens: int | None = None,
) -> tuple[Tensor, dict[str, float]]:
    """The weight of every row, [B], and the metrics; groups may have any size and order.

    mask_BT: 1 where the policy wrote. The `matched_random` order is drawn from the group ids.
    """
    mask_BT = mask_BT.bool()
    lengths_B = mask_BT.sum(dim=1)
    places_T = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
    reached_B = torch.where(mask_BT, places_T, 0).amax(dim=1)
    cap = max_response_tokens if max_response_tokens is not None else mask_BT.shape[1] + 1
    mean_B = torch.where(mask_BT, advantages_BT, 0.0).sum(dim=1) / lengths_B.clamp(min=1)
    ids = np.asarray(group_ids).astype(str)
    layout = layout_of(ids, advantages_BT.device)
    result = group_weights(
        layout.grouped(mean_B),
        layout.grouped(rewards_BT.sum(dim=-1) > success_threshold(config)),
        layout.grouped(lengths_B),
        layout.grouped(reached_B >= cap),
        layout.mask_PG,
        config,
        step=zlib.crc32("\n".join(np.unique(ids)).encode()),
    )
    weights_B = result.weights_P[layout.group_of_row].to(advantages_BT.dtype)
    return weights_B, result.metrics
