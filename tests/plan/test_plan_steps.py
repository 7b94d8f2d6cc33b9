"""The plan: what a recipe will do, counted before anything is loaded."""

from __future__ import annotations

from adora_mm.config import DataConfig, RolloutConfig, RunConfig, TrainConfig
from adora_mm.plan import describe, make_plan


def config(**train: float) -> RunConfig:
    return RunConfig(
        name="p",
        data=DataConfig(train="x"),
        rollout=RolloutConfig(prompts_per_step=128, group_size=8, max_new_tokens=4096),
        train=TrainConfig(prompts_per_minibatch=16, **train),
    )


def test_the_published_recipe_has_about_240_steps() -> None:
    plan = make_plan(config(episodes=15), 2101)
    assert plan.total_steps == 247
    assert plan.updates_per_step == 8
    assert plan.total_updates == 247 * 8
    assert plan.rollouts == 247 * 1024


def test_steps_may_be_given() -> None:
    plan = make_plan(config(total_steps=3), 2101)
    text = describe(plan, config(total_steps=3), 7_000_000_000)
    assert "3 steps x 128 prompts x 8 rollouts = 3,072 rollouts" in text
    assert "7,000,000,000 parameters" in text


def test_only_what_is_trained_has_gradients_and_moments() -> None:
    plan = make_plan(config(total_steps=3), 2101)
    base = config(total_steps=3).model_dump() | {"loss": {"kl_coef": 0.1}}
    whole = RunConfig.model_validate(base)
    lora = RunConfig.model_validate(base | {"policy": {"lora": {"rank": 8}}})
    text = describe(plan, whole, 1_000_000_000, 1_000_000_000)
    assert "1,000,000,000 parameters (policy, rollout copy, reference)" in text
    assert "16.00 GB" in text  # 4 bytes each for weight, gradient and two moments
    text = describe(plan, lora, 1_010_000_000, 10_000_000)
    assert "1,010,000,000 parameters, 10,000,000 of them trained (policy, rollout copy)" in text
    assert "4.16 GB" in text


def test_a_run_has_at_least_one_step() -> None:
    assert make_plan(config(episodes=0.001), 10).total_steps == 1
