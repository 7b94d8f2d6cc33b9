"""We-Math: composite problems with their sub-problems, one per knowledge concept.

Data: We-Math/We-Math (Qiao et al. 2024, arXiv 2407.01284), testmini, 1,740 rows: 525 composite
problems of two or three steps, each with the steps as problems of their own; one-step rows besides.
Official protocol: https://github.com/We-Math/We-Math, `evaluation/four_dimensional_metrics.py`.
Metric: accuracy, and the four dimensions over composite problems: insufficient knowledge (a step
wrong and the whole wrong), inadequate generalisation (steps right, whole wrong), rote memorisation
(whole right with a step wrong; loose: with all steps wrong), complete mastery. Score =
(all - 0.5 inadequate - rote - insufficient) / all, strict and loose.
Breakdown: key (step), knowledge concept. The rows of one composite problem are one cluster.
Different here: letters are read by the checker, not as the first character after "Answer"; `all` is
the number of composite problems that were run, so that a subset has a score (officially fixed 525).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from adora_mm.types import Problem
from data_prep.sources import wemath as source
from evaluation.benchmarks.base import LETTER, Benchmark


def four_dimensions(problems: Sequence[Problem], scores: Mapping[str, float]) -> dict[str, Any]:
    """The four dimensions over composite problems; a row is right from a mean score of one half."""
    rows: dict[str, dict[str, bool]] = {}
    for problem in problems:
        part, key = problem.metadata.get("part"), problem.metadata.get("key")
        if problem.id in scores and part is not None and key is not None:
            composite = rows.setdefault(str(part), {})
            composite[str(key).rpartition("_")[2]] = scores[problem.id] >= 0.5
    counts = dict.fromkeys(
        (
            "insufficient",
            "inadequate",
            "mastery_strict",
            "mastery_loose",
            "rote_strict",
            "rote_loose",
        ),
        0,
    )
    total = 0
    for parts in rows.values():
        steps = [right for name, right in parts.items() if name != "multi"]
        if "multi" not in parts or not steps:
            continue
        total += 1
        if not parts["multi"]:
            counts["inadequate" if all(steps) else "insufficient"] += 1
            continue
        counts["mastery_strict" if all(steps) else "rote_strict"] += 1
        counts["mastery_loose" if any(steps) else "rote_loose"] += 1
    if not total:
        return {}
    lost = 0.5 * counts["inadequate"] + counts["insufficient"]
    return {
        "composite_problems": total,
        **counts,
        "score_strict": (total - lost - counts["rote_strict"]) / total,
        "score_loose": (total - lost - counts["rote_loose"]) / total,
    }


BENCHMARKS = (
    Benchmark(
        name="wemath",
        title="We-Math (testmini)",
        source="wemath",
        split="testmini",
        items=1740,
        link="https://github.com/We-Math/We-Math",
        metric="accuracy; four-dimension score, strict and loose",
        categories=("key", "concept"),
        prompt=LETTER,
        cluster="part",
        summarise=four_dimensions,
        get=(
            "get testmini.json and the pictures of We-Math/We-Math in one folder, then: "
            "adora prep wemath --from FOLDER --out data/wemath"
        ),
        annotations=partial(source.read, images=False),
    ),
)
