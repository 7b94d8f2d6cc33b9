"""Rollout batches with and without dynamic sampling, on made-up rollouts."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from adora_mm.collect import Collected
from adora_mm.config import DynamicSamplingConfig, RewardConfig
from adora_mm.dynamic_sampling import BatchShape, collect_step, sampling_keys
from adora_mm.processor import Prompt
from adora_mm.types import Completion, Problem, Rollout, RolloutGroup, Verdict


def problem(name: str) -> Problem:
    return Problem(id=name, question="q", answer="1")


def group(name: str, pattern: str) -> tuple[RolloutGroup, Prompt]:
    """`pattern` has one letter per rollout: r(ight) or w(rong)."""
    rollouts = tuple(
        Rollout(
            completion=Completion(token_ids=(1,), text="", finish_reason="stop", logprobs=(-1.0,)),
            verdict=Verdict(
                outcome="correct" if letter == "r" else "incorrect", extracted="1", reason=""
            ),
            reward=float(letter == "r"),
            reward_parts={},
        )
        for letter in pattern
    )
    prompt = Prompt(
        problem_id=name, token_ids=(1,), unexpanded_ids=(1,), pixel_values=None, image_grid_thw=None
    )
    return RolloutGroup(problem=problem(name), rollouts=rollouts), prompt


class Source:
    """Batches of problems whose names say how their rollouts turn out."""

    def __init__(self, *batches: Sequence[str]) -> None:
        self.batches = list(batches)
        self.attempts: list[int] = []

    def next_batch(self) -> list[Problem]:
        return [problem(name) for name in self.batches.pop(0)]

    def collect(self, problems: Sequence[Problem], keys: Sequence[str], attempt: int) -> Collected:
        self.attempts.append(attempt)
        pairs = [group(p.id, p.id.split("-")[0]) for p in problems]
        return Collected(
            groups=tuple(g for g, _ in pairs),
            prompts=tuple(p for _, p in pairs),
            rollout_s=1.0,
            reward_s=0.5,
        )


def names(source: Source, config: DynamicSamplingConfig, minibatch: int = 1) -> tuple:
    shape = BatchShape(prompts=2, minibatch=minibatch)
    batch = collect_step(source.next_batch, source.collect, shape, RewardConfig(), config)
    assert [g.problem.id for g in batch.collected.groups] == batch.problem_ids
    assert len(batch.facts_PG) == len(batch.problem_ids)
    return batch.problem_ids, batch.metrics


def test_without_it_every_group_is_kept() -> None:
    assert names(Source(["rr-1", "ww-2"]), DynamicSamplingConfig()) == (["rr-1", "ww-2"], {})


def test_groups_without_signal_are_replaced_in_order() -> None:
    source = Source(["rr-1", "rw-2"], ["ww-3", "rr-4"], ["wr-5", "rw-6"])
    kept, metrics = names(source, DynamicSamplingConfig(enabled=True))
    assert kept == ["rw-2", "wr-5"]
    assert source.attempts == [1, 2, 3]
    assert metrics["sampling/attempts"] == 3
    assert metrics["sampling/groups_seen"] == 6
    assert metrics["sampling/unused_frac"] == pytest.approx(1 / 3)


def test_a_shortfall_trains_on_whole_minibatches() -> None:
    config = DynamicSamplingConfig(enabled=True, max_attempts=1)
    assert names(Source(["rr-1", "rw-2"]), config)[0] == ["rw-2"]
    with pytest.raises(ValueError, match="fewer than one optimizer step of 2"):
        names(Source(["rr-1", "rw-2"]), config, minibatch=2)


def test_a_problem_that_comes_twice_gets_other_random_numbers() -> None:
    assert sampling_keys([problem("a"), problem("b"), problem("a")]) == ["a", "b", "a#1"]
