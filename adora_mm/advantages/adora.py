"""The ADORA layer: one weight per prompt's group, multiplied onto any base estimator's advantages.

    A~[s, i] = w[s] * A[s, i]

A group s is *temporarily advantageous* (TAS) when the criterion holds for its current rollouts,
else *temporarily disadvantageous* (TDS). Attenuation: w = 1 for TAS, lambda_att for TDS.
Amplification: w = lambda_amp for TAS, 1 for TDS. Nothing is remembered between steps.

Source: "ADORA", arXiv 2602.10019v1, and the released code at its commit of April 2025. We had the
abstract, public reviews that quote the equations, and the code, not the paper's body. Each rule
carries a tag: [abs] abstract, [rev] reviews, [code] reference code, [inferred] our reading.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from adora_mm.config.algorithm import AdoraConfig

PRESETS: dict[str, AdoraConfig] = {
    # Attenuation as released for the VLM. [code]
    "vl_reference": AdoraConfig(
        mode="attenuate",
        criterion="length",
        lambda_att=0.1,
        empty_success="tas",
        empty_failure="tds",
        truncated_failures="tds",
        success_threshold=0.5,
    ),
    # The LLM half at its last commit attenuates too, with the empty cases the other way. [code]
    "llm_reference": AdoraConfig(
        mode="attenuate",
        criterion="length",
        lambda_att=0.1,
        empty_success="tds",
        empty_failure="tas",
        truncated_failures="tas",
        success_threshold=1.01,
    ),
    # Mode, criterion and lambda [rev]; the empty cases are those of the VL code [inferred].
    "paper_vlm": AdoraConfig(
        mode="attenuate",
        criterion="length",
        lambda_att=0.1,
        empty_success="tas",
        empty_failure="tds",
        truncated_failures="tds",
    ),
    # lambda and tau [rev]; AND, and the empty cases of the LLM code [inferred].
    "paper_llm": AdoraConfig(
        mode="amplify",
        criterion="length_and_difficulty",
        lambda_amp=2.0,
        tau=0.5,
        empty_success="tds",
        empty_failure="tas",
        truncated_failures="tas",
    ),
}


def adora_preset(name: str) -> AdoraConfig:
    """Named settings of the layer: `vl_reference`, `llm_reference`, `paper_vlm`, `paper_llm`.

    Raises ValueError for another name.
    """
    if name not in PRESETS:
        raise ValueError(f"unknown ADORA preset {name!r}; choose one of {', '.join(PRESETS)}")
    return PRESETS[name]


def length_advantage(
    success_PG: Tensor,
    lengths_PG: Tensor,
    truncated_PG: Tensor,
    config: AdoraConfig,
    mask_PG: Tensor | None = None,
) -> Tensor:
    """Whether the longest success outgrows the mean failure that was not cut off, bool [P].

    LA(s): max |o| over successes > mean |o| over failures that were not truncated; strict, so that
    a tie is False. [rev, code] Where a side is empty the config's three settings decide; a group
    without success counts as `empty_success` even if all its failures were truncated. [code]
    """
    valid_PG = torch.ones_like(success_PG, dtype=torch.bool) if mask_PG is None else mask_PG
    success_PG = success_PG.bool() & valid_PG
    failure_PG = valid_PG & ~success_PG
    whole_failure_PG = failure_PG & ~truncated_PG.bool()
    lengths_PG = lengths_PG.double()

    longest_P = torch.where(success_PG, lengths_PG, 0.0).amax(dim=1)
    failures_P = whole_failure_PG.sum(dim=1)
    # max > sum / n, multiplied out: token counts are exact in float64, so a tie is a tie.
    holds_P = longest_P * failures_P > torch.where(whole_failure_PG, lengths_PG, 0.0).sum(dim=1)

    holds_P = torch.where(failures_P > 0, holds_P, config.truncated_failures == "tas")
    holds_P = torch.where(failure_PG.any(dim=1), holds_P, config.empty_failure == "tas")
    return torch.where(success_PG.any(dim=1), holds_P, config.empty_success == "tas")


def difficulty_advantage(
    success_PG: Tensor, config: AdoraConfig, mask_PG: Tensor | None = None
) -> Tensor:
    """Whether the group's success rate is at most tau, bool [P]. [rev; not in the code]"""
    valid_PG = torch.ones_like(success_PG, dtype=torch.bool) if mask_PG is None else mask_PG
    successes_P = (success_PG.bool() & valid_PG).sum(dim=1).double()
    return successes_P / valid_PG.sum(dim=1) <= config.tau


