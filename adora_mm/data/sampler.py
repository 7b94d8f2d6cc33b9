"""The order of training: seeded epochs that resume exactly, and seeded mixing of data sets.

Epoch e is a shuffle whose generator is seeded by (seed, e) alone, so a position is two integers and
no generator state needs saving. Batches run on over the end of an epoch: no problem is dropped, and
a batch may be larger than the data set.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import Any

from adora_mm.types import Problem


class ProblemSampler:
    """Endless batches of problems; each epoch gives every problem once, in its own order."""

    def __init__(self, problems: Sequence[Problem], batch_size: int, seed: int) -> None:
        if not problems:
            raise ValueError("cannot sample from an empty list of problems")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {batch_size}")
        self._problems = tuple(problems)
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0
        self._position = 0
        self._order = self._shuffled(0)

    @property
    def epoch(self) -> float:
        """Epochs passed so far, with the fraction of the current one."""
        return self._epoch + self._position / len(self._problems)

    def next_batch(self) -> list[Problem]:
        """The next `batch_size` problems, running on into the next epoch where one ends."""
        batch: list[Problem] = []
        while len(batch) < self._batch_size:
            if self._position == len(self._order):
                self._epoch, self._position = self._epoch + 1, 0
                self._order = self._shuffled(self._epoch)
            end = self._position + self._batch_size - len(batch)
            taken = self._order[self._position : end]
            batch.extend(self._problems[index] for index in taken)
            self._position += len(taken)
        return batch

    def state(self) -> dict[str, Any]:
        """Where the sampler stands, as JSON; the batch size is free to change on resume."""
        return {
            "epoch": self._epoch,
            "position": self._position,
            "seed": self._seed,
            "problems": self._identity(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`. Raises ValueError for another seed or another list of problems."""
        for key, own in (("seed", self._seed), ("problems", self._identity())):
            if state.get(key) != own:
                raise ValueError(
                    f"sampler state has {key} {state.get(key)!r}, but this run has {own!r}: resume "
                    "with the same seed and data, or start a new run"
                )
        epoch, position = state.get("epoch"), state.get("position")
        if not (isinstance(epoch, int) and isinstance(position, int) and epoch >= 0):
            raise ValueError(f"sampler state is damaged: epoch {epoch!r}, position {position!r}")
        if not 0 <= position <= len(self._problems):
            raise ValueError(f"sampler state is damaged: position {position!r}")
        self._epoch, self._position = epoch, position
        self._order = self._shuffled(epoch)

    def _shuffled(self, epoch: int) -> list[int]:
        order = list(range(len(self._problems)))
        random.Random(f"{self._seed}/{epoch}").shuffle(order)
        return order

    def _identity(self) -> str:
        """Count and digest of the ids in order: what a position is relative to."""
        digest = hashlib.sha256("\n".join(problem.id for problem in self._problems).encode())
        return f"{len(self._problems)}:{digest.hexdigest()[:16]}"


def mix(
    datasets: Sequence[Sequence[Problem]],
    *,
    seed: int,
    weights: Sequence[float] | None = None,
    size: int | None = None,
) -> list[Problem]:
    """One shuffled list in which data set i holds the share `weights[i]` of `size` problems.

    Without weights every problem is taken once. With weights and no size, the list is as long as it
    can be without repeating a problem; a larger size repeats whole passes of the short data sets.
    Raises ValueError for empty data sets, for weights that are not positive, and for an id that two
    data sets share.
    """
    _check_mix(datasets, weights, size)
    if weights is None:
        weights = [len(problems) for problems in datasets]
    shares = [weight / sum(weights) for weight in weights]
    if size is None:
        # 1e-9: a share such as 1/3 must not lose a problem to rounding
        fits = (len(data) / share for data, share in zip(datasets, shares, strict=True))
        size = max(1, int(min(fits) + 1e-9))
    mixed: list[Problem] = []
    for index, count in enumerate(_apportion(shares, size)):
        mixed.extend(_take(datasets[index], count, f"{seed}/{index}"))
    random.Random(f"{seed}/mix").shuffle(mixed)
    return mixed


def _check_mix(
    datasets: Sequence[Sequence[Problem]], weights: Sequence[float] | None, size: int | None
) -> None:
    if not datasets or not all(datasets):
        raise ValueError("mix needs at least one data set, and none of them empty")
    if weights is not None:
        if len(weights) != len(datasets):
            raise ValueError(f"{len(weights)} weights for {len(datasets)} data sets")
        if not all(0 < weight < float("inf") for weight in weights):
            raise ValueError(f"weights must be positive numbers, not {list(weights)}")
    if size is not None and size < 1:
        raise ValueError(f"size must be at least 1, not {size}")
    owners: dict[str, int] = {}
    for index, problems in enumerate(datasets):
        for problem in problems:
            if owners.setdefault(problem.id, index) != index:
                raise ValueError(f"id {problem.id!r} is in two of the data sets to mix")


def _apportion(shares: Sequence[float], size: int) -> list[int]:
    """Whole counts that sum to `size`: rounded down, the rest to the largest remainders."""
    exact = [share * size for share in shares]
    counts = [int(value + 1e-9) for value in exact]
    by_remainder = sorted(range(len(exact)), key=lambda i: (counts[i] - exact[i], i))
    for index in by_remainder[: size - sum(counts)]:
        counts[index] += 1
    return counts


def _take(problems: Sequence[Problem], count: int, seed: str) -> list[Problem]:
    """`count` problems in seeded order; a pass ends before the next one begins."""
    rng = random.Random(seed)
    taken: list[Problem] = []
    while len(taken) < count:
        order = rng.sample(problems, len(problems))
        taken.extend(order[: count - len(taken)])
    return taken
