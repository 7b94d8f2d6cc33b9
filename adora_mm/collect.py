"""Problems to scored groups: encode, generate, check, reward."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adora_mm.config import RewardConfig
from adora_mm.processor import Processor, Prompt
from adora_mm.rewards import score
from adora_mm.rollout import RolloutBackend, Sampling
from adora_mm.types import Completion, Problem, Rollout, RolloutGroup, Verdict
from adora_mm.verify import CheckerPool


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One rank's rollouts of a step, with the encoded prompts for the update."""

    groups: tuple[RolloutGroup, ...]
    prompts: tuple[Prompt, ...]
    rollout_s: float
    reward_s: float

    def select(self, keep: Sequence[bool]) -> Collected:
        """The groups for which `keep` is true, with their prompts."""
        return replace(
            self,
            groups=tuple(group for group, kept in zip(self.groups, keep, strict=True) if kept),
            prompts=tuple(prompt for prompt, kept in zip(self.prompts, keep, strict=True) if kept),
        )


def merge(parts: Sequence[Collected]) -> Collected:
    """All groups of several collections, and the time of all of them."""
    return Collected(
        groups=tuple(group for part in parts for group in part.groups),
        prompts=tuple(prompt for part in parts for prompt in part.prompts),
        rollout_s=sum(part.rollout_s for part in parts),
        reward_s=sum(part.reward_s for part in parts),
    )


def collect_groups(
    backend: RolloutBackend,
    processor: Processor,
    pool: CheckerPool,
    problems: Sequence[Problem],
    sampling: Sampling,
    reward: RewardConfig,
    keys: Sequence[str] | None = None,
) -> Collected:
    """`sampling.num_completions` scored rollouts for each problem, in order.

    `keys` name the random numbers of each problem's completions; None takes the problems' ids.
    Raises ImageError or PromptError, naming the problem, when one cannot be encoded any more.
    """
    started = time.monotonic()
    prompts = [processor.encode(problem) for problem in problems]
    if keys is not None:
        prompts = [replace(p, problem_id=key) for p, key in zip(prompts, keys, strict=True)]
    completions = backend.generate(prompts, sampling)
    generated = time.monotonic()
    verdicts = check(pool, problems, completions)
    groups = tuple(
        RolloutGroup(
            problem=problem,
            rollouts=tuple(
                _rollout(verdict, completion, reward, sampling.max_new_tokens)
                for verdict, completion in zip(row_verdicts, row_completions, strict=True)
            ),
        )
        for problem, row_completions, row_verdicts in zip(
            problems, completions, verdicts, strict=True
        )
    )
    return Collected(
        groups=groups,
        prompts=tuple(prompts),
        rollout_s=generated - started,
        reward_s=time.monotonic() - generated,
    )


def check(
    pool: CheckerPool,
    problems: Sequence[Problem],
    completions: Sequence[Sequence[Completion]],
    *,
    profile: str = "reward",
) -> list[list[Verdict]]:
    """Verdicts in the shape of the completions."""
    jobs = [
        (completion.text, problem.answer, problem.choices or None)
        for problem, row in zip(problems, completions, strict=True)
        for completion in row
    ]
    verdicts = iter(pool.check_many(jobs, profile=profile))
    return [[next(verdicts) for _ in row] for row in completions]


def _rollout(
    verdict: Verdict, completion: Completion, reward: RewardConfig, max_new_tokens: int
) -> Rollout:
    total, parts = score(verdict, completion, reward, max_response_tokens=max_new_tokens)
    return Rollout(completion=completion, verdict=verdict, reward=total, reward_parts=parts)
