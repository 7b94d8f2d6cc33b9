"""The ranks that share one engine: tensor parallelism inside the training processes.

Every rank of such a group runs the same engine calls on its part of the model, so all of them need
all of the group's prompts; each then keeps the answers to its own.
"""

from __future__ import annotations

from typing import Any, TypeVar

import torch.distributed as dist

from adora_mm import distributed

T = TypeVar("T")


class EngineRanks:
    """Neighbouring ranks, `size` to an engine; collective to make."""

    def __init__(self, size: int) -> None:
        """Raises ValueError when the ranks cannot be dealt out."""
        rank, world_size = distributed.place()
        if world_size % size:
            raise ValueError(
                f"rollout.vllm.tensor_parallel_size={size} does not divide the {world_size} "
                "processes of the run; with rollout.backend=vllm every engine takes that many"
            )
        self.size, self._place = size, rank % size
        self._group: Any = None
        if size > 1:
            for first in range(0, world_size, size):  # every rank takes part in making every group
                group = dist.new_group(list(range(first, first + size)), backend="gloo")
                if first <= rank < first + size:
                    self._group = group

    def gather(self, item: T) -> list[T]:
        """Everybody's, in the order of the ranks."""
        if self.size == 1:
            return [item]
        items: list[Any] = [None] * self.size
        dist.all_gather_object(items, item, group=self._group)
        return items

    def together(self, mine: list[T]) -> tuple[list[T], slice]:
        """All ranks' lists joined, and where one's own lies in it."""
        parts = self.gather(mine)
        start = sum(len(part) for part in parts[: self._place])
        return [item for part in parts for item in part], slice(start, start + len(mine))
