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

Form: `testmini.json`, a list of {"ID": "3steps_165", "key": "3steps_3", "question": "...",
"option": "A. 200.96;B. 3215.36;...", "answer": "B", "image_path": "3steps/image/165-3.png",
"knowledge concept": "Area of Circles", ...}, images below its folder. Written from the published
schema; tested on files of that schema, not on the real one. Licence: CC BY-NC 4.0 as published.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.options import split_options
from data_prep.sources.rows import BadRows, convert, image_bytes, text
from data_prep.sources.tables import as_record, table_rows
from data_prep.writer import Entry
from evaluation.benchmarks.base import LETTER, Benchmark


def read(
    path: Path,
    *,
    split: str | None = None,
    limit: int | None = None,
    bad: BadRows | None = None,
    images: bool = True,
) -> Iterator[Entry]:
    """Entries of `testmini.json` in a folder; `images=False` leaves the pictures out."""
    to_entry = partial(_entry, folder=path.resolve(), images=images)
    yield from convert(table_rows(path / "testmini.json"), to_entry, limit=limit, bad=bad)


def _entry(columns: Any, *, folder: Path, images: bool) -> Entry:
    row = as_record(columns)
    _, choices = split_options("Options: " + text(row, "option").replace(";", "\n"))
    if not choices:
        _, choices = split_options(text(row, "option").replace(";", "\n"))
    name, key = text(row, "ID"), text(row, "key")
    problem = Problem(
        id=f"wemath-{name}-{key}" if name != key else f"wemath-{name}",
        question=text(row, "question"),
        answer=text(row, "answer"),
        choices=choices,
        source="wemath",
        split="testmini",
        answer_type="choice",
        metadata={"part": name, "key": key, "concept": row.get("knowledge concept", "")},
    )
    data = (image_bytes(folder, text(row, "image_path")),) if images else ()
    return Entry(problem=problem, images=data)


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
        read=read,
        summarise=four_dimensions,
        get="get data/ of github.com/We-Math/We-Math and give it with --data",
        annotations=partial(read, images=False),
    ),
)
