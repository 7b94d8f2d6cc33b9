"""The arithmetic of one training step between rollouts and update: advantages over all ranks.

Whitening, controls and the ADORA metrics look at the whole rollout batch, so the few numbers that
they need are gathered; tokens and images stay where they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from adora_mm import distributed
from adora_mm.advantages import AdvantageResult, compute_advantages
from adora_mm.balance import balance
from adora_mm.batching import (
    TOKEN_COSTS,
    Minibatch,
    TrainGroup,
    even_out,
    make_minibatch,
    plan_microbatches,
    split_groups,
)
from adora_mm.collect import Collected
from adora_mm.config import AdvantageConfig, LossConfig, RewardConfig, TrainConfig
from adora_mm.rewards import is_truncated, succeeded
from adora_mm.types import RolloutGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutFacts:
    """What the estimators and the metrics need of one rollout."""

    reward: float
    parts: tuple[tuple[str, float], ...]
    success: bool
    correct: bool
    unparsed: bool
    timeout: bool
    length: int
    truncated: bool
    surprise: float
    """Minus the log-prob of the whole response under the rollout engine, nats."""


def facts_of(group: RolloutGroup, reward: RewardConfig) -> list[RolloutFacts]:
    return [
        RolloutFacts(
            reward=rollout.reward,
            parts=tuple(rollout.reward_parts.items()),
            success=succeeded(rollout.verdict, rollout.completion, reward),
            correct=rollout.verdict.correct,
            unparsed=rollout.verdict.outcome == "unparsed",
            timeout=rollout.verdict.outcome == "timeout",
            length=len(rollout.completion.token_ids),
            truncated=is_truncated(rollout.completion),
            surprise=-sum(rollout.completion.logprobs),
        )
        for rollout in group.rollouts
    ]


def gather_facts(
    groups: Sequence[RolloutGroup], share: Sequence[int], reward: RewardConfig
) -> list[list[RolloutFacts]]:
    """Facts of the whole rollout batch, [P][G], in the order of the prompts, on every rank."""
    own = [(index, facts_of(group, reward)) for index, group in zip(share, groups, strict=True)]
    everything = [item for part in distributed.gather(own) for item in part]
    return [facts for _, facts in sorted(everything, key=lambda item: item[0])]


def advantages_of(
    facts_PG: Sequence[Sequence[RolloutFacts]],
    config: AdvantageConfig,
    *,
    step: int,
    seed: int,
) -> AdvantageResult:
    """Advantages and weights of the whole batch. Groups are equally large here."""
    return compute_advantages(
        torch.tensor([[fact.reward for fact in facts] for facts in facts_PG], dtype=torch.float64),
        success_PG=torch.tensor([[fact.success for fact in facts] for facts in facts_PG]),
        lengths_PG=torch.tensor([[fact.length for fact in facts] for facts in facts_PG]),
        truncated_PG=torch.tensor([[fact.truncated for fact in facts] for facts in facts_PG]),
        config=config,
        step=step,
        seed=seed,
    )


def train_groups(
    collected: Collected, share: Sequence[int], result: AdvantageResult, loss: LossConfig
) -> list[TrainGroup]:
    """This rank's groups with their advantages."""
    return [
        TrainGroup(
            prompt=prompt,
            completions=tuple(rollout.completion for rollout in group.rollouts),
            advantages=tuple(result.advantages_PG[index].tolist()),
            counted=tuple(
                not (loss.mask_truncated and is_truncated(rollout.completion))
                for rollout in group.rollouts
            ),
        )
        for index, prompt, group in zip(share, collected.prompts, collected.groups, strict=True)
    ]


def minibatches_of(
    groups: Sequence[TrainGroup],
    loss: LossConfig,
    train: TrainConfig,
    *,
    num_minibatches: int,
    batching: str,
    pad: int,
) -> list[Minibatch]:
    """This rank's part of every optimizer step, without the groups that have no gradient.

    A group whose advantages are all zero moves nothing unless a term of the loss acts on every
    token (KL or entropy); then all groups are kept. The others are evened out over the ranks.
    `batching` is the one in force, which says what a micro-batch costs. Collective: all ranks get
    the same number of micro-batches.
    """
    cost, keep_all = TOKEN_COSTS[batching], bool(loss.kl_coef or loss.entropy_coef)
    plans: list[list[list[TrainGroup]]] = []
    left_out: list[list[TrainGroup]] = []
    for part in split_groups(groups, num_minibatches):
        skipped = [] if keep_all else [group for group in part if not group.has_signal]
        scored = balance([group for group in part if keep_all or group.has_signal], cost)
        if not scored:  # an optimizer step is taken even when it moves by momentum alone
            scored, skipped = skipped[:1], skipped[1:]
        left_out.append(skipped)
        plans.append(
            plan_microbatches(
                scored,
                groups_per_microbatch=train.groups_per_microbatch,
                max_tokens=train.max_tokens_per_microbatch,
                cost=cost,
            )
        )
    own = [len(plan) for plan in plans]
    counts = [max(lengths) for lengths in zip(*distributed.gather(own), strict=True)]
    return [
        make_minibatch(even_out(plan, count, cost), skipped, pad)
        for plan, skipped, count in zip(plans, left_out, counts, strict=True)
    ]


def rollout_metrics(facts_PG: Sequence[Sequence[RolloutFacts]]) -> dict[str, float]:
    """Means over all rollouts of the step.

    `rollout/entropy` is the mean surprise of a sampled token, nats: an unbiased estimate of the
    policy's entropy at the positions it visits, also in groups that are not trained on.
    """
    facts = [fact for group in facts_PG for fact in group]
    count = len(facts)
    metrics = {
        "reward/mean": sum(fact.reward for fact in facts) / count,
        "rollout/correct_frac": sum(fact.correct for fact in facts) / count,
        "rollout/length_mean": sum(fact.length for fact in facts) / count,
        "rollout/entropy": sum(fact.surprise for fact in facts)
        / max(sum(fact.length for fact in facts), 1),
        "rollout/length_max": float(max(fact.length for fact in facts)),
        "rollout/truncated_frac": sum(fact.truncated for fact in facts) / count,
        "rollout/unparsed_frac": sum(fact.unparsed for fact in facts) / count,
        "rollout/check_timeout_frac": sum(fact.timeout for fact in facts) / count,
    }
    for fact in facts:
        for name, value in fact.parts:
            metrics[f"reward/{name}"] = metrics.get(f"reward/{name}", 0.0) + value / count
    return metrics
