"""Which ranks share an engine in the training processes, and whose prompts are whose."""

from __future__ import annotations

from typing import Any

import pytest

from adora_mm import distributed
from adora_mm.rollout.engine_ranks import EngineRanks


def test_a_rank_with_its_own_engine_shares_nothing() -> None:
    ranks = EngineRanks(1)
    assert ranks.gather("a") == ["a"]
    assert ranks.together([1, 2]) == ([1, 2], slice(0, 2))


def test_ranks_that_cannot_be_dealt_out_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "place", lambda: (0, 3))
    with pytest.raises(ValueError, match=r"tensor_parallel_size=2 does not divide the 3 processes"):
        EngineRanks(2)


@pytest.mark.parametrize("rank", range(6))
def test_neighbours_join_their_prompts_and_each_finds_its_own(
    monkeypatch: pytest.MonkeyPatch, rank: int
) -> None:
    """Two engines of three ranks; the ranks have different numbers of prompts, one has none."""
    prompts = [["a"], [], ["b", "c"], ["d", "e"], ["f"], ["g"]]
    made: list[list[int]] = []

    def new_group(members: list[int], backend: str) -> list[int]:
        made.append(members)
        return members

    def all_gather_object(items: list[Any], item: Any, group: list[int]) -> None:
        assert item == prompts[rank]
        items[:] = [prompts[member] for member in group]

    monkeypatch.setattr(distributed, "place", lambda: (rank, 6))
    monkeypatch.setattr("torch.distributed.new_group", new_group)
    monkeypatch.setattr("torch.distributed.all_gather_object", all_gather_object)
    shared, mine = EngineRanks(3).together(prompts[rank])
    assert made == [[0, 1, 2], [3, 4, 5]], "every rank takes part in making both groups"
    assert shared == (["a", "b", "c"] if rank < 3 else ["d", "e", "f", "g"])
    assert shared[mine] == prompts[rank]
