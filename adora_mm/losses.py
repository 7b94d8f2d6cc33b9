r"""Policy losses: `LossInputs -> LossOutput`, with every denominator global.

Notation: ratio r_t = exp(logprobs - old_logprobs), advantage A of the sequence. A surrogate gives
an objective J_t per token; the loss is

    aggregate(-mismatch_weight_t * J_t) + kl_coef * aggregate(kl_t) - entropy_coef * aggregate(H_t)

    token_mean       sum over tokens / num_tokens                        (DAPO, arXiv 2503.14476)
    sequence_mean    sum over sequences of their token mean / num_sequences    (GRPO, 2402.03300)
    constant_length  sum over tokens / (num_sequences * constant_length)    (Dr.GRPO, 2503.20783)

`num_tokens` and `num_sequences` count the whole optimizer step, all micro-batches and ranks, so
that losses, gradients and metrics of any split add up to those of the undivided batch.

Values at padding may be anything: they are replaced before any arithmetic, never multiplied by
zero. Log-ratios are clamped before exp; beyond the clamp no gradient passes. A NaN log-prob inside
the mask does reach the loss, on purpose: the engine stops the run before such a step counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from adora_mm.config.algorithm import LossConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class LossInputs:
    """One micro-batch. Log-probs are in nats and belong to the token at the same position."""

    logprobs_BT: Tensor
    """Policy that is being trained; carries the gradient."""
    old_logprobs_BT: Tensor
    """Policy before the first update on this rollout batch, from the training engine."""
    ref_logprobs_BT: Tensor | None
    rollout_logprobs_BT: Tensor | None
    """As the rollout engine sampled."""
    advantages_B: Tensor
    mask_BT: Tensor
    """Bool; response tokens that count."""
    entropy_BT: Tensor | None
    """Entropy of the policy's distribution at each token, nats; carries the gradient."""
    num_tokens: float
    """True entries of mask_BT over all micro-batches and ranks of this optimizer step."""
    num_sequences: float
    """Sequences with at least one such token, counted likewise."""
    scored_tokens: float
    """Those of `num_tokens` in groups that are scored at all: what metrics are means over. Groups
    without a gradient are left out of micro-batches, but not out of the loss's denominators."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LossOutput:
    """This micro-batch's share of the global loss."""

    loss: Tensor
    """Scalar; the sum over micro-batches and ranks is the loss of the optimizer step."""
    metrics: dict[str, Tensor]
    """Detached shares that add up to the step's mean; names ending in `_max` combine by max."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """What a policy loss sees; padding is zero in all of them."""

    log_ratio_BT: Tensor
    """logprobs - old_logprobs, clamped."""
    logprobs_BT: Tensor
    advantages_BT: Tensor
    mask_BT: Tensor


SurrogateLoss = Callable[[Surrogate, LossConfig], tuple[Tensor, Tensor]]
"""Returns the objective (to be maximised) and where clipping cut the gradient, both [B, T]."""


def ppo_clip(given: Surrogate, config: LossConfig) -> tuple[Tensor, Tensor]:
    """J = min(r A, clip(r, 1 - low, 1 + high) A) (PPO, arXiv 1707.06347; clip-higher: DAPO).

    With `dual_clip` c, J is at least c A where A < 0 (arXiv 1912.09729): a token that has become
    far more likely than under the old policy can not dominate the batch.
    """
    ratio_BT, advantages_BT = given.log_ratio_BT.exp(), given.advantages_BT
    plain_BT = ratio_BT * advantages_BT
    clipped_BT = ratio_BT.clamp(1 - config.clip_low, 1 + config.clip_high) * advantages_BT
    objective_BT = torch.minimum(plain_BT, clipped_BT)
    cut_BT = clipped_BT < plain_BT
    if config.dual_clip is not None:
        floor_BT = config.dual_clip * advantages_BT
        bounded_BT = (advantages_BT < 0) & (objective_BT < floor_BT)
        objective_BT = torch.where(bounded_BT, floor_BT, objective_BT)
        cut_BT = cut_BT | bounded_BT
    return objective_BT, cut_BT


def gspo(given: Surrogate, config: LossConfig) -> tuple[Tensor, Tensor]:
    """PPO's clip on the sequence ratio s = exp(mean_t log r_t) (GSPO, arXiv 2507.18071).

    Every token of a sequence carries the sequence's objective, so that the mean inside the sequence
    is the paper's term and its gradient is s A mean_t grad log p_t.
    """
    tokens_B1 = given.mask_BT.sum(dim=1, keepdim=True).clamp(min=1)
    mean_B1 = given.log_ratio_BT.sum(dim=1, keepdim=True) / tokens_B1
    return ppo_clip(replace(given, log_ratio_BT=mean_B1.expand_as(given.log_ratio_BT)), config)


def cispo(given: Surrogate, config: LossConfig) -> tuple[Tensor, Tensor]:
    """J = stop_grad(clip(r, 1 - low, 1 + high)) A log p (CISPO, MiniMax-M1, arXiv 2506.13585).

    The weight is clipped, never the token: each keeps a gradient. The paper sets no lower bound.
    """
    ratio_BT = given.log_ratio_BT.detach().exp()
    weight_BT = ratio_BT.clamp(1 - config.clip_low, 1 + config.clip_high)
    return weight_BT * given.advantages_BT * given.logprobs_BT, weight_BT != ratio_BT


def sapo(given: Surrogate, config: LossConfig) -> tuple[Tensor, Tensor]:
    """J = (4 / tau) sigmoid(tau (r - 1)) A, tau by the sign of A (SAPO, arXiv 2511.20347).

    The slope 4 sigma (1 - sigma) is 1 at r = 1 and fades smoothly on both sides. As "clipped" count
    tokens whose slope has fallen below one half.
    """
    advantages_BT = given.advantages_BT
    positive_BT = (advantages_BT > 0).to(advantages_BT.dtype)
    tau_BT = config.sapo_tau_neg + (config.sapo_tau_pos - config.sapo_tau_neg) * positive_BT
    gate_BT = torch.sigmoid(tau_BT * (given.log_ratio_BT.exp() - 1))
    slope_BT = 4 * gate_BT.detach() * (1 - gate_BT.detach())
    return 4 / tau_BT * gate_BT * advantages_BT, slope_BT < 0.5


POLICY_LOSSES: dict[str, SurrogateLoss] = {
    "ppo_clip": ppo_clip,
    "gspo": gspo,
    "cispo": cispo,
    "sapo": sapo,
}


def _k1(log_ratio_BT: Tensor) -> Tensor:
    return -log_ratio_BT


def _k2(log_ratio_BT: Tensor) -> Tensor:
    return log_ratio_BT.square() / 2


def _k3(log_ratio_BT: Tensor) -> Tensor:
    return torch.expm1(log_ratio_BT) - log_ratio_BT


KL_ESTIMATORS: dict[str, Callable[[Tensor], Tensor]] = {"k1": _k1, "k2": _k2, "k3": _k3}
"""KL(p || q) from d = log q - log p at tokens drawn from p (Schulman, "Approximating KL", 2020)."""


def kl_per_token(
    logprobs_BT: Tensor, ref_logprobs_BT: Tensor, mask_BT: Tensor, config: LossConfig
) -> Tensor:
    """Estimate of KL(policy || reference) at each token, nats; zero at padding."""
    log_ratio_BT = _log_ratio(ref_logprobs_BT, logprobs_BT, mask_BT, config)
    return KL_ESTIMATORS[config.kl_estimator](log_ratio_BT)


def policy_loss(inputs: LossInputs, config: LossConfig) -> LossOutput:
    """This micro-batch's share of the loss, and of its metrics.

    Metrics: `loss/policy`, `loss/kl`, `loss/entropy` (before their coefficients), `loss/clip_frac`,
    `loss/approx_kl` (old || policy, k3), `loss/ratio_max`, and with rollout log-probs
    `mismatch/kl` (rollout || old, k3), `mismatch/ratio_max`, `mismatch/tail_frac` (tokens whose
    ratio leaves [1 / mismatch_cap, mismatch_cap]), `mismatch/corrected_frac`.
    Raises ValueError when the config asks for log-probs or entropies that are missing.
    """
    _check_present(inputs, config)
    mask_BT = inputs.mask_BT
    logprobs_BT = torch.where(mask_BT, inputs.logprobs_BT, 0.0)
    log_ratio_BT = _log_ratio(logprobs_BT, inputs.old_logprobs_BT, mask_BT, config)
    given = Surrogate(
        log_ratio_BT=log_ratio_BT,
        logprobs_BT=logprobs_BT,
        advantages_BT=_token_advantages(inputs, config),
        mask_BT=mask_BT,
    )
    objective_BT, cut_BT = POLICY_LOSSES[config.policy_loss](given, config)
    weights_BT, metrics = _mismatch(inputs, config)

    loss = policy = aggregate(-weights_BT * objective_BT, inputs, config)
    metrics |= {
        "loss/policy": policy.detach(),
        "loss/clip_frac": _token_share(cut_BT, inputs),
        "loss/approx_kl": _token_share(_k3(log_ratio_BT.detach()), inputs),
        "loss/ratio_max": torch.where(mask_BT, log_ratio_BT.detach(), -math.inf).exp().max(),
    }
    if inputs.ref_logprobs_BT is not None:
        kl_BT = kl_per_token(logprobs_BT, inputs.ref_logprobs_BT, mask_BT, config)
        kl = aggregate(kl_BT, inputs, config)
        metrics["loss/kl"] = kl.detach()
        if config.kl_coef > 0 and config.kl_in == "loss":
            loss = loss + config.kl_coef * kl
    if inputs.entropy_BT is not None:
        entropy = aggregate(inputs.entropy_BT, inputs, config)
        if config.entropy_coef > 0:
            loss = loss - config.entropy_coef * entropy
        metrics["loss/entropy"] = _token_share(inputs.entropy_BT.detach(), inputs)
    return LossOutput(loss=loss, metrics=metrics)


def aggregate(values_BT: Tensor, inputs: LossInputs, config: LossConfig) -> Tensor:
    """This micro-batch's share of the global mean of per-token values, as the config averages.

    A step without a single token gives 0.
    """
    values_BT = torch.where(inputs.mask_BT, values_BT, 0.0)
    num_sequences = max(inputs.num_sequences, 1.0)
    if config.aggregation == "token_mean":
        return values_BT.sum() / max(inputs.num_tokens, 1.0)
    if config.aggregation == "sequence_mean":
        tokens_B = inputs.mask_BT.sum(dim=1).clamp(min=1)
        return (values_BT.sum(dim=1) / tokens_B).sum() / num_sequences
    assert config.constant_length is not None, "checked by LossConfig"
    return values_BT.sum() / (num_sequences * config.constant_length)


def _log_ratio(a_BT: Tensor, b_BT: Tensor, mask_BT: Tensor, config: LossConfig) -> Tensor:
    """a - b inside the mask, clamped; zero at padding."""
    difference_BT = torch.where(mask_BT, a_BT, 0.0) - torch.where(mask_BT, b_BT, 0.0)
    return difference_BT.clamp(-config.log_ratio_clamp, config.log_ratio_clamp)


def _token_share(values_BT: Tensor, inputs: LossInputs) -> Tensor:
    total = torch.where(inputs.mask_BT, values_BT.to(inputs.logprobs_BT.dtype), 0.0).sum()
    return total / max(inputs.scored_tokens, 1.0)


def _token_advantages(inputs: LossInputs, config: LossConfig) -> Tensor:
    """The sequence's advantage at each token, less the KL return-to-go for `kl_in=reward`.

    The penalty of token t is kl_coef times the sum of the old policy's KL estimates from t on
    (undiscounted, as in REINFORCE++, arXiv 2501.03262). It is added here, after the baseline and
    the ADORA weight: ADORA reweights what the checker said, not the pull towards the reference.
    """
    advantages_BT = inputs.advantages_B[:, None].expand_as(inputs.logprobs_BT)
    advantages_BT = torch.where(inputs.mask_BT, advantages_BT, 0.0)
    if config.kl_coef == 0 or config.kl_in == "loss" or inputs.ref_logprobs_BT is None:
        return advantages_BT
    kl_BT = kl_per_token(
        inputs.old_logprobs_BT, inputs.ref_logprobs_BT, inputs.mask_BT, config
    ).detach()
    to_go_BT = kl_BT.flip(1).cumsum(1).flip(1)
    return torch.where(inputs.mask_BT, advantages_BT - config.kl_coef * to_go_BT, 0.0)


def _mismatch(inputs: LossInputs, config: LossConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """Weights that correct for another engine's sampling, without gradient, and their metrics.

    truncated_is: min(old / rollout, cap) per token (Yao et al., "Your efficient RL framework
    secretly brings you off-policy RL training", 2025). sequence_mask: after the sequence-level
    masking of Liu et al., "When speed kills stability" (2025); theirs drops ratio products above
    the cap and keeps the product as a weight, ours drops both tails and keeps weight 1.
    Denominators stay as they are.
    """
    if inputs.rollout_logprobs_BT is None:
        return torch.ones_like(inputs.old_logprobs_BT), {}
    mask_BT, cap = inputs.mask_BT, config.mismatch_cap
    log_ratio_BT = _log_ratio(
        inputs.old_logprobs_BT, inputs.rollout_logprobs_BT, mask_BT, config
    ).detach()
    ratio_BT = log_ratio_BT.exp()
    weights_BT = torch.ones_like(ratio_BT)
    if config.mismatch == "truncated_is":
        weights_BT = ratio_BT.clamp(max=cap)
    elif config.mismatch == "sequence_mask":
        kept_B = log_ratio_BT.sum(dim=1).abs() <= math.log(cap)
        weights_BT = kept_B[:, None].to(ratio_BT.dtype).expand_as(ratio_BT)
    corrected_BT = ratio_BT > cap if config.mismatch == "truncated_is" else weights_BT == 0
    return weights_BT, {
        "mismatch/kl": _token_share(_k3(log_ratio_BT), inputs),
        "mismatch/ratio_max": torch.where(mask_BT, ratio_BT, 0.0).max(),
        "mismatch/tail_frac": _token_share(log_ratio_BT.abs() > math.log(cap), inputs),
        "mismatch/corrected_frac": _token_share(corrected_BT, inputs),
    }


def _check_present(inputs: LossInputs, config: LossConfig) -> None:
    needs = {
        "loss.kl_coef > 0 needs ref_logprobs": (config.kl_coef > 0, inputs.ref_logprobs_BT),
        f"loss.mismatch={config.mismatch} needs rollout_logprobs": (
            config.mismatch != "none",
            inputs.rollout_logprobs_BT,
        ),
        "loss.entropy_coef > 0 needs entropies": (config.entropy_coef > 0, inputs.entropy_BT),
    }
    for what, (wanted, tensor) in needs.items():
        if wanted and tensor is None:
            raise ValueError(f"{what}, and the batch has none; provide them or turn it off")
