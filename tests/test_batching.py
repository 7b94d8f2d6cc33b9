"""Batching: whole groups, the same prompts per optimizer step on any number of ranks."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from adora_mm.batching import (
    TOKEN_COSTS,
    Minibatch,
    TrainGroup,
    collate_groups,
    even_out,
    make_minibatch,
    plan_microbatches,
    prefix_tokens,
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


def plan(groups: list[TrainGroup], limit: int, budget: int | None = None) -> list[list[TrainGroup]]:
    return plan_microbatches(
        groups, groups_per_microbatch=limit, max_tokens=budget, cost=prefix_tokens
    )


def test_without_a_budget_groups_are_never_torn_apart() -> None:
    groups = [group(str(i), 3, (2, 4, 1)) for i in range(10)]
    first, second = split_groups(groups, 2)
    assert [g.prompt.problem_id for g in first + second] == [str(i) for i in range(10)]
    minibatch = make_minibatch(plan(first, 2), [], PAD)
    assert [len(b.prompt_of_row) // 3 for b in minibatch.micro_batches] == [2, 2, 1]
    for batch in minibatch.micro_batches:
        assert batch.prompt_of_row == tuple(i // 3 for i in range(len(batch.prompt_of_row)))


def without_signal(given: TrainGroup) -> TrainGroup:
    return replace(given, advantages=(0.0,) * len(given.advantages))


def test_a_group_whose_only_advantage_is_masked_has_no_signal() -> None:
    masked = replace(group("a", 3, (2, 1)), advantages=(0.0, 1.0))
    assert masked.counted == (True, False)
    assert not masked.has_signal


def test_left_out_groups_still_count_in_the_denominators() -> None:
    groups = [group("a", 3, (4, 2, 1)), without_signal(group("b", 3, (5, 3, 2)))]
    every = make_minibatch([[g] for g in groups], [], PAD)
    first = make_minibatch([groups[:1]], groups[1:], PAD)
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


# -------------------------------------------------------------- budgets, and ranks in step


def rows_of(part: list[TrainGroup]) -> list[tuple[str, tuple[int, ...]]]:
    return [(g.prompt.problem_id, tuple(len(c.token_ids) for c in g.completions)) for g in part]


@pytest.mark.parametrize(
    ("batching", "tokens"),
    [("prefix", 5 + 1 + 4 + 2 + 3 + 6), ("packed", 10 + 1 + 4 + 4 + 3 + 6), ("padded", 4 * 11)],
)
def test_tokens_are_counted_as_they_are_computed(batching: str, tokens: int) -> None:
    groups = [group("a", 5, (1, 4)), group("b", 2, (3, 6))]
    assert TOKEN_COSTS[batching](groups) == tokens


def test_microbatches_keep_to_both_limits_and_the_dearest_come_first() -> None:
    groups = [group(name, 2, (n,)) for name, n in zip("abcde", (1, 9, 3, 8, 1), strict=True)]
    assert [rows_of(part) for part in plan(groups, 2, 20)] == [
        [("b", (9,))],  # 11 tokens, 10 more would be over 20
        [("d", (8,)), ("c", (3,))],
        [("a", (1,)), ("e", (1,))],
    ]


def test_a_group_over_the_budget_is_cut_with_its_prompt_in_every_part() -> None:
    groups = [group("a", 10, (4, 4, 4, 4))]
    parts = plan(groups, 4, 18)
    assert [rows_of(part) for part in parts] == [[("a", (4, 4))], [("a", (4, 4))]]
    assert parts[1][0].counted == (True, False)
    assert parts[1][0].advantages == (4.0, 4.0)


def test_a_single_rollout_may_be_over_the_budget() -> None:
    groups = [group("a", 10, (90, 2))]
    assert [rows_of(part) for part in plan(groups, 4, 20)] == [[("a", (90,))], [("a", (2,))]]


def test_ranks_with_fewer_microbatches_halve_the_dearest() -> None:
    parts = [[group("a", 2, (9, 9, 9)), group("b", 2, (1,))], [group("c", 2, (3, 3))]]
    assert [rows_of(part) for part in even_out(parts, 2, prefix_tokens)] == [
        [("a", (9, 9, 9)), ("b", (1,))],
        [("c", (3, 3))],
    ]
    assert [rows_of(part) for part in even_out(parts, 4, prefix_tokens)] == [
        [("a", (9, 9))],
        [("a", (9,))],
        [("c", (3, 3))],
        [("b", (1,))],
    ]


def test_what_cannot_be_halved_runs_again_without_counting() -> None:
    parts = even_out([[group("a", 2, (9,))]], 3, prefix_tokens)
    assert [rows_of(part) for part in parts] == [[("a", (9,))]] * 3
    batches = [collate_groups(part, PAD) for part in parts]
    assert sum(batch.num_tokens for batch in batches) == 0  # `group` ends with one uncounted
    counting = even_out([[replace(group("a", 2, (9,)), counted=(True,))]], 3, prefix_tokens)
    assert sum(collate_groups(part, PAD).num_tokens for part in counting) == 9


@given(
    lengths=st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=5), min_size=1, max_size=6),
    limit=st.integers(1, 3),
    budget=st.integers(5, 120),
    extra=st.integers(0, 4),
    batching=st.sampled_from(sorted(TOKEN_COSTS)),
)
def test_every_rollout_counts_exactly_once(
    lengths: list[list[int]], limit: int, budget: int, extra: int, batching: str
) -> None:
    cost = TOKEN_COSTS[batching]
    groups = [group(str(i), 4 + i, tuple(row)) for i, row in enumerate(lengths)]
    fitting = plan_microbatches(groups, groups_per_microbatch=limit, max_tokens=budget, cost=cost)
    for part in fitting:
        assert len(part) <= limit
        assert cost(part) <= budget or [len(g.completions) for g in part] == [1]
    parts = even_out(fitting, len(fitting) + extra, cost)
    assert len(parts) == len(fitting) + extra
    seen = [
        (piece.prompt.problem_id, len(completion.token_ids))
        for part in parts
        for piece in part
        for completion, counts in zip(piece.completions, piece.counted, strict=True)
        if counts
    ]
    expected = [
        (g.prompt.problem_id, n) for g, row in zip(groups, lengths, strict=True) for n in row[:-1]
    ]
    assert sorted(seen) == sorted(expected)
