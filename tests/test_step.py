"""From scored groups to advantages: what the estimators see of a rollout."""

from __future__ import annotations

import pytest

from adora_mm.batching import MicroBatch, TrainGroup
from adora_mm.collect import Collected
from adora_mm.config import AdoraConfig, AdvantageConfig, LossConfig, RewardConfig, TrainConfig
from adora_mm.processor import Prompt
from adora_mm.step import (
    advantages_of,
    facts_of,
    gather_facts,
    minibatches_of,
    rollout_metrics,
    train_groups,
)
from adora_mm.types import Completion, Problem, Rollout, RolloutGroup, Verdict


def rollout(length: int, outcome: str, finish: str = "stop") -> Rollout:
    correct = outcome == "correct"
    return Rollout(
        completion=Completion(
            token_ids=(5,) * length, text="", finish_reason=finish, logprobs=(-1.0,) * length
        ),
        verdict=Verdict(outcome=outcome, extracted="1", reason=""),
        reward=1.0 if correct else 0.1,
        reward_parts={"accuracy": float(correct), "format": 0.0 if correct else 0.1},
    )


def group(*rollouts: Rollout) -> RolloutGroup:
    return RolloutGroup(problem=Problem(id="p", question="q", answer="1"), rollouts=rollouts)


# ADORA.md's vectors: lengths of successes / failures.
TAS = group(
    rollout(100, "correct"),
    rollout(300, "correct"),
    rollout(150, "incorrect"),
    rollout(200, "incorrect"),
)
TDS = group(
    rollout(100, "correct"),
    rollout(150, "incorrect"),
    rollout(200, "incorrect"),
    rollout(200, "unparsed"),
)


def test_adora_weighs_the_groups_of_the_batch() -> None:
    facts = gather_facts([TAS, TDS], [0, 1], RewardConfig())
    result = advantages_of(facts, AdvantageConfig(), step=0, seed=0)
    assert result.weights_P.tolist() == pytest.approx([1.0, 0.1])
    plain = advantages_of(facts, AdvantageConfig(adora=AdoraConfig(enabled=False)), step=0, seed=0)
    scaled = plain.advantages_PG * result.weights_P[:, None]
    assert result.advantages_PG.tolist() == scaled.tolist()


def test_order_is_that_of_the_prompts_not_of_the_ranks() -> None:
    facts = gather_facts([TDS, TAS], [1, 0], RewardConfig())
    assert [fact.length for fact in facts[0]] == [100, 300, 150, 200]


def test_a_cut_off_right_answer_is_no_success() -> None:
    facts = facts_of(group(rollout(50, "correct", "length")), RewardConfig())
    assert (facts[0].correct, facts[0].success, facts[0].truncated) == (True, False, True)


def test_metrics_are_means_over_all_rollouts() -> None:
    metrics = rollout_metrics(gather_facts([TAS, TDS], [0, 1], RewardConfig()))
    assert metrics["reward/mean"] == pytest.approx((3 * 1.0 + 5 * 0.1) / 8)
    assert metrics["reward/accuracy"] == pytest.approx(3 / 8)
    assert metrics["reward/format"] == pytest.approx(5 * 0.1 / 8)
    assert metrics["rollout/length_mean"] == pytest.approx(1400 / 8)
    assert metrics["rollout/length_max"] == 300
    assert metrics["rollout/entropy"] == 1.0  # every token above was sampled at a log-prob of -1
    assert metrics["rollout/unparsed_frac"] == 1 / 8


@pytest.mark.parametrize("masked", [False, True])
def test_truncated_rollouts_leave_the_loss_when_the_recipe_says_so(masked: bool) -> None:
    cut = group(rollout(9, "incorrect", "length"), rollout(5, "correct"))
    facts = gather_facts([cut], [0], RewardConfig())
    result = advantages_of(facts, AdvantageConfig(), step=0, seed=0)
    prompt = Prompt(
        problem_id="p", token_ids=(1,), unexpanded_ids=(1,), pixel_values=None, image_grid_thw=None
    )
    collected = Collected(groups=(cut,), prompts=(prompt,), rollout_s=0, reward_s=0)
    (ready,) = train_groups(collected, [0], result, LossConfig(mask_truncated=masked))
    assert ready.counted == (not masked, True)
    assert ready.advantages == pytest.approx(result.advantages_PG[0].tolist())


def train_group(length: int, advantage: float) -> TrainGroup:
    return TrainGroup(
        prompt=Prompt(
            problem_id="p", token_ids=(1,), unexpanded_ids=(1,), pixel_values=None,
            image_grid_thw=None,
        ),
        completions=(rollout(length, "correct").completion,) * 2,
        advantages=(advantage, -advantage),
        counted=(True, True),
    )  # fmt: skip


def scored_lengths(groups: list[TrainGroup], loss: LossConfig) -> tuple[list[int], int]:
    """Response lengths that are computed, and tokens that are left out."""
    (minibatch,) = minibatches_of(
        groups, loss, TrainConfig(total_steps=1), num_minibatches=1, batching="prefix", pad=0
    )

    def lengths(batch: MicroBatch) -> list[int]:
        return [int(n) for n in batch.response_mask_BT.sum(dim=1)[::2]]

    return [n for b in minibatch.micro_batches for n in lengths(b)], minibatch.skipped_tokens


def test_groups_without_signal_are_not_computed() -> None:
    groups = [train_group(3, 0.0), train_group(5, 1.0), train_group(7, 0.0), train_group(4, -1.0)]
    assert scored_lengths(groups, LossConfig()) == ([5, 4], 2 * (3 + 7))
    assert scored_lengths([groups[0], groups[2]], LossConfig()) == ([3], 2 * 7)


@pytest.mark.parametrize("term", [{"kl_coef": 0.1}, {"entropy_coef": 0.1}])
def test_a_term_over_all_tokens_keeps_every_group(term: dict[str, float]) -> None:
    groups = [train_group(3, 0.0), train_group(5, 1.0)]
    assert scored_lengths(groups, LossConfig(**term)) == ([5, 3], 0)
