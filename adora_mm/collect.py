"""Problems to scored groups: encode, generate, check, reward."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from adora_mm.config import RewardConfig
from adora_mm.data import ImageError
from adora_mm.early_checks import EarlyChecks
from adora_mm.processor import Processor, Prompt
from adora_mm.prompts import PromptError
from adora_mm.rewards import score
from adora_mm.rollout import RolloutBackend, Sampling
from adora_mm.types import Completion, Problem, Rollout, RolloutGroup, Verdict
from adora_mm.verify import CheckerPool

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One rank's rollouts of a step, with the encoded prompts for the update."""

    groups: tuple[RolloutGroup, ...]
    prompts: tuple[Prompt, ...]
    rollout_s: float
    reward_s: float
    """Seconds from the last completion to the last verdict; most checks are made before."""

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
    *,
    replace_bad: bool = False,
) -> Collected:
    """`sampling.num_completions` scored rollouts for each problem, in order.

    `keys` name the random numbers of each problem's completions; None takes the problems' ids.
    Raises ImageError or PromptError, naming the problem, when one cannot be encoded any more; with
    `replace_bad` another problem of the list takes its place while one is left.
    """
    started = time.monotonic()
    keys = [problem.id for problem in problems] if keys is None else keys
    problems, prompts = _encode(processor, problems, keys, replace_bad=replace_bad)
    with EarlyChecks(pool, problems) as checks:
        completions = backend.generate(prompts, sampling, checks.add)
        generated = time.monotonic()
    groups = tuple(
        RolloutGroup(
            problem=problem,
            rollouts=tuple(
                _rollout(verdict, completion, reward, sampling.max_new_tokens)
                for verdict, completion in zip(row_verdicts, row_completions, strict=True)
            ),
        )
        for problem, row_completions, row_verdicts in zip(
            problems, completions, checks.verdicts(), strict=True
        )
    )
    return Collected(
        groups=groups,
        prompts=tuple(prompts),
        rollout_s=generated - started,
        reward_s=time.monotonic() - generated,
    )


def _encode(
    processor: Processor, problems: Sequence[Problem], keys: Sequence[str], *, replace_bad: bool
) -> tuple[list[Problem], list[Prompt]]:
    """Problems and their prompts; a picture that was whole when the run began may not be now."""
    encoded: list[tuple[Problem, Prompt] | None] = []
    for problem, key in zip(problems, keys, strict=True):
        try:
            encoded.append((problem, replace(processor.encode(problem), problem_id=key)))
        except (ImageError, PromptError) as error:
            if not replace_bad:
                raise
            encoded.append(None)
            fault = error
            LOG.warning("%s; another problem takes its place (data.on_bad=drop)", error)
    good = [pair for pair in encoded if pair is not None]
    if encoded and not good:
        raise fault
    for place, pair in enumerate(encoded):
        if pair is None:
            problem, prompt = good[place % len(good)]
            key = f"{prompt.problem_id}#in-place-of-{keys[place]}"  # other completions, too
            encoded[place] = (problem, replace(prompt, problem_id=key))
    pairs = [pair for pair in encoded if pair is not None]
    return [problem for problem, _ in pairs], [prompt for _, prompt in pairs]


def _rollout(
    verdict: Verdict, completion: Completion, reward: RewardConfig, max_new_tokens: int
) -> Rollout:
    total, parts = score(verdict, completion, reward, max_response_tokens=max_new_tokens)
    return Rollout(completion=completion, verdict=verdict, reward=total, reward_parts=parts)
