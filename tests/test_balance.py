"""Balance over ranks: the work is even, few groups move, and everyone works it out alike."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adora_mm.balance import SLACK, new_owners

COSTS = st.lists(st.lists(st.integers(1, 5000), max_size=12), min_size=1, max_size=6)


def loads(costs: Sequence[Sequence[int]], owners: Sequence[Sequence[int]]) -> list[int]:
    total = [0] * len(costs)
    for row, new in zip(costs, owners, strict=True):
        for cost, owner in zip(row, new, strict=True):
            total[owner] += cost
    return total


def test_a_rank_with_everything_gives_half_away() -> None:
    costs = [[100] * 8, []]
    assert loads(costs, new_owners(costs)) == [400, 400]


def test_equal_ranks_move_nothing() -> None:
    assert new_owners([[5, 5], [5, 5], [9, 1]]) == [[0, 0], [1, 1], [2, 2]]


def test_one_group_that_closes_the_gap_is_all_that_moves() -> None:
    assert new_owners([[300, 100, 600], [600, 200]]) == [[0, 1, 0], [1, 1]]


def test_ranks_with_equally_many_groups_swap() -> None:
    assert new_owners([[500, 400], [300, 100]]) == [[1, 0], [0, 1]]


def test_a_group_larger_than_the_gap_stays() -> None:
    assert new_owners([[900], [100, 100]]) == [[0], [1, 1]]


def test_a_rank_without_groups_gets_some_when_there_are_enough() -> None:
    costs = [[40, 50, 60], [], [10]]
    assert min(loads(costs, new_owners(costs))) > 0


@given(COSTS)
def test_the_fullest_rank_only_gets_emptier_and_nobody_is_emptied(costs: list[list[int]]) -> None:
    owners = new_owners(costs)
    before, after = [sum(row) for row in costs], loads(costs, owners)
    assert sum(before) == sum(after)
    assert max(after) <= max(before)
    for old, new in zip(before, after, strict=True):
        assert (new > 0) or old == 0
    counts = [sum(row.count(rank) for row in owners) for rank in range(len(costs))]
    assert max(counts) <= max(len(row) for row in costs)


@pytest.mark.parametrize("world_size", [2, 8])
def test_many_small_groups_come_within_the_slack(world_size: int) -> None:
    costs = [
        [(7 * rank + 3 * place) % 40 + 10 for place in range(20)] for rank in range(world_size)
    ]
    costs[0] = [3 * cost for cost in costs[0]]
    after = loads(costs, new_owners(costs))
    assert max(after) - min(after) <= max(SLACK * sum(after) / world_size, 10)
