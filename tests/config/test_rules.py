"""What a recipe may not say, and that each refusal is one line with the key and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from adora_mm.config import ConfigError, load_config

ALLOWED = ["rollout.group_size=4", "rollout.max_new_tokens=64"]


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "smallest.yaml"
    path.write_text("data: {train: data/x}\ntrain: {total_steps: 2}\n", "utf-8")
    return path


def refusal(recipe: Path, *overrides: str) -> str:
    with pytest.raises(ConfigError) as error:
        load_config(recipe, overrides)
    line = str(error.value)
    assert line.startswith(f"{recipe}: ")
    assert "\n" not in line
    return line.removeprefix(f"{recipe}: ")


# --------------------------------------------------------------------------------- unknown


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("trian.total_steps=1", "unknown key trian; did you mean train?"),
        (
            "train.learning_rat=1",
            "unknown key train.learning_rat; did you mean train.learning_rate?",
        ),
        (
            "advantage.adora.lambda_at=1",
            "unknown key advantage.adora.lambda_at; did you mean advantage.adora.lambda_att?",
        ),
        (
            "data.generate.familys=[a]",
            "unknown key data.generate.familys; did you mean data.generate.families?",
        ),
    ],
)
def test_an_unknown_key_gets_the_nearest_name(recipe: Path, word: str, line: str) -> None:
    assert line in refusal(recipe, "data.generate={folder: a, counts: {train: 1}}", word)


def test_an_unknown_key_that_is_near_nothing_gets_all_names(recipe: Path) -> None:
    assert refusal(recipe, "checker.xyzzy=1") == (
        "unknown key checker.xyzzy; known here: workers, timeout_s, memory_mb"
    )


# ------------------------------------------------------------------------- types and ranges


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("train.learning_rate=-1", "train.learning_rate=-1: input should be greater than 0"),
        ("train.learning_rate=inf", "train.learning_rate='inf': input should be a finite number"),
        ("train.learning_rate=.nan", "train.learning_rate=nan: input should be a finite number"),
        ("train.learning_rate=fast", "train.learning_rate='fast': input should be a valid number"),
        ("rollout.top_p=1.5", "rollout.top_p=1.5: input should be less than or equal to 1"),
        ("rollout.group_size=2.5", "rollout.group_size=2.5: input should be a valid integer"),
        ("seed=-1", "seed=-1: input should be greater than or equal to 0"),
        ("engine.zero_stage=4", "engine.zero_stage=4: input should be 0, 1, 2 or 3"),
        ("policy.dtype=int8", "policy.dtype='int8': input should be 'float32' or 'bfloat16'"),
        ("evaluation.greedy=maybe", "evaluation.greedy='maybe': input should be a valid boolean"),
        ("train.betas=[0.9]", "train.betas.1 is missing"),
        ("data.train=5", "data.train=5: input should be a valid string"),
        ("name=a/b", "name='a/b': string should match pattern"),
        ("checker=3", "checker is a section, not a value; its keys: workers, timeout_s, memory_mb"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_key(recipe: Path, word: str, line: str) -> None:
    assert refusal(recipe, word).startswith(line)


def test_several_mistakes_are_told_at_once(recipe: Path) -> None:
    line = refusal(recipe, "seed=-1", "rollout.top_p=2", "trian=1")
    assert all(key in line for key in ("seed=-1", "rollout.top_p=2", "unknown key trian"))


# -------------------------------------------------------------------- rules inside a section


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["train.total_steps=null"], "exactly one of train.total_steps and train.episodes"),
        (["train.episodes=1"], "exactly one of train.total_steps and train.episodes"),
        (["engine.offload_optimizer=true"], "engine.zero_stage of 1, 2 or 3"),
        (["engine.offload_params=true", "engine.zero_stage=2"], "engine.zero_stage=3"),
        (["reward.format=1"], "lower format"),
        (["reward.overlong=0.5"], "overlong_buffer_tokens=<tokens>"),
        (["loss.aggregation=constant_length"], "constant_length=<tokens>"),
        (["loss.policy_loss=gspo", "loss.dual_clip=3"], "policy_loss=ppo_clip"),
        (["loss.policy_loss=gspo", "loss.aggregation=token_mean"], "aggregation=sequence_mean"),
        (["advantage.adora.from_step=5", "advantage.adora.until_step=5"], "raise until_step"),
        (["advantage.estimator=reinforce_pp", "advantage.whiten=false"], "leave whiten out"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    recipe: Path, overrides: list[str], remedy: str
) -> None:
    assert remedy in refusal(recipe, *overrides)


# --------------------------------------------------------------------- rules across sections


def test_minibatches_must_divide_the_rollout_batch(recipe: Path) -> None:
    line = refusal(recipe, "rollout.prompts_per_step=48", "train.prompts_per_minibatch=32")
    assert "rollout.prompts_per_step=48 is not a multiple of train.prompts_per_minibatch=32" in line
    larger = refusal(recipe, "rollout.prompts_per_step=16", "train.prompts_per_minibatch=32")
    assert "not a multiple" in larger


@pytest.mark.parametrize(("prompts", "minibatch"), [(32, 32), (64, 16), (1, 1), (6, 3)])
def test_batches_that_divide_are_accepted(recipe: Path, prompts: int, minibatch: int) -> None:
    sizes = [f"rollout.prompts_per_step={prompts}", f"train.prompts_per_minibatch={minibatch}"]
    assert load_config(recipe, sizes).rollout.prompts_per_step == prompts


@pytest.mark.parametrize(
    ("overrides", "remedy"),
    [
        (["rollout.group_size=1"], "sample at least 2"),
        (
            ["advantage.estimator=max_at_k", "advantage.max_k=5", "rollout.group_size=4"],
            "lower max_k or sample more rollouts",
        ),
        (
            ["advantage.estimator=dr_grpo", "loss.aggregation=sequence_mean"],
            "loss.aggregation=constant_length",
        ),
        (
            ["reward.overlong=0.5", "reward.overlong_buffer_tokens=65"],
            "exceeds the response cap of 64 tokens",
        ),
        (
            [
                "dynamic_sampling.enabled=true",
                "dynamic_sampling.min_success_rate=0.3",
                "dynamic_sampling.max_success_rate=0.4",
            ],
            "no group of 4 rollouts can have",
        ),
        (
            ["dynamic_sampling.enabled=true", "advantage.estimator=reinforce_pp"],
            "use estimator=grpo",
        ),
    ],
)
def test_sections_that_contradict_each_other_are_refused(
    recipe: Path, overrides: list[str], remedy: str
) -> None:
    assert remedy in refusal(recipe, *ALLOWED, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["rollout.group_size=1", "advantage.estimator=reinforce_pp"],
        ["advantage.estimator=max_at_k", "advantage.max_k=4"],
        ["advantage.estimator=dr_grpo"],
        ["reward.overlong=0.5", "reward.overlong_buffer_tokens=64"],
        ["dynamic_sampling.enabled=true"],
        ["dynamic_sampling.enabled=true", "advantage.estimator=reinforce_pp_baseline"],
        # bounds that nothing can meet do no harm while dynamic sampling is off
        ["dynamic_sampling.min_success_rate=0.3", "dynamic_sampling.max_success_rate=0.4"],
    ],
)
def test_the_edge_of_each_rule_is_allowed(recipe: Path, overrides: list[str]) -> None:
    load_config(recipe, [*ALLOWED, *overrides])


def test_a_policy_loss_brings_its_own_defaults(recipe: Path) -> None:
    gspo = load_config(recipe, ["loss.policy_loss=gspo"]).loss
    assert (gspo.clip_low, gspo.clip_high, gspo.aggregation) == (3e-4, 4e-4, "sequence_mean")
    assert load_config(recipe, ["loss.policy_loss=gspo", "loss.clip_low=0.1"]).loss.clip_low == 0.1
