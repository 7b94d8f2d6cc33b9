"""Settings of the algorithm: reward, base estimator, the ADORA layer, loss, dynamic sampling.

Each model forbids unknown keys and is frozen. Ranges sit on the fields; a rule over several fields
is a validator whose message names the remedy. Rules that span sections are in `check_algorithm`.
Where a setting has a source, the source stands in its docstring; the formulas are in
`docs/algorithms.md`. Tags such as [code] and [rev] say how well an ADORA rule is supported.
"""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from adora_mm.config.base import Section

Side = Literal["tas", "tds"]
EstimatorName = Literal[
    "grpo", "dr_grpo", "rloo", "reinforce_pp", "reinforce_pp_baseline", "max_at_k"
]
PolicyLossName = Literal["ppo_clip", "gspo", "cispo", "sapo"]

WHITENED_ESTIMATORS = frozenset({"reinforce_pp", "reinforce_pp_baseline"})
"""Estimators that whiten over the batch unless told otherwise."""

LOSS_DEFAULTS: dict[str, dict[str, float | str]] = {
    "gspo": {"clip_low": 3e-4, "clip_high": 4e-4, "aggregation": "sequence_mean"},
    "cispo": {"clip_low": 1.0, "clip_high": 4.0},
    "sapo": {"aggregation": "sequence_mean"},
}
"""What a recipe gets that names the policy loss but not these keys."""


class _Section(Section):
    model_config = ConfigDict(allow_inf_nan=False)


