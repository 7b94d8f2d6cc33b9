"""From scored groups to micro-batches: whole groups, in order, with what the loss needs.

A rank's share is cut so that every optimizer step holds the same prompts whatever the number of
ranks, and every rank has the same number of micro-batches (a collective call in one that is missing
in another would hang).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from adora_mm.models import PromptBatch, collate_prompts
from adora_mm.processor import Prompt
from adora_mm.types import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainGroup:
    """One prompt, its G completions and their advantages."""

    prompt: Prompt
    completions: tuple[Completion, ...]
    advantages: tuple[float, ...]
    counted: tuple[bool, ...]
    """False: the completion takes no part in the loss (truncated, and the recipe masks those)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MicroBatch:
    """Whole groups, padded: prompts on the left, responses on the right."""

    prompts: PromptBatch
    response_ids_BT: Tensor
    response_mask_BT: Tensor
    """Bool; True on every response token."""
    loss_mask_BT: Tensor
    """Bool; True on the tokens that count in the loss."""
    prompt_of_row: tuple[int, ...]
    advantages_B: Tensor
    rollout_logprobs_BT: Tensor
    old_logprobs_BT: Tensor | None = None
    ref_logprobs_BT: Tensor | None = None

    @property
    def num_tokens(self) -> int:
        return int(self.loss_mask_BT.sum())

    @property
    def num_sequences(self) -> int:
        return int(self.loss_mask_BT.any(dim=1).sum())


def rank_share(
    num_prompts: int, prompts_per_minibatch: int, *, rank: int, world_size: int
) -> list[int]:
    """Indices of the step's prompts that belong to a rank, minibatch after minibatch.

    Raises ValueError when a minibatch does not divide over the ranks.
    """
    if prompts_per_minibatch % world_size:
        raise ValueError(
            f"train.prompts_per_minibatch={prompts_per_minibatch} does not divide over "
            f"{world_size} processes; make it a multiple"
        )
    share = prompts_per_minibatch // world_size
    return [
        start + rank * share + i
        for start in range(0, num_prompts, prompts_per_minibatch)
        for i in range(share)
    ]


def split_minibatches(
    groups: Sequence[TrainGroup], *, num_minibatches: int, groups_per_microbatch: int, pad: int
) -> list[list[MicroBatch]]:
    """Cut a rank's groups into its optimizer steps, and these into padded micro-batches."""
    share = len(groups) // num_minibatches
    return [
        [
            collate_groups(groups[i : min(i + groups_per_microbatch, start + share)], pad)
            for i in range(start, start + share, groups_per_microbatch)
        ]
        for start in range(0, len(groups), share)
    ]


def collate_groups(groups: Sequence[TrainGroup], pad: int) -> MicroBatch:
    """Pad whole groups into one micro-batch; rows keep the order of the groups."""
    rows = [(index, i) for index, group in enumerate(groups) for i in range(len(group.completions))]
    completions = [groups[index].completions[i] for index, i in rows]
    longest = max(len(completion.token_ids) for completion in completions)
    ids_BT = torch.full((len(rows), longest), pad, dtype=torch.long)
    mask_BT = torch.zeros(len(rows), longest, dtype=torch.bool)
    rollout_BT = torch.zeros(len(rows), longest)
    for row, completion in enumerate(completions):
        length = len(completion.token_ids)
        ids_BT[row, :length] = torch.tensor(completion.token_ids)
        mask_BT[row, :length] = True
        rollout_BT[row, :length] = torch.tensor(completion.logprobs)
    counted_B = torch.tensor([groups[index].counted[i] for index, i in rows])
    return MicroBatch(
        prompts=collate_prompts([group.prompt for group in groups], pad),
        response_ids_BT=ids_BT,
        response_mask_BT=mask_BT,
        loss_mask_BT=mask_BT & counted_B[:, None],
        prompt_of_row=tuple(index for index, _ in rows),
        advantages_B=torch.tensor([groups[index].advantages[i] for index, i in rows]),
        rollout_logprobs_BT=rollout_BT,
    )
