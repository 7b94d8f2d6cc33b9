"""The whole path: identity at lambda 1, order of operations, padding, metrics, refusals."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from adora_mm.advantages import ESTIMATORS, compute_advantages
from adora_mm.config.algorithm import AdvantageConfig

QUICK = settings(deadline=None, max_examples=50)


def random_batch(seed: int, prompts: int = 16, size: int = 8) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    success = torch.rand(prompts, size, generator=generator) < torch.rand(
        prompts, 1, generator=generator
    )
    boxed = torch.rand(prompts, size, generator=generator) < 0.5
    mask = torch.rand(prompts, size, generator=generator) < 0.9
    mask[:, :4] = True
    return {
        "rewards_PG": torch.where(success, 1.0, 0.1 * boxed),
        "success_PG": success,
        "lengths_PG": torch.randint(1, 500, (prompts, size), generator=generator),
        "truncated_PG": torch.rand(prompts, size, generator=generator) < 0.1,
        "mask_PG": mask,
    }


def config_of(estimator: str, **adora: Any) -> AdvantageConfig:
    return AdvantageConfig.model_validate({"estimator": estimator, "adora": adora})


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("mode", ["attenuate", "amplify"])
@pytest.mark.parametrize("control", ["none", "matched_random", "scaled_lr"])
def test_lambda_one_is_the_base_estimator_bit_for_bit(
    estimator: str, mode: str, control: str
) -> None:
    ones = config_of(estimator, mode=mode, lambda_att=1.0, lambda_amp=1.0, control=control)
    off = config_of(estimator, enabled=False)
    for seed in range(5):
        batch = random_batch(seed)
        with_layer = compute_advantages(**batch, config=ones, step=seed).advantages_PG
        without = compute_advantages(**batch, config=off, step=seed).advantages_PG
        assert torch.equal(with_layer, without)


@pytest.mark.parametrize("estimator", ["grpo", "dr_grpo", "rloo", "max_at_k"])
def test_advantages_are_the_base_times_the_weight_of_the_group(estimator: str) -> None:
    batch = random_batch(0)
    base = compute_advantages(**batch, config=config_of(estimator, enabled=False))
    result = compute_advantages(**batch, config=config_of(estimator, lambda_att=0.25))
    assert set(result.weights_P.tolist()) == {0.25, 1.0}
    expected = base.advantages_PG * result.weights_P[:, None]
    assert torch.equal(result.advantages_PG, expected)


def test_whitening_comes_after_the_weight() -> None:
    batch = random_batch(1)
    config = config_of("reinforce_pp_baseline", lambda_att=0.1)
    result = compute_advantages(**batch, config=config)
    plain = compute_advantages(**batch, config=config.model_copy(update={"whiten": False}))
    values = plain.advantages_PG[batch["mask_PG"]]
    expected = (values - values.mean()) / (values.std() + config.eps)
    assert torch.allclose(result.advantages_PG[batch["mask_PG"]], expected)
    assert not torch.equal(result.weights_P, torch.ones_like(result.weights_P))


def test_a_batch_of_equal_rewards_whitens_to_zero() -> None:
    batch = random_batch(2) | {"rewards_PG": torch.full((16, 8), 0.1)}
    result = compute_advantages(**batch, config=config_of("reinforce_pp", enabled=False))
    assert result.advantages_PG.eq(0).all()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_padding_may_hold_anything_and_stays_zero(estimator: str) -> None:
    batch = random_batch(3)
    padding = ~batch["mask_PG"]
    clean = compute_advantages(**batch, config=config_of(estimator))
    dirty = dict(batch)
    dirty["rewards_PG"] = batch["rewards_PG"].masked_fill(padding, float("nan"))
    dirty["lengths_PG"] = batch["lengths_PG"].masked_fill(padding, 10**9)
    dirty["success_PG"] = batch["success_PG"] | padding
    dirty["truncated_PG"] = batch["truncated_PG"] ^ padding
    result = compute_advantages(**dirty, config=config_of(estimator))
    assert torch.equal(result.advantages_PG, clean.advantages_PG)
    assert result.advantages_PG[padding].eq(0).all()
    assert result.metrics == clean.metrics


@pytest.mark.parametrize("estimator", ESTIMATORS)
@QUICK
@given(seed=st.integers(0, 1000), order=st.permutations(range(8)))
def test_permuting_the_rollouts_permutes_the_advantages(
    estimator: str, seed: int, order: list[int]
) -> None:
    batch = random_batch(seed, prompts=3)
    batch["rewards_PG"] = batch["rewards_PG"].double()
    permuted = {name: tensor[:, order] for name, tensor in batch.items()}
    straight = compute_advantages(**batch, config=config_of(estimator))
    crossed = compute_advantages(**permuted, config=config_of(estimator))
    assert torch.equal(straight.weights_P, crossed.weights_P)
    assert torch.allclose(straight.advantages_PG[:, order], crossed.advantages_PG, atol=1e-12)


@pytest.mark.parametrize("estimator", ["grpo", "dr_grpo", "rloo", "max_at_k"])
def test_a_group_does_not_see_the_others(estimator: str) -> None:
    batch = random_batch(4)
    whole = compute_advantages(**batch, config=config_of(estimator))
    for p in range(16):
        alone = {name: tensor[p : p + 1] for name, tensor in batch.items()}
        result = compute_advantages(**alone, config=config_of(estimator))
        assert torch.equal(result.advantages_PG[0], whole.advantages_PG[p])


@pytest.mark.parametrize("estimator", ["grpo", "dr_grpo", "rloo"])
@QUICK
@given(seed=st.integers(0, 1000))
def test_weights_keep_mean_signs_and_ranking_of_a_group(estimator: str, seed: int) -> None:
    batch = random_batch(seed, prompts=4)
    batch["rewards_PG"] = batch["rewards_PG"].double()
    base = compute_advantages(**batch, config=config_of(estimator, enabled=False)).advantages_PG
    weighted = compute_advantages(**batch, config=config_of(estimator)).advantages_PG
    assert weighted.sum(dim=1).abs().max() < 1e-9
    assert torch.equal(weighted.sign(), base.sign())
    order = base.argsort(dim=1, stable=True)
    assert (weighted.gather(1, order).diff(dim=1) >= 0).all()


def test_metrics_of_a_batch_worked_out_by_hand() -> None:
    """Three groups of two: TAS and mixed, TDS and mixed, nothing right."""
    result = compute_advantages(
        torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.1, 0.1]]),
        success_PG=torch.tensor([[True, False], [True, False], [False, False]]),
        lengths_PG=torch.tensor([[300, 100], [50, 150], [80, 90]]),
        truncated_PG=torch.zeros(3, 2, dtype=torch.bool),
        config=config_of("dr_grpo", lambda_att=0.1),
    )
    assert result.weights_P.tolist() == pytest.approx([1.0, 0.1, 1.0])
    assert result.tas_P.tolist() == [True, False, True]
    expected = {
        "adora/tas_frac": 2 / 3,
        "adora/tds_frac": 1 / 3,
        "adora/weight_mean": 0.7,
        "adora/weight_std": 0.18**0.5,
        "adora/effective_lr_factor": 0.55,
        "advantage/mean": 0.0,
        "advantage/min": -0.5,
        "advantage/max": 0.5,
        "advantage/zero_group_frac": 1 / 3,
        "group/none_correct_frac": 1 / 3,
        "group/all_correct_frac": 0.0,
        "group/mixed_frac": 2 / 3,
        "group/success_rate": 1 / 3,
        "group/success_le_25": 0.0,
        "group/success_le_50": 2 / 3,
        "group/success_le_75": 0.0,
        "group/success_le_100": 0.0,
        "length/correct": 175.0,
        "length/incorrect": 105.0,
    }
    assert {k: result.metrics[k] for k in expected} == pytest.approx(expected, abs=1e-6)


def test_a_mean_over_nothing_is_left_out_of_the_metrics() -> None:
    batch = random_batch(5) | {"success_PG": torch.zeros(16, 8, dtype=torch.bool)}
    metrics = compute_advantages(**batch, config=AdvantageConfig()).metrics
    assert "length/correct" not in metrics
    assert all(isinstance(value, float) for value in metrics.values())


def test_weights_are_logged_as_applied_and_the_verdict_as_judged() -> None:
    batch = random_batch(6)
    off = compute_advantages(**batch, config=config_of("grpo", enabled=False))
    on = compute_advantages(**batch, config=config_of("grpo"))
    assert off.metrics["adora/weight_mean"] == 1.0
    assert off.metrics["adora/tas_frac"] == on.metrics["adora/tas_frac"] < 1.0


def test_success_comes_from_the_reward_threshold_when_there_are_no_verdicts() -> None:
    batch = random_batch(7)
    config = config_of("grpo", success_threshold=0.5)
    without = compute_advantages(**(batch | {"success_PG": None}), config=config)
    assert torch.equal(
        without.advantages_PG, compute_advantages(**batch, config=config).advantages_PG
    )
    with pytest.raises(ValueError, match="success_threshold"):
        compute_advantages(**(batch | {"success_PG": None}), config=config_of("grpo"))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_reward_that_is_not_finite_is_refused_with_its_place(value: float) -> None:
    batch = random_batch(8)
    batch["rewards_PG"][3, 2] = value
    with pytest.raises(ValueError, match="group 3, rollout 2"):
        compute_advantages(**batch, config=AdvantageConfig())


def test_wrong_shapes_and_empty_groups_are_refused() -> None:
    batch = random_batch(9)
    with pytest.raises(ValueError, match="lengths_PG has shape"):
        compute_advantages(
            **(batch | {"lengths_PG": batch["lengths_PG"][:, :3]}), config=AdvantageConfig()
        )
    mask = batch["mask_PG"].clone()
    mask[2] = False
    with pytest.raises(ValueError, match=r"groups \[2\] have no rollout"):
        compute_advantages(**(batch | {"mask_PG": mask}), config=AdvantageConfig())
    with pytest.raises(ValueError, match="non-empty"):
        compute_advantages(
            **{name: tensor[:0] for name, tensor in batch.items()}, config=AdvantageConfig()
        )
