"""Batching: whole groups, the same prompts per optimizer step on any number of ranks."""

from __future__ import annotations

import pytest
import torch

from adora_mm.batching import TrainGroup, collate_groups, rank_share, split_minibatches
from adora_mm.processor import Prompt
from adora_mm.types import Completion

PAD = 0


def group(name: str, prompt_length: int, lengths: tuple[int, ...]) -> TrainGroup:
    return TrainGroup(
        prompt=Prompt(
            problem_id=name,
            token_ids=tuple(range(1, prompt_length + 1)),
            unexpanded_ids=(),
            pixel_values=None,
            image_grid_thw=None,
        ),
        completions=tuple(
            Completion(token_ids=(7,) * n, text="", finish_reason="stop", logprobs=(-0.5,) * n)
            for n in lengths
        ),
        advantages=tuple(float(n) for n in lengths),
        counted=(True,) * (len(lengths) - 1) + (False,),
    )


def test_shares_cover_every_prompt_once_and_keep_minibatches_together() -> None:
    for world_size in (1, 2, 4):
        shares = [rank_share(16, 8, rank=r, world_size=world_size) for r in range(world_size)]
        assert sorted(index for share in shares for index in share) == list(range(16))
        for share in shares:
            half = len(share) // 2
            assert all(index < 8 for index in share[:half])
            assert all(index >= 8 for index in share[half:])


def test_a_minibatch_must_divide_over_the_ranks() -> None:
    with pytest.raises(ValueError, match="prompts_per_minibatch=6 does not divide over 4"):
        rank_share(12, 6, rank=0, world_size=4)


def test_groups_are_never_torn_apart() -> None:
    groups = [group(str(i), 3, (2, 4, 1)) for i in range(10)]
    minibatches = split_minibatches(groups, num_minibatches=2, groups_per_microbatch=2, pad=PAD)
    assert [[len(b.prompt_of_row) // 3 for b in m] for m in minibatches] == [[2, 2, 1], [2, 2, 1]]
    for batch in minibatches[0]:
        assert batch.prompt_of_row == tuple(i // 3 for i in range(len(batch.prompt_of_row)))


def test_padding_is_left_of_prompts_and_right_of_responses() -> None:
    batch = collate_groups([group("a", 2, (1, 3)), group("b", 4, (2, 2))], PAD)
    assert batch.prompts.mask_PT.tolist() == [[0, 0, 1, 1], [1, 1, 1, 1]]
    assert batch.prompts.ids_PT[0].tolist() == [PAD, PAD, 1, 2]
    assert batch.response_mask_BT.int().tolist() == [[1, 0, 0], [1, 1, 1], [1, 1, 0], [1, 1, 0]]
    assert batch.advantages_B.tolist() == [1.0, 3.0, 2.0, 2.0]
    assert torch.equal(batch.rollout_logprobs_BT != 0, batch.response_mask_BT)


def test_completions_that_do_not_count_are_seen_but_not_counted() -> None:
    batch = collate_groups([group("a", 2, (1, 3)), group("b", 4, (2, 2))], PAD)
    assert batch.num_tokens == 1 + 2
    assert batch.num_sequences == 2
    assert batch.response_mask_BT.sum() == 8
