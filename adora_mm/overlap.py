"""The next step's rollouts, made in a thread while this step trains: one step off policy.

Step t + 1 is generated with the weights after step t - 1. The proximal policy of its first update
is the policy at that time, as ever; `loss.mismatch` weighs its tokens by that policy over the one
that generated them (the decoupled objective of AReaL, arXiv 2505.24298). Before a checkpoint
nothing is started, so that a run that goes on from there makes the same rollouts as one that never
stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from adora_mm.collect import Collected
from adora_mm.data import ProblemSampler
from adora_mm.dynamic_sampling import sampling_keys
from adora_mm.types import Problem

Generate = Callable[[Sequence[Problem], Sequence[str], int], Collected]


class RolloutsAhead:
    """At most one batch of rollouts that is being made, and where the sampler stood before it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rollouts-ahead")
        self._job: Future[Collected] | None = None
        self._problems: list[Problem] = []
        self._position: Mapping[str, Any] = {}

    def start(self, sampler: ProblemSampler, share: Sequence[int], generate: Generate) -> None:
        """Draw the next problems and begin this rank's share of their rollouts."""
        self._position = sampler.state()
        self._problems = sampler.next_batch()
        keys = sampling_keys(self._problems)
        own = [self._problems[i] for i in share]
        self._job = self._thread.submit(generate, own, [keys[i] for i in share], 1)

    def __bool__(self) -> bool:
        return self._job is not None

    def position(self, sampler: ProblemSampler) -> Mapping[str, Any]:
        """The sampler's state from which the next step to train is drawn."""
        return self._position if self else sampler.state()

    def settle(self) -> None:
        """Wait until the engine is free; what was made stays."""
        if self._job is not None:
            wait([self._job])

    def take(self) -> tuple[list[Problem], Collected]:
        """The problems and this rank's rollouts; raises what making them raised."""
        job, self._job = self._job, None
        assert job is not None
        return self._problems, job.result()
