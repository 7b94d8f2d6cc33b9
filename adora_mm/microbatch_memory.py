"""Out of memory in a micro-batch: cut every micro-batch in two once, say so, and stop after that.

The update does not depend on how its rows are cut (denominators are global), so halving changes
nothing but rounding. On several ranks a failed rank has left the others inside a collective call,
so there the run stops at once, with the word that halves the micro-batches on resume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from adora_mm import distributed
from adora_mm.batching import MicroBatch
from adora_mm.faults import RunFault
from adora_mm.models import PromptBatch

T = TypeVar("T")


class MemoryFault(RunFault):
    """A micro-batch that does not fit, after the one halving that is tried."""


class MicrobatchMemory:
    """Runs work over micro-batches; remembers how large they may be."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say
        self.max_rows: int | None = None
        """Rollouts in a micro-batch, once they had to be halved."""

    def run(
        self,
        micro_batches: Sequence[MicroBatch],
        work: Callable[[Sequence[MicroBatch]], T],
        *,
        undo: Callable[[], None],
    ) -> T:
        """`work(micro_batches)`; on out-of-memory `undo()` and once more with halves.

        Raises MemoryFault when halves do not fit either, or when other ranks are waiting.
        """
        try:
            return work(cut(micro_batches, self.max_rows))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            reason = str(error).split("\n")[0]
            self._give_up_or_halve(micro_batches, reason)
        # Outside the handler: the error's frames hold the tensors that did not fit.
        undo()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self.run(micro_batches, work, undo=undo)

    def _give_up_or_halve(self, micro_batches: Sequence[MicroBatch], reason: str) -> None:
        rank, world_size = distributed.place()
        rows = self.max_rows or max(len(batch.prompt_of_row) for batch in micro_batches)
        if self.max_rows is not None or world_size > 1 or rows == 1:
            after = "" if self.max_rows is None else " after halving"
            raise MemoryFault(
                f"rank {rank}: out of memory{after} in a micro-batch of {rows} rollouts ({reason})"
                "; go on with --resume and a lower train.groups_per_microbatch or "
                "train.max_tokens_per_microbatch"
            )
        self.max_rows = -(-rows // 2)
        self.say(
            f"out of memory in a micro-batch of {rows} rollouts ({reason}): micro-batches are "
            "halved from here on; lower train.groups_per_microbatch or "
            "train.max_tokens_per_microbatch to avoid the retry"
        )


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a GPU, or PyTorch's allocator on the CPU, had no room."""
    return isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def cut(micro_batches: Sequence[MicroBatch], max_rows: int | None) -> list[MicroBatch]:
    """The same rows in micro-batches of at most `max_rows`, cut between groups where possible."""
    parts: list[MicroBatch] = []
    for batch in micro_batches:
        rows, groups = len(batch.prompt_of_row), len(batch.prompts.ids_PT)
        if max_rows is None or rows <= max_rows:
            parts.append(batch)
            continue
        middle = rows // 2 if groups == 1 else batch.prompt_of_row.index(groups // 2)
        pieces = [rows_of(batch, 0, middle), rows_of(batch, middle, rows)]
        parts += cut(pieces, max_rows)
    return parts


def rows_of(batch: MicroBatch, start: int, stop: int) -> MicroBatch:
    """The rows from `start` to `stop` with the prompts and images that they need."""
    first, last = batch.prompt_of_row[start], batch.prompt_of_row[stop - 1]

    def part(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[start:stop]

    return replace(
        batch,
        prompts=_prompts_of(batch.prompts, first, last + 1),
        response_ids_BT=batch.response_ids_BT[start:stop],
        response_mask_BT=batch.response_mask_BT[start:stop],
        loss_mask_BT=batch.loss_mask_BT[start:stop],
        prompt_of_row=tuple(prompt - first for prompt in batch.prompt_of_row[start:stop]),
        advantages_B=batch.advantages_B[start:stop],
        rollout_logprobs_BT=batch.rollout_logprobs_BT[start:stop],
        old_logprobs_BT=part(batch.old_logprobs_BT),
        ref_logprobs_BT=part(batch.ref_logprobs_BT),
    )


def _prompts_of(prompts: PromptBatch, start: int, stop: int) -> PromptBatch:
    pixels = grid = None
    counts = prompts.images_per_prompt
    first, last = sum(counts[:start]), sum(counts[:stop])
    if prompts.image_grid_thw is not None and prompts.pixel_values is not None and last > first:
        patches = [0, *prompts.image_grid_thw.prod(dim=1).cumsum(0).tolist()]
        grid = prompts.image_grid_thw[first:last]
        pixels = prompts.pixel_values[patches[first] : patches[last]]
    return PromptBatch(
        ids_PT=prompts.ids_PT[start:stop],
        mask_PT=prompts.mask_PT[start:stop],
        pixel_values=pixels,
        image_grid_thw=grid,
        images_per_prompt=counts[start:stop],
    )
