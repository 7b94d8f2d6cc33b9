"""Policy losses against loops over single tokens, closed-form gradients, and sums over splits."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adora_mm.config.algorithm import LossConfig
from adora_mm.losses import (
    KL_ESTIMATORS,
    POLICY_LOSSES,
    LossInputs,
    kl_per_token,
    policy_loss,
)

QUICK = settings(deadline=None, max_examples=20)

AGGREGATIONS = ["token_mean", "sequence_mean", "constant_length"]


def loss_config(**values: Any) -> LossConfig:
    if values.get("aggregation") == "constant_length":
        values.setdefault("constant_length", 7)
    return LossConfig.model_validate(values)


def random_inputs(seed: int = 0, rows: int = 6, tokens: int = 9, drift: float = 0.3) -> LossInputs:
    """float64, ragged, every optional tensor given, gradients on logprobs and entropies."""
    generator = torch.Generator().manual_seed(seed)

    def noise(scale: float) -> Tensor:
        return scale * torch.randn(rows, tokens, generator=generator, dtype=torch.float64)

    old = -noise(1.0).abs() - 0.1
    lengths = torch.randint(1, tokens + 1, (rows,), generator=generator)
    mask = torch.arange(tokens)[None, :] < lengths[:, None]
    return LossInputs(
        logprobs_BT=(old + noise(drift)).requires_grad_(),
        old_logprobs_BT=old,
        ref_logprobs_BT=old + noise(0.3),
        rollout_logprobs_BT=old + noise(0.3),
        advantages_B=torch.randn(rows, generator=generator, dtype=torch.float64),
        mask_BT=mask,
        entropy_BT=noise(1.0).abs().requires_grad_(),
        num_tokens=float(mask.sum()),
        scored_tokens=float(mask.sum()),
        num_sequences=float(rows),
    )


def gradient(inputs: LossInputs) -> Tensor:
    assert inputs.logprobs_BT.grad is not None
    return inputs.logprobs_BT.grad


def naive_objectives(inputs: LossInputs, config: LossConfig, row: int) -> list[float]:
    """The surrogate of each valid token of a row, in plain floats."""
    valid = [t for t in range(inputs.mask_BT.shape[1]) if inputs.mask_BT[row, t]]
    logprobs = [inputs.logprobs_BT[row, t].item() for t in valid]
    old = [inputs.old_logprobs_BT[row, t].item() for t in valid]
    advantage = inputs.advantages_B[row].item()
    ratios = [math.exp(a - b) for a, b in zip(logprobs, old, strict=True)]
    if config.policy_loss == "gspo":
        mean = sum(a - b for a, b in zip(logprobs, old, strict=True)) / len(valid)
        ratios = [math.exp(mean)] * len(valid)
    low, high = 1 - config.clip_low, 1 + config.clip_high
    objectives = []
    for ratio, logprob in zip(ratios, logprobs, strict=True):
        clipped = min(max(ratio, low), high)
        if config.policy_loss == "cispo":
            objective = clipped * advantage * logprob
        elif config.policy_loss == "sapo":
            tau = config.sapo_tau_pos if advantage > 0 else config.sapo_tau_neg
            objective = 4 / tau / (1 + math.exp(-tau * (ratio - 1))) * advantage
        else:
            objective = min(ratio * advantage, clipped * advantage)
            if config.dual_clip is not None and advantage < 0:
                objective = max(objective, config.dual_clip * advantage)
        objectives.append(objective)
    return objectives


def naive_aggregate(rows: list[list[float]], inputs: LossInputs, config: LossConfig) -> float:
    if config.aggregation == "token_mean":
        return sum(map(sum, rows)) / inputs.num_tokens
    if config.aggregation == "sequence_mean":
        return sum(sum(row) / len(row) for row in rows) / inputs.num_sequences
    assert config.constant_length is not None
    return sum(map(sum, rows)) / (inputs.num_sequences * config.constant_length)


LOSSES = [
    {"policy_loss": "ppo_clip"},
    {"policy_loss": "ppo_clip", "clip_high": 0.28},
    {"policy_loss": "ppo_clip", "dual_clip": 1.2},
    {"policy_loss": "gspo", "clip_low": 0.05, "clip_high": 0.1},
    {"policy_loss": "gspo"},
    {"policy_loss": "cispo"},
    {"policy_loss": "cispo", "clip_low": 0.1, "clip_high": 0.1},
    {"policy_loss": "sapo"},
]


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@QUICK
@given(seed=st.integers(0, 10_000))
def test_each_loss_agrees_with_a_naive_loop(
    loss: dict[str, Any], aggregation: str, seed: int
) -> None:
    if loss["policy_loss"] == "gspo":
        aggregation = "sequence_mean"
    config = loss_config(**loss, aggregation=aggregation)
    inputs = random_inputs(seed)
    rows = [naive_objectives(inputs, config, row) for row in range(6)]
    expected = -naive_aggregate(rows, inputs, config)
    assert policy_loss(inputs, config).loss.item() == pytest.approx(expected, abs=1e-10)


def token_weights(inputs: LossInputs, config: LossConfig) -> Tensor:
    """What the aggregation multiplies each token's value by."""
    mask = inputs.mask_BT.double()
    if config.aggregation == "token_mean":
        return mask / inputs.num_tokens
    if config.aggregation == "sequence_mean":
        return mask / mask.sum(dim=1, keepdim=True) / inputs.num_sequences
    assert config.constant_length is not None
    return mask / (inputs.num_sequences * config.constant_length)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("name", POLICY_LOSSES)
