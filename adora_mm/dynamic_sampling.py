"""The rollout batch of a step: one batch of prompts, or several until enough groups carry signal.

With dynamic sampling (DAPO, arXiv 2503.14476) groups that are all right or all wrong, in
*accuracy*, are replaced by groups of further prompts. Groups stay on the rank that made them:
every rank fills its own share, and all of them sample again until the slowest one has enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from adora_mm import distributed
from adora_mm.advantages import groups_with_signal, needs_more, sampling_metrics
from adora_mm.batching import rank_share
from adora_mm.collect import Collected, merge
from adora_mm.config import DynamicSamplingConfig, RewardConfig
from adora_mm.step import RolloutFacts, facts_of, gather_facts
from adora_mm.types import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBatch:
    """What a step trains on, whole in its facts and this rank's part in its groups."""

    collected: Collected
    share: list[int]
    """Place of each own group in the whole batch."""
    facts_PG: list[list[RolloutFacts]]
    problem_ids: list[str]
    metrics: dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchShape:
    """Prompts of a step and of an optimizer step, over all ranks."""

    prompts: int
    minibatch: int

    def share(self, prompts: int | None = None) -> list[int]:
        rank, world_size = distributed.place()
        total = self.prompts if prompts is None else prompts
        return rank_share(total, self.minibatch, rank=rank, world_size=world_size)


def collect_step(
    next_batch: Callable[[], list[Problem]],
    collect: Callable[[Sequence[Problem], Sequence[str], int], Collected],
    shape: BatchShape,
    reward: RewardConfig,
    config: DynamicSamplingConfig,
) -> StepBatch:
    """Rollouts for one step.

    `collect(problems, keys, attempt)` makes this rank's groups; a key names the random numbers of a
    prompt. Raises ValueError when `config.max_attempts` batches leave too little to train on.
    """
    share = shape.share()
    parts: list[Collected] = []
    kept: list[int] = []
    seen = attempts = 0
    while True:
        problems = next_batch()
        keys = sampling_keys(problems)
        attempts, seen = attempts + 1, seen + len(problems)
        own = [problems[i] for i in share]
        collected = collect(own, [keys[i] for i in share], attempts)
        if not config.enabled:
            return _whole(collected, share, reward, {})
        signal = _own_signal(collected, reward, config)
        parts.append(collected.select(signal))
        kept = distributed.gather(sum(len(part.groups) for part in parts))
        if not needs_more(kept=min(kept), wanted=len(share), attempts=attempts, config=config):
            break
    merged = merge(parts)
    usable = _usable(min(kept), len(share), shape)
    used = usable * len(kept)
    metrics = sampling_metrics(seen=seen, kept=sum(kept), used=used, attempts=attempts)
    first = merged.select([i < usable for i in range(len(merged.groups))])
    return _whole(first, shape.share(used), reward, metrics)


def sampling_keys(problems: Sequence[Problem]) -> list[str]:
    """Names of the prompts' random numbers: a problem that comes twice gets other completions."""
    count: Counter[str] = Counter()
    keys = []
    for problem in problems:
        repeat = count[problem.id]
        keys.append(f"{problem.id}#{repeat}" if repeat else problem.id)
        count[problem.id] += 1
    return keys


def _whole(
    collected: Collected, share: list[int], reward: RewardConfig, metrics: dict[str, float]
) -> StepBatch:
    facts_PG = gather_facts(collected.groups, share, reward)
    ids = distributed.gather(
        [(i, group.problem.id) for i, group in zip(share, collected.groups, strict=True)]
    )
    ordered = sorted(pair for part in ids for pair in part)
    return StepBatch(
        collected=collected,
        share=share,
        facts_PG=facts_PG,
        problem_ids=[problem_id for _, problem_id in ordered],
        metrics=metrics,
    )


def _own_signal(
    collected: Collected, reward: RewardConfig, config: DynamicSamplingConfig
) -> list[bool]:
    success_PG = [[fact.success for fact in facts_of(group, reward)] for group in collected.groups]
    return [bool(kept) for kept in groups_with_signal(torch.tensor(success_PG), config)]


def _usable(fewest: int, wanted: int, shape: BatchShape) -> int:
    """Groups per rank that fill whole minibatches; after a shortfall, fewer minibatches."""
    per_minibatch = shape.minibatch // distributed.place()[1]
    usable = min(fewest, wanted) // per_minibatch * per_minibatch
    if usable == 0:
        raise ValueError(
            f"dynamic sampling kept {fewest} groups per process, fewer than one optimizer step of "
            f"{per_minibatch}; lower train.prompts_per_minibatch or raise dynamic_sampling."
            "max_attempts"
        )
    return usable
