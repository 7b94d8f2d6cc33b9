"""Accuracy on held-out problems, greedy and sampled, with an interval.

Sampling seeds are the same at every evaluation, so that two of them differ by the policy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adora_mm import distributed
from adora_mm.collect import collect_groups
from adora_mm.config import EvaluationConfig, RewardConfig
from adora_mm.metrics.scores import score
from adora_mm.processor import Processor
from adora_mm.rollout import RolloutBackend, Sampling
from adora_mm.types import Problem, RolloutGroup
from adora_mm.verify import CheckerPool

PROBLEMS_AT_ONCE = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalResult:
    """One evaluation of one kind; a row of evals.jsonl."""

    step: int
    name: str
    mode: str
    """`greedy` or `sampled`."""
    n: int
    """Answers scored: problems, times completions per problem when sampled."""
    correct: int
    accuracy: float
    low: float
    high: float
    """95 % interval of the accuracy: Wilson's, or bootstrapped over problems when each has several
    samples (`metrics/scores.py`, as in the benchmarks)."""
    mean_tokens: float
    truncated_frac: float
    unparsed_frac: float
    timeout_frac: float


def evaluate(
    backend: RolloutBackend,
    processor: Processor,
    pool: CheckerPool,
    problems: Sequence[Problem],
    config: EvaluationConfig,
    *,
    name: str,
    step: int,
    max_new_tokens: int,
    seed: int | str,
    reward: RewardConfig,
) -> list[tuple[EvalResult, list[RolloutGroup]]]:
    """Evaluate in every mode that the config asks for; problems are shared out over the ranks.

    Every rank returns the same results; the groups are those of all ranks, in order.
    """
    modes: list[tuple[str, int, float]] = []
    if config.greedy:
        modes.append(("greedy", 1, 0.0))
    if config.samples:
        modes.append(("sampled", config.samples, config.temperature))
    outcomes = []
    for mode, count, temperature in modes:
        sampling = Sampling(
            num_completions=count,
            max_new_tokens=config.max_new_tokens or max_new_tokens,
            temperature=temperature,
            seed=seed,
        )
        groups = _collect(backend, processor, pool, problems, sampling, reward)
        outcomes.append((summarise(groups, name=name, mode=mode, step=step), groups))
    return outcomes


def summarise(groups: Sequence[RolloutGroup], *, name: str, mode: str, step: int) -> EvalResult:
    """Count the verdicts; a right answer counts even if the text went on too long."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    outcomes = [rollout.verdict.outcome for rollout in rollouts]
    n = len(rollouts)
    found = score(
        [[rollout.verdict.correct for rollout in group.rollouts] for group in groups],
        [group.problem.id for group in groups],
    )
    if found.accuracy is None or found.low is None or found.high is None:
        raise ValueError(f"{name}: nothing to evaluate")
    return EvalResult(
        step=step,
        name=name,
        mode=mode,
        n=n,
        correct=found.correct,
        accuracy=found.accuracy,
        low=found.low,
        high=found.high,
        mean_tokens=sum(len(r.completion.token_ids) for r in rollouts) / n,
        truncated_frac=sum(r.completion.finish_reason == "length" for r in rollouts) / n,
        unparsed_frac=outcomes.count("unparsed") / n,
        timeout_frac=outcomes.count("timeout") / n,
    )


def _collect(
    backend: RolloutBackend,
    processor: Processor,
    pool: CheckerPool,
    problems: Sequence[Problem],
    sampling: Sampling,
    reward: RewardConfig,
) -> list[RolloutGroup]:
    rank, world_size = distributed.place()
    own = problems[rank::world_size]
    groups: list[RolloutGroup] = []
    for start in range(0, len(own), PROBLEMS_AT_ONCE):
        part = own[start : start + PROBLEMS_AT_ONCE]
        groups += collect_groups(backend, processor, pool, part, sampling, reward).groups
    shares = distributed.gather(groups)
    return [shares[i % world_size][i // world_size] for i in range(len(problems))]
