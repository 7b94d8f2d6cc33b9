"""Geometry3K redrawn: solve every annotation, report what came out, write a data folder.

One pass does all of it, so a problem is solved once. The report (JSON) holds one record per problem
and a summary: outcomes by split, agreement with reference values where a file of them is at hand,
and every disagreement.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from adora_mm.files import write_atomically
from data_prep.geometry.annotations import LICENCE, Annotation, read_annotations
from data_prep.geometry.answers import Answer, answer
from data_prep.geometry.difficulty import difficulty, indispensable
from data_prep.geometry.problems import Unwritable, entry, goal, sheet
from data_prep.writer import Entry, write_folder

TRUST = ("stated", "picture", "offscale", "rounded")
REFERENCE = "test_values.json"
"""Per id, values that another solver found; more than one means that its runs disagree."""
AGREES = 1e-3
"""Relative; reference values have seven digits, and are values of rounded choices."""
Record = dict[str, Any]
Result = tuple[Record, Entry | None]
Progress = Callable[[Iterable[Result], int], Iterable[Result]]
"""Passes results on and shows how many there were, of how many."""


def solve_one(annotation: Annotation, *, image_px: int, draw: bool) -> Result:
    """The record of a problem and, if it is to be drawn and can be, its entry."""
    solved = answer(annotation)
    record = _record(annotation, solved)
    if not solved.solved:
        return record, None
    needed = indispensable(solved)
    record |= {"difficulty": difficulty(solved, needed), "facts_needed": len(needed)}
    if not draw:
        return record, None
    try:
        drawn = sheet(solved, seed=f"redraw/{annotation.id}", image_px=image_px)
    except Unwritable as error:
        return record | {"not_drawn": error.reason}, None
    metadata = {
        "trust": solved.trust,
        "difficulty": record["difficulty"],
        "facts_needed": needed,
        "goal": goal(solved.figure.target),
        "value": record["value"],
    }
    made = entry(solved, drawn, f"geometry3k-redrawn-{annotation.id}", annotation.split, **metadata)
    return record, made


def _record(annotation: Annotation, solved: Answer) -> Record:
    outcome = solved.outcome
    record: Record = {
        "id": annotation.id,
        "split": annotation.split,
        "outcome": solved.trust or outcome.status,
        "detail": outcome.detail,
        "value": round(outcome.value, 10) if solved.trust and outcome.value is not None else None,
        "exact": None if solved.exact is None else str(solved.exact),
        "drift": round(outcome.drift, 4),
        "residual": float(f"{outcome.residual:.3g}"),
    }
    if solved.added:
        record["added"] = [str(fact) for fact in solved.added]
    if solved.left_out:
        record["left_out"] = solved.left_out
    unused = [f"{source}: {reason}" for source, reason in outcome.skipped]
    unused += [f"{text}: not a literal" for text in solved.figure.unread]
    return record | ({"unused": unused} if unused else {})


# -- the pass -----------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Survey:
    """Records and what was not written, filled while entries stream."""

    records: list[Record] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)


def solve_all(
    annotations: Sequence[Annotation],
    survey: Survey,
    *,
    image_px: int,
    draw: bool = True,
    trust: Sequence[str] = TRUST,
    workers: int = 1,
    progress: Progress = lambda items, total: items,
) -> Iterator[Entry]:
    """Entries in the order of the annotations; the survey is filled on the way."""
    work = partial(solve_one, image_px=image_px, draw=draw)
    for record, made in progress(_mapped(work, annotations, workers), len(annotations)):
        survey.records.append(record)
        if record["outcome"] not in TRUST:
            survey.dropped[f"not solved: {record['outcome']}"] += 1
        elif record["outcome"] not in trust:
            survey.dropped[f"trust: {record['outcome']}"] += 1
        elif made is None:
            survey.dropped[record.get("not_drawn", "not drawn")] += 1
        else:
            yield made


def _mapped(
    work: Callable[[Annotation], Result], annotations: Sequence[Annotation], workers: int
) -> Iterator[Result]:
    if workers == 1:
        yield from map(work, annotations)
        return
    with ProcessPoolExecutor(workers) as pool:
        yield from pool.map(work, annotations, chunksize=8)


def write_scenes(
    source: Path,
    out: Path | None,
    *,
    report: Path | None = None,
    split: str | None = None,
    trust: Sequence[str] = TRUST,
    limit: int | None = None,
    image_px: int = 448,
    workers: int = 1,
    overwrite: bool = False,
    progress: Progress = lambda items, total: items,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Solve the annotations of a folder; returns the summary and the manifest of `out`, if given.

    Raises ValueError for folders and values that cannot be used.
    """
    if unknown := sorted(set(trust) - set(TRUST)):
        raise ValueError(f"trust {unknown[0]!r} is unknown; use some of {', '.join(TRUST)}")
    annotations = [a for a in read_annotations(source) if split in (None, a.split)][:limit]
    survey = Survey()
    entries = solve_all(
        annotations, survey, image_px=image_px, draw=out is not None, trust=trust,
        workers=workers, progress=progress,
    )  # fmt: skip
    manifest = None
    if out is None:
        for _ in entries:
            pass
    else:
        arguments = {"from": source.name, "split": split, "trust": list(trust), "limit": limit,
                     "image_px": image_px}  # fmt: skip
        manifest = write_folder(
            out, entries, source="geometry3k-redrawn", licence=LICENCE, arguments=arguments,
            dropped=survey.dropped, overwrite=overwrite,
        )  # fmt: skip
    summary = summarize(survey.records, read_reference(source))
    if report is not None:
        content = {"summary": summary, "problems": survey.records}
        write_atomically(report, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return summary, manifest


# -- the summary --------------------------------------------------------------------------------


def read_reference(source: Path) -> dict[str, list[float]]:
    """Values by id from `test_values.json` beside the annotations; empty without one."""
    file = source / REFERENCE
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_bytes())
        return {str(key): [float(value) for value in values] for key, values in content.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: must be an object of lists of numbers ({error})") from error


def agrees(value: float, reference: float) -> bool:
    """Whether two values are one up to rounding."""
    return abs(value - reference) <= AGREES * max(1.0, abs(reference))


def summarize(records: Sequence[Record], reference: Mapping[str, Sequence[float]]) -> Record:
    """Counts by outcome and split, and the comparison with reference values."""
    outcomes: dict[str, Counter[str]] = {}
    for record in records:
        for column in (record["split"], "all"):
            outcomes.setdefault(record["outcome"], Counter())[column] += 1
    solved = [record for record in records if record["outcome"] in TRUST]
    return {
        "problems": len(records),
        "solved": len(solved),
        "solved_percent": round(100 * len(solved) / max(len(records), 1), 2),
        "outcomes": {name: dict(counts) for name, counts in sorted(outcomes.items())},
        "answers": dict(Counter(_form(record) for record in solved)),
        "not_drawn": dict(Counter(r["not_drawn"] for r in records if "not_drawn" in r)),
        "reference": _compare(records, reference),
    }


def _form(record: Record) -> str:
    exact = record["exact"] or ""
    if not exact:
        return "decimal"
    if "pi" in exact:
        return "pi"
    return "root" if "sqrt" in exact else "fraction" if "/" in exact else "integer"


def _compare(records: Sequence[Record], reference: Mapping[str, Sequence[float]]) -> Record:
    single: dict[str, Counter[str]] = {}
    several: Counter[str] = Counter()
    disagreements = []
    for record in records:
        values = reference.get(record["id"], ())
        if not values:
            continue
        solved = record["outcome"] in TRUST
        hit = solved and any(agrees(record["value"], value) for value in values)
        verdict = "agrees" if hit else "differs" if solved else "not solved"
        if len(values) > 1:
            several[verdict] += 1
            continue
        single.setdefault(record["outcome"] if solved else "not solved", Counter())[verdict] += 1
        if verdict == "differs":
            disagreements.append(
                {k: record[k] for k in ("id", "outcome", "value", "drift")}
                | {"reference": values[0]}
            )
    return {
        "one_value": {name: dict(counts) for name, counts in sorted(single.items())},
        "several_values": dict(several),
        "disagreements": disagreements,
    }