def test_on_policy_every_loss_has_the_gradient_of_reinforce(name: str, aggregation: str) -> None:
    """At ratio 1, d loss / d logprob_t = -A times the weight of the token in the mean."""
    aggregation = "sequence_mean" if name == "gspo" else aggregation
    config = loss_config(policy_loss=name, aggregation=aggregation)
    inputs = random_inputs(drift=0.0)
    policy_loss(inputs, config).loss.backward()
    expected = -inputs.advantages_B[:, None] * token_weights(inputs, config)
    assert torch.allclose(gradient(inputs), expected, atol=1e-12)


def test_ppo_gradient_vanishes_exactly_where_the_clip_binds() -> None:
    inputs = single_token_rows(ratios=[1.5, 1.1, 0.5, 1.5, 0.5], advantages=[1, 1, 1, -1, -1])
    output = policy_loss(inputs, LossConfig())
    output.loss.backward()
    moved = gradient(inputs).squeeze(1) * 5
    assert moved.tolist() == pytest.approx([0.0, -1.1, -0.5, 1.5, 0.0])
    assert output.metrics["loss/clip_frac"].item() == pytest.approx(2 / 5)


def test_dual_clip_stops_the_push_on_a_token_that_has_become_likely() -> None:
    inputs = single_token_rows(ratios=[5.0, 2.0], advantages=[-1, -1])
    output = policy_loss(inputs, LossConfig(dual_clip=3.0))
    output.loss.backward()
    assert output.loss.item() == pytest.approx((3.0 + 2.0) / 2)
    assert gradient(inputs).squeeze(1).tolist() == pytest.approx([0.0, 1.0])
    assert output.metrics["loss/clip_frac"].item() == 0.5


def test_cispo_keeps_a_gradient_on_every_token_with_its_weight_capped() -> None:
    inputs = single_token_rows(ratios=[1.5, 8.0, 0.2], advantages=[1, 1, 1])
    policy_loss(inputs, LossConfig(policy_loss="cispo")).loss.backward()
    assert (gradient(inputs).squeeze(1) * 3).tolist() == pytest.approx([-1.5, -5.0, -0.2])


def test_sapo_gradient_is_the_slope_of_its_gate() -> None:
    inputs = single_token_rows(ratios=[2.0, 2.0], advantages=[1, -1])
    config = LossConfig(policy_loss="sapo", sapo_tau_pos=1.0, sapo_tau_neg=2.0)
    policy_loss(inputs, config).loss.backward()

    def slope(tau: float) -> float:
        gate = 1 / (1 + math.exp(-tau * (2.0 - 1)))
        return 4 * gate * (1 - gate)

    expected = [-2.0 * slope(1.0) / 2, 2.0 * slope(2.0) / 2]
    assert gradient(inputs).squeeze(1).tolist() == pytest.approx(expected)


