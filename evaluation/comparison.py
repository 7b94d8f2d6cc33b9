"""Two runs of one benchmark: a paired test and the problems whose outcome flipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from adora_mm.metrics.scores import compare
from evaluation.manifest import differences
from evaluation.markdown import share
from evaluation.referees import ROLES
from evaluation.results import cluster_of
from evaluation.scoring import ScoredResponse
from evaluation.stages import Run, Side

SAME = ("benchmark", "data.fingerprint")


def compare_runs(first: Run, second: Run, sides: tuple[Side, Side]) -> dict[str, Any]:
    """The comparison as JSON; `flips` are ids of problems, most changed first.

    Raises ValueError when the runs are of different benchmarks or problems.
    """
    changed = list(differences(first.manifest, second.manifest))
    for name, one, other in changed:
        if name in SAME:
            raise ValueError(
                f"{first.folder} and {second.folder} cannot be compared: {name} is {one!r} there "
                f"and {other!r} here"
            )
    scores = [_means(side.rows) for side in sides]
    clusters = {p.id: cluster_of(first.benchmark, p) for p in first.problems}
    difference = compare(scores[0], scores[1], clusters)
    gains = {
        problem: scores[1][problem] - score
        for problem, score in scores[0].items()
        if problem in scores[1] and scores[1][problem] != score
    }
    flips = sorted(gains, key=lambda problem: (-abs(gains[problem]), problem))
    return {
        "first": str(first.folder),
        "second": str(second.folder),
        **asdict(difference),
        "text": _text(asdict(difference), alike=_scored_alike(sides)),
        "flips": {problem: gains[problem] for problem in flips},
        "settings_that_differ": {name: [one, other] for name, one, other in changed},
    }


def _means(rows: Sequence[ScoredResponse]) -> dict[str, float]:
    groups: dict[str, list[bool]] = {}
    for row in rows:
        if row.outcome != "error":
            groups.setdefault(row.problem, []).append(row.correct)
    return {problem: sum(values) / len(values) for problem, values in groups.items()}


def _scored_alike(sides: Sequence[Side]) -> bool:
    """The same checker, and the same models asked the same way, if any."""
    first, second = (_scorers(side.results["scoring"]) for side in sides)
    return first == second


def _scorers(scoring: Mapping[str, Any]) -> list[Any]:
    counts = ("asked", "from_cache", "no_reply", "decided")
    models = [scoring.get(role) or {} for role in ROLES]
    return [
        scoring["checker"],
        *({name: value for name, value in each.items() if name not in counts} for each in models),
    ]


def _text(found: dict[str, Any], *, alike: bool) -> str:
    text = (
        f"{share(found['first'])} to {share(found['second'])} on {found['problems']} problems: "
        f"{100 * found['difference']:+.1f} points, 95% [{100 * found['low']:+.1f}, "
        f"{100 * found['high']:+.1f}] (paired bootstrap)"
    )
    if found["p_mcnemar"] is not None:
        text += (
            f"; only the first right {found['only_first']}, only the second "
            f"{found['only_second']}, McNemar p = {found['p_mcnemar']:.3g}"
        )
    return text + ("" if alike else "; SCORED IN DIFFERENT WAYS: score both again")
