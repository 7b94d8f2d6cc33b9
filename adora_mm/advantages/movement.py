"""How problems move between TAS and TDS from one visit to the next, keyed by problem id.

ADORA itself has no memory; this is bookkeeping for the metrics and the report. The state is a plain
dict (problem id -> was it advantageous when last seen), so that a checkpoint can hold it as JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def record_moves(
    last_seen: Mapping[str, bool], problem_ids: Sequence[str], tas: Sequence[bool]
) -> tuple[dict[str, bool], dict[str, float]]:
    """Return the new state and the shares of each move among the problems that were seen before.

    Metrics: `adora/tas_to_tas`, `adora/tas_to_tds`, `adora/tds_to_tas`, `adora/tds_to_tds`, which
    add up to 1, and `adora/revisited_frac`. In a batch without an old problem only the last one is
    given. A problem that stands in the batch twice moves twice.
    """
    names = {True: "tas", False: "tds"}
    state = dict(last_seen)
    moves = {f"adora/{a}_to_{b}": 0 for a in names.values() for b in names.values()}
    for problem_id, now in zip(problem_ids, tas, strict=True):
        before = state.get(problem_id)
        if before is not None:
            moves[f"adora/{names[before]}_to_{names[bool(now)]}"] += 1
        state[problem_id] = bool(now)
    revisited = sum(moves.values())
    metrics = {"adora/revisited_frac": revisited / len(problem_ids) if problem_ids else 0.0}
    if revisited:
        metrics |= {name: count / revisited for name, count in moves.items()}
    return state, metrics