def test_gspo_clips_whole_sequences() -> None:
    inputs = replace(
        random_inputs(rows=2, tokens=3),
        logprobs_BT=torch.tensor([[0.3, 0.3, -0.3], [0.1, -0.1, 0.0]]).double().requires_grad_(),
        old_logprobs_BT=torch.zeros(2, 3).double(),
        advantages_B=torch.ones(2).double(),
        mask_BT=torch.ones(2, 3).bool(),
        num_tokens=6.0,
        scored_tokens=6.0,
        num_sequences=2.0,
    )
    output = policy_loss(inputs, LossConfig(policy_loss="gspo", clip_low=0.05, clip_high=0.05))
    output.loss.backward()
    assert gradient(inputs)[0].tolist() == [0.0, 0.0, 0.0]
    assert gradient(inputs)[1].tolist() == pytest.approx([-1 / 6] * 3)
    assert output.metrics["loss/clip_frac"].item() == 0.5


def single_token_rows(ratios: list[float], advantages: list[float]) -> LossInputs:
    rows = len(ratios)
    old = torch.full((rows, 1), -1.0, dtype=torch.float64)
    return LossInputs(
        logprobs_BT=(old + torch.tensor(ratios).double().log()[:, None]).requires_grad_(),
        old_logprobs_BT=old,
        ref_logprobs_BT=None,
        rollout_logprobs_BT=None,
        advantages_B=torch.tensor(advantages).double(),
        mask_BT=torch.ones(rows, 1).bool(),
        entropy_BT=None,
        num_tokens=float(rows),
        scored_tokens=float(rows),
        num_sequences=float(rows),
    )


# KL and entropy


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("name", KL_ESTIMATORS)
def test_kl_and_entropy_terms_agree_with_a_naive_loop(name: str, aggregation: str) -> None:
    config = loss_config(kl_coef=0.3, kl_estimator=name, entropy_coef=0.2, aggregation=aggregation)
    inputs = random_inputs(1)
    assert inputs.ref_logprobs_BT is not None
    assert inputs.entropy_BT is not None
    formulas = {
        "k1": lambda d: -d,
        "k2": lambda d: d * d / 2,
        "k3": lambda d: math.exp(d) - 1 - d,
    }
    kl_rows, entropy_rows, policy_rows = [], [], []
    for row in range(6):
        valid = [t for t in range(9) if inputs.mask_BT[row, t]]
        gaps = [(inputs.ref_logprobs_BT - inputs.logprobs_BT)[row, t].item() for t in valid]
        kl_rows.append([formulas[name](d) for d in gaps])
        entropy_rows.append([inputs.entropy_BT[row, t].item() for t in valid])
        policy_rows.append([-x for x in naive_objectives(inputs, config, row)])
    policy, kl, entropy = (
        naive_aggregate(rows, inputs, config) for rows in (policy_rows, kl_rows, entropy_rows)
    )
    output = policy_loss(inputs, config)
    assert output.loss.item() == pytest.approx(policy + 0.3 * kl - 0.2 * entropy)
    assert output.metrics["loss/policy"].item() == pytest.approx(policy)
    assert output.metrics["loss/kl"].item() == pytest.approx(kl)
    per_token = [value for row in entropy_rows for value in row]
    assert output.metrics["loss/entropy"].item() == pytest.approx(sum(per_token) / len(per_token))


def test_kl_estimators_are_zero_for_equal_policies_and_k3_is_never_negative() -> None:
    inputs = random_inputs(2)
    assert inputs.ref_logprobs_BT is not None
    for name in KL_ESTIMATORS:
        config = loss_config(kl_estimator=name)
        same = kl_per_token(inputs.logprobs_BT, inputs.logprobs_BT, inputs.mask_BT, config)
        assert same.eq(0).all()
    kl = kl_per_token(inputs.logprobs_BT, inputs.ref_logprobs_BT, inputs.mask_BT, LossConfig())
    assert (kl >= 0).all()
    assert kl[~inputs.mask_BT].eq(0).all()


