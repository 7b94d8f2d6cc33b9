"""What every engine gets and gives: problems as they are shown, sampling, and responses in lots."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from adora_mm.types import Problem
from evaluation.responses import Response, ResponseFile, sample_id


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplePlan:
    """How each problem is answered; the same for every engine."""

    samples: int
    temperature: float
    """0 is greedy."""
    top_p: float
    max_new_tokens: int
    seed: int
    batch: int
    """Problems that a local engine answers together. Batches are cut by position in the benchmark,
    never by what is left, because the last bits of a logit depend on the company."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """Which batches this process answers: those whose number leaves `index` by `count`."""

    index: int = 0
    count: int = 1


class Engine(Protocol):
    """Answers problems; yields rows as they come, so that they can be stored at once."""

    def answer(
        self, problems: Sequence[Problem], plan: SamplePlan, done: ResponseFile, shard: Shard
    ) -> Iterator[list[Response]]:
        """Rows of all samples that `done` does not hold yet."""

    def close(self) -> None:
        """Free everything."""


def batches(problems: Sequence[Problem], size: int, shard: Shard) -> Iterator[Sequence[Problem]]:
    """This shard's batches, at positions that depend on the benchmark alone."""
    for number, start in enumerate(range(0, len(problems), size)):
        if number % shard.count == shard.index:
            yield problems[start : start + size]


def missing_samples(
    problems: Sequence[Problem], samples: int, done: ResponseFile
) -> list[tuple[Problem, int]]:
    """(problem, sample) pairs that have no answer yet, in order."""
    return [
        (problem, sample)
        for problem in problems
        for sample in range(samples)
        if sample_id(problem.id, sample) not in done.answered
    ]


def request_seed(seed: int, problem_id: str, sample: int) -> int:
    """A seed of 31 bits for engines that take one per request."""
    digest = hashlib.blake2b(f"{seed}/{problem_id}/{sample}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") & 0x7FFFFFFF
