"""From scored groups to micro-batches: whole groups, in order, with what the loss needs.

A rank's share is cut so that every optimizer step holds the same prompts whatever the number of
ranks, and every rank has the same number of micro-batches (a collective call in one that is missing
in another would hang).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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

    @property
    def num_tokens(self) -> int:
        """Tokens that count in the loss."""
        pairs = zip(self.completions, self.counted, strict=True)
        return sum(len(completion.token_ids) for completion, counted in pairs if counted)

    @property
    def num_sequences(self) -> int:
        pairs = zip(self.completions, self.counted, strict=True)
        return sum(bool(completion.token_ids) and counted for completion, counted in pairs)

    @property
    def has_signal(self) -> bool:
        """Whether the policy loss has a gradient here: some counted completion is not at zero."""
        return any(
            a != 0 and counted for a, counted in zip(self.advantages, self.counted, strict=True)
        )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Minibatch:
    """One rank's part of an optimizer step."""

    micro_batches: tuple[MicroBatch, ...]
    skipped_tokens: int = 0
    """Tokens of the groups that were left out because they have no gradient. They count in the
    loss's denominators all the same, so that leaving them out changes nothing."""
    skipped_sequences: int = 0

    @property
    def scored_tokens(self) -> int:
        return sum(batch.num_tokens for batch in self.micro_batches)

    @property
    def scored_sequences(self) -> int:
        return sum(batch.num_sequences for batch in self.micro_batches)


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


def split_groups(groups: Sequence[TrainGroup], num_minibatches: int) -> list[list[TrainGroup]]:
    """A rank's groups by optimizer step."""
    share = len(groups) // num_minibatches
    return [list(groups[start : start + share]) for start in range(0, len(groups), share)]


def groups_to_score(
    groups: Sequence[TrainGroup], *, most_with_signal: int, groups_per_microbatch: int
) -> list[TrainGroup]:
    """Those groups of a rank's minibatch that have a gradient, in their order.

    `most_with_signal` is the largest number of them on any rank. A rank with fewer keeps as many
    groups without signal as its number of micro-batches needs to be that of all ranks, at least
    one: an optimizer step is taken even when it moves by momentum alone.
    """
    num_microbatches = max(1, -(-most_with_signal // groups_per_microbatch))
    fewest = (num_microbatches - 1) * groups_per_microbatch + 1
    missing = max(0, fewest - sum(group.has_signal for group in groups))
    kept = []
    for group in groups:
        if group.has_signal or missing > 0:
            kept.append(group)
            missing -= not group.has_signal
    return kept


def make_minibatch(
    groups: Sequence[TrainGroup],
    *,
    scored: Sequence[TrainGroup],
    groups_per_microbatch: int,
    pad: int,
) -> Minibatch:
    """A rank's part of an optimizer step: `scored`, cut into padded micro-batches."""
    micro_batches = tuple(
        collate_groups(scored[start : start + groups_per_microbatch], pad)
        for start in range(0, len(scored), groups_per_microbatch)
    )
    minibatch = Minibatch(micro_batches=micro_batches)
    return replace(
        minibatch,
        skipped_tokens=sum(group.num_tokens for group in groups) - minibatch.scored_tokens,
        skipped_sequences=sum(group.num_sequences for group in groups) - minibatch.scored_sequences,
    )


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
