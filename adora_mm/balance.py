"""Move groups between ranks, so that none waits long for the others in an optimizer step.

Ranks get equally many prompts, but not equal work: responses differ in length, and groups without
a gradient are left out. A rank that has finished waits for the slowest. What moves is a group with
its prompt's pixels; denominators are global, so the update stays the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adora_mm import distributed
from adora_mm.batching import TrainGroup

Place = tuple[int, int]

SLACK = 0.05
"""Share of the mean load by which the fullest rank may stand above the emptiest."""


def balance(
    groups: Sequence[TrainGroup], cost: Callable[[Sequence[TrainGroup]], int]
) -> list[TrainGroup]:
    """This rank's groups of an optimizer step after the exchange; collective."""
    if distributed.place()[1] == 1:
        return list(groups)
    rank = distributed.place()[0]
    owners = new_owners(distributed.gather([cost([group]) for group in groups]))
    if all(owner == old for old, row in enumerate(owners) for owner in row):
        return list(groups)
    leaving = [
        (owner, group) for group, owner in zip(groups, owners[rank], strict=True) if owner != rank
    ]
    stay = [group for group, owner in zip(groups, owners[rank], strict=True) if owner == rank]
    arrivals = [pair for part in distributed.gather(leaving) for pair in part]
    return stay + [group for owner, group in arrivals if owner == rank]


def new_owners(costs: Sequence[Sequence[int]]) -> list[list[int]]:
    """The rank that computes each group, for `costs[rank][group]`; few groups move.

    Again and again the fullest rank gives the emptiest a group, or swaps one for a cheaper one, so
    that what changes hands comes nearest to half of what lies between them; until that is little or
    nothing would lower the fullest. No rank ends with more groups than the most that one had: they
    would not fit into as few micro-batches.
    """
    owners = [[rank] * len(row) for rank, row in enumerate(costs)]
    loads = [sum(row) for row in costs]
    most = max(len(row) for row in costs)
    slack = SLACK * sum(loads) / len(loads)
    while True:
        full, empty = loads.index(max(loads)), loads.index(min(loads))
        gap = loads[full] - loads[empty]
        theirs: list[tuple[int, Place | None]] = [
            (costs[rank][i], (rank, i)) for rank, i in _owned(owners, empty)
        ]
        if len(theirs) < most:
            theirs.append((0, None))
        exchanges = [
            (abs(costs[rank][i] - back - gap / 2), (rank, i), returned)
            for rank, i in _owned(owners, full)
            for back, returned in theirs
            if 0 < costs[rank][i] - back < gap
        ]
        if gap <= slack or not exchanges:
            return owners
        _, given, returned = min(
            exchanges, key=lambda exchange: (exchange[0], exchange[2] is not None)
        )
        for place, taker, giver in ((given, empty, full), (returned, full, empty)):
            if place is not None:
                owners[place[0]][place[1]] = taker
                loads[taker] += costs[place[0]][place[1]]
                loads[giver] -= costs[place[0]][place[1]]


def _owned(owners: Sequence[Sequence[int]], rank: int) -> list[Place]:
    """Where the groups of a rank came from: (first rank, place there)."""
    return [
        (first, place)
        for first, row in enumerate(owners)
        for place, owner in enumerate(row)
        if owner == rank
    ]