def is_advantageous(
    success_PG: Tensor,
    lengths_PG: Tensor,
    truncated_PG: Tensor,
    config: AdoraConfig,
    mask_PG: Tensor | None = None,
) -> Tensor:
    """True for TAS groups, False for TDS groups under the config's criterion, bool [P]."""
    length_P = length_advantage(success_PG, lengths_PG, truncated_PG, config, mask_PG)
    difficulty_P = difficulty_advantage(success_PG, config, mask_PG)
    return {
        "length": length_P,
        "difficulty": difficulty_P,
        "length_and_difficulty": length_P & difficulty_P,
        "length_or_difficulty": length_P | difficulty_P,
    }[config.criterion]


def rule_weights(tas_P: Tensor, config: AdoraConfig, dtype: torch.dtype) -> Tensor:
    """The mode's weight of every TAS and TDS group, [P]."""
    tas_weight, tds_weight = {
        "attenuate": (1.0, config.lambda_att),
        "amplify": (config.lambda_amp, 1.0),
    }[config.mode]
    weights = torch.tensor([tds_weight, tas_weight], dtype=dtype, device=tas_P.device)
    return weights[tas_P.long()]


def step_weights(
    tas_P: Tensor,
    signal_P: Tensor,
    config: AdoraConfig,
    *,
    step: int,
    seed: int,
    dtype: torch.dtype,
) -> Tensor:
    """The weights that are multiplied on at this step, after schedule and control, [P].

    signal_P: groups in which some advantage is not zero.
    """
    if not config.active_at(step):
        return torch.ones(tas_P.shape, dtype=dtype, device=tas_P.device)
    rule_P = rule_weights(tas_P, config, dtype)
    return apply_control(rule_P, signal_P, config, step=step, seed=seed)


def adora_weights(
    success_PG: Tensor,
    lengths_PG: Tensor,
    truncated_PG: Tensor,
    config: AdoraConfig,
    mask_PG: Tensor | None = None,
) -> Tensor:
    """The ADORA weight of every group, float32 [P]: the rule alone, without schedule and control.

    success_PG: right answers; lengths_PG: response tokens; truncated_PG: cut off at the response
    cap; mask_PG: True for real rollouts of ragged groups, all when None. With `enabled=False` every
    weight is 1. A group's weight depends on no other group, nor on the order of its rollouts.
    """
    if not config.enabled:
        return torch.ones(success_PG.shape[0], device=success_PG.device)
    tas_P = is_advantageous(success_PG, lengths_PG, truncated_PG, config, mask_PG)
    return rule_weights(tas_P, config, torch.float32)


def apply_control(
    weights_P: Tensor, signal_P: Tensor, config: AdoraConfig, *, step: int, seed: int
) -> Tensor:
    """Replace the weights by those of the control experiment, [P].

    matched_random: the same weights in an order drawn from (seed, step). scaled_lr: every group
    gets the mean weight, which is plain training with the learning rate times that mean. With
    `control_groups=signal` only the groups in `signal_P` take part; the others have no gradient
    that a weight could change. Neither control is from the paper; both are ours.
    """
    if config.control == "none":
        return weights_P
    chosen_P = torch.ones_like(signal_P) if config.control_groups == "all" else signal_P
    chosen = chosen_P.nonzero().squeeze(1)
    if chosen.numel() == 0:
        return weights_P
    picked = weights_P[chosen]
    if config.control == "matched_random":
        # Not torch's generator: on CPU it keeps 32 bits of a seed, too few for the pair.
        order = np.random.default_rng([seed, step]).permutation(picked.numel())
        picked = picked[torch.from_numpy(order).to(picked.device)]
    else:
        picked = picked.mean().expand_as(picked)
    return weights_P.index_copy(0, chosen, picked)
