"""Published answers scored again: our verdicts beside the labels that came with them.

Writes `verdicts.jsonl` (every answer with our verdict and the published label) and
`disagreements.jsonl` (only those where the two differ, with the whole response), and returns the
summary that the command prints. The file is read twice: once for its ids and mistakes, once to
score a few answers at a time, so that of a large one only the ids are held in memory.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from adora_mm.files import written_atomically
from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from data_prep.sources import BadRows
from evaluation.benchmarks import Benchmark, get_benchmark
from evaluation.dumps import FORMATS, DumpFormat, DumpRow
from evaluation.markdown import share
from evaluation.problems import find_data, is_data_folder, read_raw
from evaluation.referees import NOBODY, Referees
from evaluation.responses import Response, sample_id
from evaluation.scoring import ScoredResponse, score_responses

ROWS_AT_ONCE = 500
Tally = Counter[tuple[bool, bool | None]]
"""Answers by (right here, right there)."""


def rescore(
    path: Path,
    format_name: str | None,
    *,
    benchmark: str | None,
    data: str | None,
    out: Path,
    workers: int,
    referees: Referees = NOBODY,
) -> str:
    """Score a file of answers; returns one line for the command.

    Raises ValueError for an unknown format, an unreadable file, and answers whose problem or gold
    is nowhere.
    """
    if format_name not in FORMATS:
        known = "; ".join(f"{name}: {each.summary}" for name, each in FORMATS.items())
        raise ValueError(f"--format {format_name!r} is not known; there are: {known}")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    form = FORMATS[format_name]
    name = benchmark or form.benchmark
    if not name:
        raise ValueError(f"--format {format_name} needs --benchmark, whose profile scores it")
    chosen = get_benchmark(name)
    golds = _golds(_without_gold(path, form), form, chosen, data)
    out.mkdir(parents=True, exist_ok=True)
    tally: Tally = Counter()
    deciders: Counter[str] = Counter()
    with (
        CheckerPool(workers) as pool,
        written_atomically(out / "disagreements.jsonl") as write_difference,
        written_atomically(out / "verdicts.jsonl") as write_verdict,
    ):
        for rows in _lots(form.read(path)):
            problems = {row.problem: _problem(row, golds) for row in rows}
            responses = {row.id: row for row in map(_response, rows)}
            scored = score_responses(chosen, list(problems.values()), responses, pool, referees)
            labels = {sample_id(row.problem, row.sample): row.label for row in rows}
            for verdict in scored:
                label = labels[verdict.id]
                tally[verdict.correct, label] += 1
                deciders[verdict.decided_by] += 1
                _write(
                    verdict,
                    label,
                    problems[verdict.problem],
                    responses[verdict.id].text,
                    write_verdict,
                    write_difference,
                )
    asked = "".join(
        f"; the {name} decided {facts['decided']}"
        for name, facts in referees.facts(deciders).items()
        if facts is not None
    )
    return f"{path.name}: {_summary(tally)}{asked}; {out}"


def _lots(rows: Iterable[DumpRow]) -> Iterator[list[DumpRow]]:
    rest = iter(rows)
    while lot := list(islice(rest, ROWS_AT_ONCE)):
        yield lot


def _without_gold(path: Path, form: DumpFormat) -> set[str]:
    """Problems whose gold the file lacks, after a look at every row.

    Raises ValueError for a row that cannot be read, for an empty file, and for answers that share
    their id.
    """
    seen: set[str] = set()
    bare: set[str] = set()
    count = 0
    for row in form.read(path):
        count += 1
        seen.add(sample_id(row.problem, row.sample))
        if row.answer is None:
            bare.add(row.problem)
    if not seen:
        raise ValueError(f"{path}: holds no answers")
    if len(seen) != count:
        raise ValueError(f"{path}: {count - len(seen)} answers share the id of another")
    return bare


def _golds(
    wanted: set[str], form: DumpFormat, benchmark: Benchmark, data: str | None
) -> dict[str, Problem]:
    """The benchmark's own problems of these ids, under the ids of the file."""
    if not wanted:
        return {}
    path = find_data(benchmark, data)
    if is_data_folder(path):
        from adora_mm.data import load_problems

        known = load_problems(path)
    else:
        entries = read_raw(benchmark, path, bad=BadRows(drop=True), images=False)
        known = [entry.problem for entry in entries]
    by_id = {problem.id.removeprefix(form.prefix): problem for problem in known}
    missing = sorted(wanted - by_id.keys())
    if missing:
        raise ValueError(
            f"{path}: {len(missing)} of {len(wanted)} answered problems are not there, first "
            f"{missing[0]!r}; give the data of the same split with --data"
        )
    return {name: replace(by_id[name], id=name) for name in wanted}


def _problem(row: DumpRow, golds: Mapping[str, Problem]) -> Problem:
    if row.answer is None:
        return golds[row.problem]
    return Problem(
        id=row.problem,
        question=row.question or "(not in the file)",
        answer=row.answer,
        choices=row.choices,
    )


def _response(row: DumpRow) -> Response:
    return Response(
        id=sample_id(row.problem, row.sample),
        problem=row.problem,
        sample=row.sample,
        text=row.response,
        finish_reason="stop",
        num_tokens=None,
    )


def _write(
    verdict: ScoredResponse,
    label: bool | None,
    problem: Problem,
    response: str,
    write_verdict: Callable[[str], None],
    write_difference: Callable[[str], None],
) -> None:
    record = {
        "id": verdict.id,
        "outcome": verdict.outcome,
        "label": label,
        "gold": problem.answer,
        "choices": list(problem.choices),
        "extracted": verdict.extracted,
        "reason": verdict.reason,
        "decided_by": verdict.decided_by,
    }
    write_verdict(json.dumps(record, ensure_ascii=False) + "\n")
    if label is not None and label != verdict.correct:
        record |= {"response": response, "question": problem.question}
        write_difference(json.dumps(record, ensure_ascii=False) + "\n")


def _summary(tally: Tally) -> str:
    total, right = tally.total(), tally[True, True] + tally[True, False] + tally[True, None]
    text = f"{right} of {total} right ({share(right / total)})"
    labelled = total - tally[True, None] - tally[False, None]
    if not labelled:
        return text
    ours, only = tally[True, False], tally[False, True]
    theirs = tally[True, True] + only
    return (
        f"{text}, published {share(theirs / labelled)}; agreement "
        f"{share((labelled - ours - only) / labelled)}, right only here {ours}, "
        f"right only there {only}"
    )