def test_which_kl_estimators_are_unbiased_and_what_gradients_they_have_as_a_loss() -> None:
    """A categorical policy small enough to sum over: three tokens."""
    theta = torch.tensor([0.3, -0.2, 0.1], dtype=torch.float64, requires_grad=True)
    policy = theta.log_softmax(0)
    reference = torch.tensor([0.1, 0.4, -0.3], dtype=torch.float64).log_softmax(0)
    exact = (policy.exp() * (policy - reference)).sum()
    other_direction = (reference.exp() * (reference - policy)).sum()
    probabilities = policy.exp().detach()
    mask = torch.ones(1, 3).bool()

    def expected(name: str) -> Tensor:
        kl = kl_per_token(policy[None], reference[None], mask, loss_config(kl_estimator=name))
        return (probabilities * kl[0]).sum()

    assert expected("k1").item() == pytest.approx(exact.item())
    assert expected("k3").item() == pytest.approx(exact.item())
    (exact_gradient,) = torch.autograd.grad(exact, theta, retain_graph=True)
    (k2_gradient,) = torch.autograd.grad(expected("k2"), theta, retain_graph=True)
    (other_gradient,) = torch.autograd.grad(other_direction, theta, retain_graph=True)
    (k3_gradient,) = torch.autograd.grad(expected("k3"), theta, retain_graph=True)
    (k1_gradient,) = torch.autograd.grad(expected("k1"), theta, retain_graph=True)
    assert torch.allclose(k3_gradient, other_gradient)
    assert torch.allclose(k2_gradient, exact_gradient)
    assert k1_gradient.abs().max() < 1e-12


def test_kl_in_the_reward_lowers_the_advantage_by_the_return_to_go() -> None:
    config = loss_config(kl_coef=0.5, kl_in="reward", kl_estimator="k1")
    inputs = random_inputs(3, drift=0.0)
    assert inputs.ref_logprobs_BT is not None
    output = policy_loss(inputs, config)
    output.loss.backward()
    for row in range(6):
        for t in range(9):
            to_go = sum(
                (inputs.old_logprobs_BT - inputs.ref_logprobs_BT)[row, s].item()
                for s in range(t, 9)
                if inputs.mask_BT[row, s]
            )
            advantage = inputs.advantages_B[row].item() - 0.5 * to_go
            expected = -advantage / inputs.num_tokens if inputs.mask_BT[row, t] else 0.0
            assert gradient(inputs)[row, t].item() == pytest.approx(expected, abs=1e-12)
    assert torch.equal(output.loss.detach(), output.metrics["loss/policy"])


# Rollout engine against trainer


def test_truncated_importance_sampling_caps_the_weight_of_each_token() -> None:
    rollout = torch.tensor([[-1.0], [-3.0], [0.0]], dtype=torch.float64)
    inputs = replace(
        single_token_rows(ratios=[1, 1, 1], advantages=[1, 1, 1]), rollout_logprobs_BT=rollout
    )
    output = policy_loss(inputs, LossConfig(mismatch="truncated_is", mismatch_cap=2.0))
    output.loss.backward()
    expected = [-1.0, -2.0, -math.exp(-1.0)]
    assert (gradient(inputs).squeeze(1) * 3).tolist() == pytest.approx(expected)
    assert output.metrics["mismatch/tail_frac"].item() == pytest.approx(2 / 3)  # on either side
    assert output.metrics["mismatch/ratio_max"].item() == pytest.approx(math.exp(2.0))
    assert output.metrics["mismatch/corrected_frac"].item() == pytest.approx(1 / 3)


def test_sequence_masking_drops_sequences_whose_ratio_leaves_the_band() -> None:
    old = torch.full((3, 2), -1.0, dtype=torch.float64)
    inputs = LossInputs(
        logprobs_BT=old.clone().requires_grad_(),
        old_logprobs_BT=old,
        ref_logprobs_BT=None,
        rollout_logprobs_BT=old + torch.tensor([[0.5, -0.5], [0.5, 0.5], [-0.5, -0.5]]),
        advantages_B=torch.ones(3).double(),
        mask_BT=torch.ones(3, 2).bool(),
        entropy_BT=None,
        num_tokens=6.0,
        scored_tokens=6.0,
        num_sequences=3.0,
    )
    output = policy_loss(inputs, LossConfig(mismatch="sequence_mask", mismatch_cap=2.0))
    output.loss.backward()
    assert torch.mul(gradient(inputs), 6).tolist() == [[-1.0, -1.0], [0.0, 0.0], [0.0, 0.0]]
    assert output.metrics["mismatch/corrected_frac"].item() == pytest.approx(2 / 3)


