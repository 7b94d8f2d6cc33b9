"""From scored groups to micro-batches, with what the loss needs.

A rank's share is cut so that every optimizer step holds the same prompts whatever the number of
ranks, and every rank has the same number of micro-batches (a collective call in one that is missing
in another would hang). Within a step the dearest micro-batches come first on every rank, so that
those that run side by side, and wait for each other, cost about the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """Groups, or parts of them, padded: prompts on the left, responses on the right."""

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
    """None when the policy has not changed since the rollouts: then they are those of the update
    itself."""
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


def prefix_tokens(groups: Sequence[TrainGroup]) -> int:
    """Every prompt once, every response as long as it is."""
    return sum(len(group.prompt.token_ids) + _response_tokens(group) for group in groups)


def packed_tokens(groups: Sequence[TrainGroup]) -> int:
    return sum(
        len(group.prompt.token_ids) * len(group.completions) + _response_tokens(group)
        for group in groups
    )


def padded_tokens(groups: Sequence[TrainGroup]) -> int:
    rows = sum(len(group.completions) for group in groups)
    prompt = max(len(group.prompt.token_ids) for group in groups)
    response = max(len(c.token_ids) for group in groups for c in group.completions)
    return rows * (prompt + response)


TOKEN_COSTS: dict[str, Callable[[Sequence[TrainGroup]], int]] = {
    "prefix": prefix_tokens,
    "packed": packed_tokens,
    "padded": padded_tokens,
}
"""Tokens that a forward pass over groups computes, by batching."""


def plan_microbatches(
    groups: Sequence[TrainGroup],
    *,
    groups_per_microbatch: int,
    max_tokens: int | None,
    cost: Callable[[Sequence[TrainGroup]], int],
) -> list[list[TrainGroup]]:
    """Groups of a minibatch, the dearest first, filled into micro-batches one after another.

    A micro-batch has at most `groups_per_microbatch` groups and `max_tokens` tokens, as `cost`
    counts them: a group over that is halved until it fits. Only a single rollout may have more.
    """

    def fits(part: Sequence[TrainGroup]) -> bool:
        return max_tokens is None or cost(part) <= max_tokens

    pieces: list[TrainGroup] = []
    waiting = list(reversed(groups))
    while waiting:
        group = waiting.pop()
        if len(group.completions) == 1 or fits([group]):
            pieces.append(group)
        else:
            waiting += reversed(_halves(group))
    plan: list[list[TrainGroup]] = []
    for piece in sorted(pieces, key=lambda piece: -cost([piece])):
        if plan and len(plan[-1]) < groups_per_microbatch and fits([*plan[-1], piece]):
            plan[-1].append(piece)
        else:
            plan.append([piece])
    return plan


def even_out(
    plan: Sequence[list[TrainGroup]],
    count: int,
    cost: Callable[[Sequence[TrainGroup]], int],
) -> list[list[TrainGroup]]:
    """Make `count` micro-batches out of fewer by halving the dearest; the dearest come first.

    When nothing is left to halve, the cheapest runs once more without counting in the loss.
    """
    parts = list(plan)
    while len(parts) < count:
        parts.sort(key=lambda part: (_num_rows(part) > 1, cost(part)))
        part = parts.pop()
        if len(part) > 1:
            parts += [part[: len(part) // 2], part[len(part) // 2 :]]
        elif _num_rows(part) > 1:
            parts += [[half] for half in _halves(part[0])]
        else:
            parts += [part, [replace(part[0], counted=(False,))]]
    return sorted(parts, key=lambda part: -cost(part))


def make_minibatch(
    parts: Sequence[Sequence[TrainGroup]], skipped: Sequence[TrainGroup], pad: int
) -> Minibatch:
    """A rank's part of an optimizer step: micro-batches, and what was left out of them."""
    return Minibatch(
        micro_batches=tuple(collate_groups(part, pad) for part in parts),
        skipped_tokens=sum(group.num_tokens for group in skipped),
        skipped_sequences=sum(group.num_sequences for group in skipped),
    )


def _halves(group: TrainGroup) -> list[TrainGroup]:
    """Two sub-groups with the same prompt."""
    middle = len(group.completions) // 2
    return [
        replace(
            group,
            completions=group.completions[cut],
            advantages=group.advantages[cut],
            counted=group.counted[cut],
        )
        for cut in (slice(middle), slice(middle, None))
    ]


def _num_rows(groups: Sequence[TrainGroup]) -> int:
    return sum(len(group.completions) for group in groups)


def _response_tokens(group: TrainGroup) -> int:
    return sum(len(completion.token_ids) for completion in group.completions)


def collate_groups(groups: Sequence[TrainGroup], pad: int) -> MicroBatch:
    """Pad groups into one micro-batch; rows keep the order of the groups."""
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
