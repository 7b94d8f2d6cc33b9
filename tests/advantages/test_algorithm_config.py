"""Settings of the algorithm: defaults that follow other settings, ranges, and named remedies."""

from __future__ import annotations

import typing
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from adora_mm.advantages import ESTIMATORS
from adora_mm.config import load_config
from adora_mm.config.algorithm import (
    AdoraConfig,
    AdvantageConfig,
    DynamicSamplingConfig,
    EstimatorName,
    LossConfig,
    PolicyLossName,
    RewardConfig,
    check_algorithm,
)
from adora_mm.losses import POLICY_LOSSES

SECTIONS = [AdoraConfig, AdvantageConfig, LossConfig, RewardConfig, DynamicSamplingConfig]


@pytest.mark.parametrize("section", SECTIONS)
def test_unknown_keys_are_refused_and_values_are_frozen(section: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        section.model_validate({"lambda_at": 1.0})
    with pytest.raises(ValidationError, match="frozen"):
        setattr(section(), next(iter(section.model_fields)), 1)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_written_config_reads_back_the_same(section: type[BaseModel]) -> None:
    config = section()
    assert section.model_validate(config.model_dump()) == config


def test_names_in_the_config_are_the_entries_of_the_dicts() -> None:
    assert set(typing.get_args(EstimatorName)) == set(ESTIMATORS)
    assert set(typing.get_args(PolicyLossName)) == set(POLICY_LOSSES)


@pytest.mark.parametrize(
    ("loss", "low", "high", "aggregation"),
    [
        ("ppo_clip", 0.2, 0.2, "token_mean"),
        ("gspo", 3e-4, 4e-4, "sequence_mean"),
        ("cispo", 1.0, 4.0, "token_mean"),
        ("sapo", 0.2, 0.2, "sequence_mean"),
    ],
)
def test_defaults_follow_the_policy_loss(
    loss: str, low: float, high: float, aggregation: str
) -> None:
    config = LossConfig.model_validate({"policy_loss": loss})
    assert (config.clip_low, config.clip_high, config.aggregation) == (low, high, aggregation)
    assert LossConfig.model_validate({"policy_loss": loss, "clip_high": 0.5}).clip_high == 0.5


@pytest.mark.parametrize(
    ("section", "values", "remedy"),
    [
        (AdoraConfig, {"from_step": 5, "until_step": 5}, "raise until_step"),
        (AdvantageConfig, {"estimator": "reinforce_pp", "whiten": False}, "reinforce_pp_baseline"),
        (LossConfig, {"aggregation": "constant_length"}, "constant_length=<tokens>"),
        (LossConfig, {"policy_loss": "cispo", "dual_clip": 3.0}, "policy_loss=ppo_clip"),
        (LossConfig, {"policy_loss": "gspo", "aggregation": "token_mean"}, "sequence_mean"),
        (RewardConfig, {"accuracy": 1.0, "format": 1.0}, "lower format"),
        (RewardConfig, {"overlong": 1.0}, "overlong_buffer_tokens=<tokens>"),
        (
            DynamicSamplingConfig,
            {"min_success_rate": 0.5, "max_success_rate": 0.5},
            "every group would be dropped",
        ),
    ],
)
def test_settings_that_contradict_each_other_name_the_remedy(
    section: type[BaseModel], values: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(ValidationError, match=remedy):
        section.model_validate(values)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        (AdoraConfig, "lambda_att", -0.1),
        (AdoraConfig, "lambda_amp", float("inf")),
        (AdoraConfig, "tau", 1.5),
        (AdvantageConfig, "eps", 0.0),
        (LossConfig, "clip_low", 1.5),
        (LossConfig, "dual_clip", 1.0),
        (LossConfig, "kl_coef", -1.0),
        (LossConfig, "mismatch_cap", 1.0),
    ],
)
def test_values_out_of_range_are_refused(section: type[BaseModel], key: str, value: float) -> None:
    with pytest.raises(ValidationError, match=key):
        section.model_validate({key: value})


def check(
    advantage: dict[str, Any] | None = None,
    loss: dict[str, Any] | None = None,
    reward: dict[str, Any] | None = None,
    sampling: dict[str, Any] | None = None,
    group_size: int = 8,
) -> None:
    check_algorithm(
        AdvantageConfig.model_validate(advantage or {}),
        LossConfig.model_validate(loss or {}),
        RewardConfig.model_validate(reward or {}),
        DynamicSamplingConfig.model_validate(sampling or {}),
        group_size=group_size,
        max_response_tokens=100,
    )


def test_the_defaults_fit_together() -> None:
    check()


def test_couplings_between_sections_name_the_keys_of_the_recipe() -> None:
    with pytest.raises(ValueError, match=r"loss\.aggregation=constant_length"):
        check({"estimator": "dr_grpo"}, {"aggregation": "sequence_mean"})
    with pytest.raises(ValueError, match="group size of 1"):
        check(group_size=1)
    with pytest.raises(ValueError, match=r"advantage\.max_k=4"):
        check({"estimator": "max_at_k"}, group_size=3)
    with pytest.raises(ValueError, match=r"reward\.overlong_buffer_tokens=200"):
        check(reward={"overlong": 1.0, "overlong_buffer_tokens": 200})
    bounds = {"enabled": True, "min_success_rate": 0.4, "max_success_rate": 0.6}
    check(sampling=bounds, group_size=4)
    with pytest.raises(ValueError, match="no group of 3 rollouts"):
        check(sampling=bounds, group_size=3)


def test_the_dapo_recipe_makes_the_choices_of_its_paper() -> None:
    """arXiv 2503.14476: clip-higher, token-level loss, no KL, dynamic sampling, soft overlong."""
    config = load_config("geo3k_tiny_dapo")
    assert (config.loss.clip_low, config.loss.clip_high) == (0.2, 0.28)
    assert config.loss.aggregation == "token_mean"
    assert config.loss.kl_coef == 0
    assert config.dynamic_sampling.enabled
    assert config.reward.overlong > 0
    assert not config.advantage.adora.enabled