def test_equal_engines_need_no_correction() -> None:
    inputs = random_inputs(4)
    inputs = replace(inputs, rollout_logprobs_BT=inputs.old_logprobs_BT)
    plain = policy_loss(inputs, LossConfig())
    assert plain.metrics["mismatch/kl"].item() == 0.0
    assert plain.metrics["mismatch/ratio_max"].item() == 1.0
    for mode in ("truncated_is", "sequence_mask"):
        assert torch.equal(policy_loss(inputs, loss_config(mismatch=mode)).loss, plain.loss)


def test_mismatch_is_measured_without_being_corrected() -> None:
    inputs = random_inputs(5)
    without = policy_loss(replace(inputs, rollout_logprobs_BT=None), LossConfig())
    measured = policy_loss(inputs, LossConfig())
    assert torch.equal(without.loss, measured.loss)
    assert measured.metrics["mismatch/kl"] > 0
    assert measured.metrics["mismatch/corrected_frac"] == 0


# Splits, padding, extremes


FULL = {
    "kl_coef": 0.1,
    "entropy_coef": 0.01,
    "mismatch": "truncated_is",
    "mismatch_cap": 1.2,
}


@pytest.mark.parametrize("kl_in", ["loss", "reward"])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@pytest.mark.parametrize("loss", LOSSES, ids=str)
@QUICK
@given(seed=st.integers(0, 1000), cut=st.integers(1, 5))
def test_micro_batches_of_any_width_add_up_to_the_whole(
    loss: dict[str, Any], aggregation: str, kl_in: str, seed: int, cut: int
) -> None:
    if loss["policy_loss"] == "gspo":
        aggregation = "sequence_mean"
    config = loss_config(**loss, **FULL, aggregation=aggregation, kl_in=kl_in)
    inputs = random_inputs(seed)
    whole = policy_loss(inputs, config)
    (whole_gradient,) = torch.autograd.grad(whole.loss, inputs.logprobs_BT)
    parts = [policy_loss(rows_of(inputs, rows), config) for rows in (slice(cut), slice(cut, 6))]
    summed = torch.stack([part.loss for part in parts]).sum()
    (summed_gradient,) = torch.autograd.grad(summed, inputs.logprobs_BT)
    assert summed.item() == pytest.approx(whole.loss.item(), abs=1e-10)
    assert torch.allclose(summed_gradient, whole_gradient, atol=1e-12)
    for name, value in whole.metrics.items():
        combine = max if name.endswith("_max") else sum
        combined = combine(part.metrics[name].item() for part in parts)
        assert combined == pytest.approx(value.item(), abs=1e-10), name