class AdoraConfig(_Section):
    """The ADORA layer: one weight per prompt's group, from the current rollouts only."""

    enabled: bool = True
    mode: Literal["attenuate", "amplify"] = "attenuate"
    """attenuate: a disadvantageous group gets `lambda_att`. amplify: an advantageous group gets
    `lambda_amp`. The other kind keeps weight 1. [rev, code]"""
    criterion: Literal["length", "difficulty", "length_and_difficulty", "length_or_difficulty"] = (
        "length"
    )
    """What makes a group advantageous. Left out with `mode: amplify` it is `length_and_difficulty`:
    the public reviews fit AND, the paper's own rule is not known to us. [inferred]"""
    lambda_att: float = Field(default=0.1, ge=0.0)
    """Weight of TDS groups in attenuation; 1.0 makes the layer the identity. [rev, code]"""
    lambda_amp: float = Field(default=2.0, ge=0.0)
    """Weight of TAS groups in amplification; 1.0 makes the layer the identity. [rev]"""
    tau: float = Field(default=0.5, ge=0.0, le=1.0)
    """A group is difficult when its success rate is at most tau. [rev]"""
    empty_success: Side = "tas"
    """Length verdict of a group in which nothing succeeds. VL: tas. LLM: tds. [code]"""
    empty_failure: Side = "tds"
    """Length verdict of a group in which everything succeeds. VL: tds. LLM: tas. [code]"""
    truncated_failures: Side = "tds"
    """Length verdict of a mixed group, every failure truncated. VL: tds. LLM: tas. [code]"""
    from_step: int = Field(default=0, ge=0)
    """First step with ADORA weights; before it every weight is 1."""
    until_step: int | None = Field(default=None, ge=1)
    """First step without them again; None: until the end."""
    control: Literal["none", "matched_random", "scaled_lr"] = "none"
    """matched_random shuffles the same weights over the groups, scaled_lr gives every group their
    mean: the two baselines that a gain of ADORA must beat."""
    control_groups: Literal["all", "signal"] = "all"
    """Groups that a control shuffles or averages over. `signal` leaves out groups with zero
    advantage, so that what reaches the gradient is matched, not only the weight on paper."""
    success_threshold: float | None = None
    """Reward above which a rollout counts as a success; used only by callers that have no verdicts.
    VL code: 0.5. LLM code: 1.01. [code]"""

    @model_validator(mode="before")
    @classmethod
    def _default_criterion(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("mode") == "amplify" and "criterion" not in data:
            return {**data, "criterion": "length_and_difficulty"}
        return data

    @model_validator(mode="after")
    def _check_schedule(self) -> Self:
        if self.until_step is not None and self.until_step <= self.from_step:
            raise ValueError(
                f"until_step={self.until_step} is not after from_step={self.from_step}, so the "
                "layer would never act; raise until_step, or set enabled=false"
            )
        return self

    def active_at(self, step: int) -> bool:
        """Whether weights other than 1 may be applied at this step."""
        started = self.enabled and step >= self.from_step
        return started and (self.until_step is None or step < self.until_step)


class AdvantageConfig(_Section):
    """Base estimator, the ADORA layer over it, whitening after it."""

    estimator: EstimatorName = "grpo"
    eps: float = Field(default=1e-6, gt=0.0)
    """Added to a standard deviation before dividing, in reward units."""
    whiten: bool | None = None
    """Zero mean and unit spread over the whole batch, after the weights. None: as the estimator's
    paper has it (only the two REINFORCE++ forms)."""
    max_k: int = Field(default=4, ge=2)
    """k of `max_at_k`: the best of k rollouts is what counts."""
    adora: AdoraConfig = AdoraConfig()

    @model_validator(mode="after")
    def _check_whitening(self) -> Self:
        if self.estimator == "reinforce_pp" and self.whiten is False:
            raise ValueError(
                "estimator=reinforce_pp has no baseline besides whitening; leave whiten out, or "
                "use estimator=reinforce_pp_baseline"
            )
        return self

    @property
    def whitens(self) -> bool:
        """The whitening that is in force."""
        return self.estimator in WHITENED_ESTIMATORS if self.whiten is None else self.whiten


class LossConfig(_Section):
    """Policy loss, aggregation, KL, entropy, correction for the rollout engine's log-probs."""

    policy_loss: PolicyLossName = "ppo_clip"
    clip_low: float = Field(default=0.2, ge=0.0, le=1.0)
    """Ratios below 1 - clip_low are clipped. Left out, both clips follow `policy_loss`: 0.2/0.2 for
    ppo_clip, 3e-4/4e-4 for gspo (its paper), 1.0/4.0 for cispo (no lower bound); sapo has none."""
    clip_high: float = Field(default=0.2, ge=0.0)
    """Ratios above 1 + clip_high are clipped; 0.28 is DAPO's clip-higher."""
    dual_clip: float | None = Field(default=None, gt=1.0)
    """ppo_clip only: bounds the loss of a negative advantage at this ratio, usually 3."""
    sapo_tau_pos: float = Field(default=1.0, gt=0.0)
    """sapo: steepness of the gate for positive advantages."""
    sapo_tau_neg: float = Field(default=1.05, gt=0.0)
    """sapo: steepness of the gate for the others."""
    aggregation: Literal["token_mean", "sequence_mean", "constant_length"] = "token_mean"
    """token_mean: sum over tokens / all tokens. sequence_mean: mean inside each sequence, then over
    sequences. constant_length: sum over tokens / (sequences x constant_length). Left out, gspo and
    sapo take sequence_mean as in their papers."""
    constant_length: int | None = Field(default=None, ge=1)
    """Tokens; the divisor of `constant_length`, usually the response cap (Dr.GRPO)."""
    kl_coef: float = Field(default=0.0, ge=0.0)
    kl_estimator: Literal["k1", "k2", "k3"] = "k3"
    """Per-token estimate of KL(policy || reference). As a loss, k1 has an expected gradient of
    zero, k2 that of this KL, k3 (used by the published recipes) that of KL(reference || policy)."""
    kl_in: Literal["loss", "reward"] = "loss"
    """loss: a differentiable term. reward: a penalty on the return-to-go, added to the advantages
    after baseline, ADORA weight and whitening."""
    entropy_coef: float = Field(default=0.0, ge=0.0)
    """Weight of the entropy bonus, nats."""
    log_ratio_clamp: float = Field(default=10.0, gt=0.0, le=80.0)
    """Bound of every log-ratio before exp, nats; no gradient passes beyond it."""
    mismatch: Literal["none", "truncated_is", "sequence_mask"] = "none"
    """Correction for sampling with another engine. truncated_is: tokens are weighted by
    min(old / rollout, mismatch_cap). sequence_mask: a sequence whose ratio product leaves
    [1 / mismatch_cap, mismatch_cap] does not count."""
    mismatch_cap: float = Field(default=2.0, gt=1.0)
    mask_truncated: bool = False
    """Truncated rollouts take no part in the loss nor in its denominators (DAPO)."""

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_loss(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("policy_loss"), str):
            return {**LOSS_DEFAULTS.get(data["policy_loss"], {}), **data}
        return data

    @model_validator(mode="after")
    def _check_couplings(self) -> Self:
        if self.aggregation == "constant_length" and self.constant_length is None:
            raise ValueError(
                "aggregation=constant_length needs constant_length=<tokens>, for instance the "
                "response cap"
            )
        if self.dual_clip is not None and self.policy_loss != "ppo_clip":
            raise ValueError(
                f"dual_clip has no meaning for policy_loss={self.policy_loss}; leave it out, or "
                "use policy_loss=ppo_clip"
            )
        if self.policy_loss == "gspo" and self.aggregation != "sequence_mean":
            raise ValueError(
                "policy_loss=gspo is defined per sequence; set aggregation=sequence_mean"
            )
        return self


class RewardConfig(_Section):
    """Weights of the reward parts. Defaults: 1.0 right, 0.1 boxed but wrong, 0.0 no box. [code]"""

    accuracy: float = Field(default=1.0, gt=0.0)
    """Credit of a right answer."""
    format: float = Field(default=0.1, ge=0.0)
    """Credit of a wrong answer given in exactly one box."""
    overlong: float = Field(default=0.0, ge=0.0)
    """Weight of DAPO's soft overlong penalty; 0 is off."""
    overlong_buffer_tokens: int | None = Field(default=None, ge=1)
    """Tokens before the response cap over which the penalty grows from 0 to `overlong`."""
    truncated: Literal["no_credit", "score"] = "no_credit"
    """no_credit: a response that was cut off or aborted earns neither accuracy nor format credit
    and is not a success. score: it is graded like any other."""

    @model_validator(mode="after")
    def _check_parts(self) -> Self:
        if self.format >= self.accuracy:
            raise ValueError(
                f"format={self.format} pays a wrong answer as much as a right one "
                f"(accuracy={self.accuracy}); lower format"
            )
        if self.overlong > 0 and self.overlong_buffer_tokens is None:
            raise ValueError(
                "overlong > 0 needs overlong_buffer_tokens=<tokens>, for instance a fifth of the "
                "response cap"
            )
        return self


class DynamicSamplingConfig(_Section):
    """DAPO's dynamic sampling: groups without signal in *accuracy* are replaced by new ones."""

    enabled: bool = False
    max_attempts: int = Field(default=10, ge=1)
    """Rollout batches per training step, the first one included."""
    on_shortfall: Literal["train", "error"] = "train"
    """After the last attempt with too few groups: train on those there are, or stop."""
    min_success_rate: float = Field(default=0.0, ge=0.0, lt=1.0)
    """A group is kept when its success rate lies strictly between the two bounds."""
    max_success_rate: float = Field(default=1.0, gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        if self.min_success_rate >= self.max_success_rate:
            raise ValueError(
                f"min_success_rate={self.min_success_rate} is not below "
                f"max_success_rate={self.max_success_rate}; every group would be dropped"
            )
        return self


def check_algorithm(
    advantage: AdvantageConfig,
    loss: LossConfig,
    reward: RewardConfig,
    dynamic_sampling: DynamicSamplingConfig | None = None,
    *,
    group_size: int,
    max_response_tokens: int,
) -> None:
    """Check the rules that span sections of the run's config.

    Raises ValueError with the keys as a recipe has them (`advantage.*`, `loss.*`) and the remedy.
    """
    _check_group_size(advantage, group_size)
    if dynamic_sampling is not None and dynamic_sampling.enabled:
        _check_reachable(dynamic_sampling, group_size)
        if advantage.estimator == "reinforce_pp":
            raise ValueError(
                "dynamic_sampling drops groups that are all right or all wrong, and advantage."
                "estimator=reinforce_pp, which has no baseline per group, learns from them; set "
                "dynamic_sampling.enabled=false, or use estimator=grpo (DAPO's own)"
            )
    if advantage.estimator == "dr_grpo" and loss.aggregation == "sequence_mean":
        raise ValueError(
            "loss.aggregation=sequence_mean brings back the length bias that advantage.estimator="
            "dr_grpo removes; set loss.aggregation=constant_length (the paper's form) or token_mean"
        )
    buffer = reward.overlong_buffer_tokens
    if reward.overlong > 0 and buffer is not None and buffer > max_response_tokens:
        raise ValueError(
            f"reward.overlong_buffer_tokens={buffer} exceeds the response cap of "
            f"{max_response_tokens} tokens, so every response would be fined; lower it"
        )


def _check_group_size(advantage: AdvantageConfig, group_size: int) -> None:
    if group_size < 2 and advantage.estimator != "reinforce_pp":
        raise ValueError(
            f"advantage.estimator={advantage.estimator} compares the rollouts of a group, so a "
            "group size of 1 gives no signal; sample at least 2, or use estimator=reinforce_pp"
        )
    if advantage.estimator == "max_at_k" and group_size < advantage.max_k:
        raise ValueError(
            f"advantage.max_k={advantage.max_k} is larger than the group size {group_size}; "
            "lower max_k or sample more rollouts per prompt"
        )


def _check_reachable(sampling: DynamicSamplingConfig, group_size: int) -> None:
    low, high = sampling.min_success_rate, sampling.max_success_rate
    if not any(low < right / group_size < high for right in range(group_size + 1)):
        raise ValueError(
            f"dynamic_sampling keeps success rates between {low} and {high}, which no group of "
            f"{group_size} rollouts can have; widen the bounds or sample more rollouts per prompt"
        )
