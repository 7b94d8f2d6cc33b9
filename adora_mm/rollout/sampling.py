"""What a rollout backend is asked for, and the random numbers that make sampling repeatable.

Every completion has its own stream of uniform numbers, keyed by (seed, problem, index in the
group). So a completion does not depend on which prompts share its batch, on the order of prompts,
or on the number of ranks (up to the last bits of the logits).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from adora_mm.processor import Prompt
from adora_mm.types import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How to complete a prompt."""

    num_completions: int
    max_new_tokens: int
    temperature: float
    """0 is greedy."""
    top_p: float = 1.0
    seed: int | str = 0
    """Another seed, another sample; the same seed gives the same completions."""


Finished = Callable[[int, list[Completion]], None]
"""Takes the place of a prompt and its completions; called by the thread that called `generate`."""


class RolloutBackend(Protocol):
    """What the trainer and the evaluation need of an engine that generates."""

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """`num_completions` completions per prompt, in the order of the prompts.

        `finished` is told of every prompt, if possible while others are not done yet.
        """

    def update_weights(self, named_weights: object, *, version: int) -> dict[str, float]:
        """Take the trainer's weights, an iterable of (name, tensor) that covers every parameter.

        Returns metrics: `sync/bytes`, what went from this rank's trainer to its engine.
        """

    def sleep(self, *, weights_follow: bool = False) -> None:
        """Give memory back between rollouts; with `weights_follow`, an update of the weights comes
        before the engine is woken, so that the present ones need not be kept."""

    def wake(self) -> None:
        """Be ready to generate."""

    def close(self) -> None:
        """Free everything."""


def uniform_stream(seed: int | str, problem_id: str, index: int, count: int) -> np.ndarray:
    """`count` uniform numbers in [0, 1) that depend on the three keys alone."""
    digest = hashlib.blake2b(f"{seed}/{problem_id}/{index}".encode(), digest_size=16).digest()
    key = np.frombuffer(digest, dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key)).random(count)