def rows_of(inputs: LossInputs, rows: slice) -> LossInputs:
    """Some rows as a micro-batch of their own, cut to their longest sequence."""
    width = int(inputs.mask_BT[rows].sum(dim=1).max())

    def cut(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[rows, :width]

    return replace(
        inputs,
        logprobs_BT=inputs.logprobs_BT[rows, :width],
        old_logprobs_BT=inputs.old_logprobs_BT[rows, :width],
        ref_logprobs_BT=cut(inputs.ref_logprobs_BT),
        rollout_logprobs_BT=cut(inputs.rollout_logprobs_BT),
        entropy_BT=cut(inputs.entropy_BT),
        mask_BT=inputs.mask_BT[rows, :width],
        advantages_B=inputs.advantages_B[rows],
    )


@pytest.mark.parametrize("kl_in", ["loss", "reward"])
@pytest.mark.parametrize("name", POLICY_LOSSES)
@pytest.mark.parametrize("garbage", [1e30, -1e30, math.inf, math.nan])
def test_padding_may_hold_anything(name: str, kl_in: str, garbage: float) -> None:
    config = loss_config(policy_loss=name, kl_in=kl_in, **FULL)
    inputs = random_inputs(6)
    clean = policy_loss(inputs, config)
    (expected,) = torch.autograd.grad(clean.loss, inputs.logprobs_BT)

    def spoil(tensor: Tensor | None) -> Tensor | None:
        if tensor is None:
            return None
        return tensor.detach().masked_fill(~inputs.mask_BT, garbage)

    logprobs = inputs.logprobs_BT.detach().masked_fill(~inputs.mask_BT, garbage).requires_grad_()
    dirty = replace(
        inputs,
        logprobs_BT=logprobs,
        old_logprobs_BT=inputs.old_logprobs_BT.masked_fill(~inputs.mask_BT, garbage),
        ref_logprobs_BT=spoil(inputs.ref_logprobs_BT),
        rollout_logprobs_BT=spoil(inputs.rollout_logprobs_BT),
        entropy_BT=spoil(inputs.entropy_BT),
    )
    output = policy_loss(dirty, config)
    assert torch.equal(output.loss, clean.loss)
    (dirty_gradient,) = torch.autograd.grad(output.loss, logprobs)
    assert torch.equal(dirty_gradient, expected)
    assert {k: v.item() for k, v in output.metrics.items()} == {
        k: v.item() for k, v in clean.metrics.items()
    }


@pytest.mark.parametrize("name", POLICY_LOSSES)
@pytest.mark.parametrize("estimator", KL_ESTIMATORS)
@pytest.mark.parametrize("gap", [-1e4, 1e4])
def test_extreme_log_ratios_stay_finite_in_float32(name: str, estimator: str, gap: float) -> None:
    """The k3 overflow that ends runs after hundreds of steps."""
    old = torch.full((2, 3), -1.0)
    inputs = LossInputs(
        logprobs_BT=(old + gap).requires_grad_(),
        old_logprobs_BT=old,
        ref_logprobs_BT=old,
        rollout_logprobs_BT=old - gap,
        advantages_B=torch.tensor([1.0, -1.0]),
        mask_BT=torch.ones(2, 3).bool(),
        entropy_BT=None,
        num_tokens=6.0,
        scored_tokens=6.0,
        num_sequences=2.0,
    )
    config = loss_config(policy_loss=name, kl_coef=0.1, kl_estimator=estimator)
    output = policy_loss(inputs, config)
    output.loss.backward()
    assert output.loss.isfinite()
    assert gradient(inputs).isfinite().all()
    assert all(value.isfinite() for value in output.metrics.values())


def test_a_nan_inside_the_mask_reaches_the_loss() -> None:
    inputs = random_inputs(7)
    spoilt = inputs.logprobs_BT.detach().clone()
    spoilt[0, 0] = math.nan
    assert policy_loss(replace(inputs, logprobs_BT=spoilt), LossConfig()).loss.isnan()


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_a_row_without_tokens_and_a_step_without_tokens_give_zero(aggregation: str) -> None:
    inputs = random_inputs(8)
    nothing = replace(
        inputs, mask_BT=torch.zeros_like(inputs.mask_BT), num_tokens=0.0, num_sequences=0.0
    )
    output = policy_loss(nothing, loss_config(**FULL, aggregation=aggregation))
    assert output.loss.item() == 0.0
    assert all(value.item() == 0.0 for value in output.metrics.values())


@pytest.mark.parametrize(
    ("values", "missing", "what"),
    [
        ({"kl_coef": 0.1}, "ref_logprobs_BT", "ref_logprobs"),
        ({"mismatch": "truncated_is"}, "rollout_logprobs_BT", "rollout_logprobs"),
        ({"entropy_coef": 0.1}, "entropy_BT", "entropies"),
    ],
)
def test_what_the_config_asks_for_must_be_there(
    values: dict[str, Any], missing: str, what: str
) -> None:
    absent: dict[str, Any] = {missing: None}
    inputs = replace(random_inputs(9), **absent)
    with pytest.raises(ValueError, match=what):
        policy_loss(inputs, loss_config(**values))
