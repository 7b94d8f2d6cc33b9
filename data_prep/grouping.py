"""Splits by problem family: what belongs together goes to one side, so that variants never cross.

A family is a connected group: two problems with one value in common, under any of the given keys,
belong together. The keys are `source`, `wording` (the question with its numbers masked), `picture`
(the file's content) and `metadata.NAME`. Families are dealt out largest first, each to the split
that is furthest from its share, so shares are met as nearly as the families allow.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from adora_mm.data.images import read_image
from adora_mm.types import Problem
from data_prep.texts import tokens_of, wording_of

PLAIN_KEYS = ("source", "wording", "picture")
METADATA = "metadata."


def families(problems: Sequence[Problem], keys: Sequence[str]) -> list[list[int]]:
    """Indices of the problems of each family, in the order of their first problem.

    Raises ValueError for an unknown key, and for a metadata key that no problem has.
    """
    for key in keys:
        if key not in PLAIN_KEYS and not key.startswith(METADATA):
            raise ValueError(f"no key {key!r}; keys: {', '.join(PLAIN_KEYS)}, metadata.NAME")
        name = key.removeprefix(METADATA)
        if key.startswith(METADATA) and not any(name in problem.metadata for problem in problems):
            raise ValueError(f"no problem has metadata {name!r}")
    roots = list(range(len(problems)))
    first: dict[tuple[str, str], int] = {}
    for index, problem in enumerate(problems):
        for key in keys:
            for value in _values(problem, key):
                _join(roots, first.setdefault((key, value), index), index)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(problems)):
        groups[_root(roots, index)].append(index)
    return list(groups.values())


def _values(problem: Problem, key: str) -> Iterator[str]:
    if key == "source":
        yield problem.source
    elif key == "wording":
        yield wording_of(tokens_of(problem.question))
    elif key == "picture":
        for path in problem.images:
            yield hashlib.sha256(read_image(path, problem.id)).hexdigest()
    elif key.removeprefix(METADATA) in problem.metadata:
        yield json.dumps(problem.metadata[key.removeprefix(METADATA)], sort_keys=True)


def _root(roots: list[int], index: int) -> int:
    while roots[index] != index:
        roots[index] = roots[roots[index]]
        index = roots[index]
    return index


def _join(roots: list[int], one: int, other: int) -> None:
    low, high = sorted((_root(roots, one), _root(roots, other)))
    roots[high] = low


def deal(groups: Sequence[Sequence[int]], shares: Mapping[str, float], seed: int) -> dict[int, str]:
    """Index -> split. Raises ValueError when a split would get nothing, or shares are no shares."""
    total = sum(shares.values())
    if not shares or min(shares.values()) <= 0 or abs(total - 1) > 1e-6:
        raise ValueError(f"shares must be positive and sum to 1, not {dict(shares)}")
    if len(groups) < len(shares):
        raise ValueError(
            f"{len(groups)} families cannot fill {len(shares)} splits; use finer keys (--by)"
        )
    order = list(groups)
    random.Random(f"{seed}/split").shuffle(order)
    order.sort(key=len, reverse=True)
    count = sum(len(group) for group in groups)
    wanted = {name: share * count for name, share in shares.items()}
    dealt: dict[int, str] = {}
    given = dict.fromkeys(shares, 0)
    for place, group in enumerate(order):
        empty = [name for name in shares if not given[name]]
        names = empty if len(order) - place <= len(empty) else list(shares)
        name = max(names, key=lambda each: wanted[each] - given[each])
        given[name] += len(group)
        dealt |= dict.fromkeys(group, name)
    return dealt
