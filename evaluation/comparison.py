"""Two runs of one benchmark: a paired test and the problems whose outcome flipped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from adora_mm.metrics.scores import compare
from evaluation.manifest import differences
from evaluation.markdown import share
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
        "text": _text(asdict(difference), checkers=_checkers(sides)),
        "flips": {problem: gains[problem] for problem in flips},
        "settings_that_differ": {name: [one, other] for name, one, other in changed},
    }


def _means(rows: Sequence[ScoredResponse]) -> dict[str, float]:
    groups: dict[str, list[bool]] = {}
    for row in rows:
        if row.outcome != "error":
            groups.setdefault(row.problem, []).append(row.correct)
    return {problem: sum(values) / len(values) for problem, values in groups.items()}


def _checkers(sides: Sequence[Side]) -> bool:
    return len({side.results["scoring"]["checker"]["sha256"] for side in sides}) > 1


def _text(found: dict[str, Any], *, checkers: bool) -> str:
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
    return text + ("; SCORED BY DIFFERENT CHECKERS: score both again" if checkers else "")
