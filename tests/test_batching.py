"""Batching: whole groups, the same prompts per optimizer step on any number of ranks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from adora_mm.batching import (
    Minibatch,
    TrainGroup,
    collate_groups,
    groups_to_score,
    make_minibatch,
    rank_share,
    split_groups,
)
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
    first, second = split_groups(groups, 2)
    assert [g.prompt.problem_id for g in first + second] == [str(i) for i in range(10)]
    minibatch = make_minibatch(first, scored=first, groups_per_microbatch=2, pad=PAD)
    assert [len(b.prompt_of_row) // 3 for b in minibatch.micro_batches] == [2, 2, 1]
    for batch in minibatch.micro_batches:
        assert batch.prompt_of_row == tuple(i // 3 for i in range(len(batch.prompt_of_row)))


def without_signal(given: TrainGroup) -> TrainGroup:
    return replace(given, advantages=(0.0,) * len(given.advantages))


def names(groups: list[TrainGroup]) -> str:
    return "".join(g.prompt.problem_id for g in groups)


@pytest.mark.parametrize(
    ("most_with_signal", "kept"),
    [(2, "bd"), (3, "abd"), (4, "abd"), (5, "abcde")],
)
def test_a_rank_scores_its_groups_with_signal_and_enough_for_equal_micro_batches(
    most_with_signal: int, kept: str
) -> None:
    """Two groups per micro-batch: 3 or 4 groups elsewhere are two micro-batches here as well."""
    groups = [
        group(name, 3, (2, 1, 1)) if name in "bd" else without_signal(group(name, 3, (2, 1, 1)))
        for name in "abcdef"
    ]
    scored = groups_to_score(groups, most_with_signal=most_with_signal, groups_per_microbatch=2)
    assert names(scored) == kept


def test_one_group_is_scored_when_none_has_signal() -> None:
    groups = [without_signal(group(name, 3, (2, 1))) for name in "abc"]
    assert names(groups_to_score(groups, most_with_signal=0, groups_per_microbatch=2)) == "a"


def test_a_group_whose_only_advantage_is_masked_has_no_signal() -> None:
    masked = replace(group("a", 3, (2, 1)), advantages=(0.0, 1.0))
    assert masked.counted == (True, False)
    assert not masked.has_signal


def test_left_out_groups_still_count_in_the_denominators() -> None:
    groups = [group("a", 3, (4, 2, 1)), without_signal(group("b", 3, (5, 3, 2)))]
    every = make_minibatch(groups, scored=groups, groups_per_microbatch=1, pad=PAD)
    first = make_minibatch(groups, scored=groups[:1], groups_per_microbatch=1, pad=PAD)
    assert (every.skipped_tokens, every.skipped_sequences) == (0, 0)
    assert (first.skipped_tokens, first.skipped_sequences) == (8, 2)

    def totals(minibatch: Minibatch) -> tuple[int, int]:
        return (
            minibatch.scored_tokens + minibatch.skipped_tokens,
            minibatch.scored_sequences + minibatch.skipped_sequences,
        )

    assert totals(every) == totals(first) == (14, 4)


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
