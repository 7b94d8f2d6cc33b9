"""The advantage estimator `adora` for verl, registered when this module is imported.

verl imports it by itself: the package names it in the entry-point group `verl.plugins`. In verl's
config:

    algorithm.adv_estimator=adora +algorithm.adora.preset=vl_reference

`algorithm.adora` takes `preset`, `base` (verl's estimator under the weights), `max_response_tokens`
and the keys of `AdoraConfig`; without it the defaults hold. Written for verl 0.9.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor
from verl.trainer.ppo.core_algos import get_adv_estimator_fn, register_adv_est

from adora_mm.integrations.token_rewards import read_settings, with_adora

PLAIN_BASES = ("rloo", "rloo_vectorized", "opo", "gpg")
SCALED_BASES = ("grpo", "grpo_vectorized", "grpo_passk")
"""These take `norm_adv_by_std_in_grpo`, which verl itself hands to its own GRPO only."""


@register_adv_est("adora")
def adora_advantage(
    token_level_rewards: Tensor,
    response_mask: Tensor,
    index: np.ndarray | None = None,
    config: Any = None,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Advantages of the base estimator times the ADORA weight of each row's group.

    Arguments and result are those of verl's estimators: [B, T], [B, T], uids [B], the section
    `algorithm`. Raises ValueError for settings that cannot work.
    """
    algorithm = {} if config is None else config
    settings = read_settings(algorithm.get("adora") or {})
    _check(settings.base, algorithm)
    if settings.base in SCALED_BASES:
        kwargs["norm_adv_by_std_in_grpo"] = algorithm.get("norm_adv_by_std_in_grpo", True)
    estimator = with_adora(
        get_adv_estimator_fn(settings.base),
        settings.adora,
        max_response_tokens=settings.max_response_tokens,
    )
    return estimator(
        token_level_rewards=token_level_rewards,
        response_mask=response_mask,
        index=index,
        config=config,
        **kwargs,
    )


def _check(base: str, algorithm: Any) -> None:
    known = (*SCALED_BASES, *PLAIN_BASES)
    if base not in known:
        raise ValueError(
            f"adora.base={base} is not an estimator that a weight per prompt can follow; choose "
            f"one of {', '.join(known)} (the others whiten the batch or need values of their own)"
        )
    if algorithm.get("use_kl_in_reward", False):
        raise ValueError(
            "ADORA reads from the rewards what succeeded, and use_kl_in_reward mixes the KL "
            "penalty into them; use actor.use_kl_loss instead"
        )
