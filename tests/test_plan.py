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


def test_a_run_has_at_least_one_step() -> None:
    assert make_plan(config(episodes=0.001), 10).total_steps == 1
