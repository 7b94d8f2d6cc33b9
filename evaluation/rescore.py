"""Published answers scored again: our verdicts beside the labels that came with them.

Writes `verdicts.jsonl` (every answer with our verdict and the published label) and
`disagreements.jsonl` (only those where the two differ, with the whole response), and returns the
summary that the command prints.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from adora_mm.files import write_atomically
from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from data_prep.sources import BadRows
from evaluation.benchmarks import Benchmark, get_benchmark
from evaluation.dumps import FORMATS, DumpFormat, DumpRow
from evaluation.markdown import share
from evaluation.problems import find_data, is_data_folder, read_raw
from evaluation.responses import Response, sample_id
from evaluation.scoring import ScoredResponse, score_responses


def rescore(
    path: Path,
    format_name: str | None,
    *,
    benchmark: str | None,
    data: str | None,
    out: Path | None,
    workers: int,
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
    rows = list(form.read(path))
    if not rows:
        raise ValueError(f"{path}: holds no answers")
    problems = _problems(rows, form, chosen, data)
    responses = {
        sample_id(row.problem, row.sample): Response(
            id=sample_id(row.problem, row.sample),
            problem=row.problem,
            sample=row.sample,
            text=row.response,
            finish_reason="stop",
            num_tokens=None,
        )
        for row in rows
    }
    if len(responses) != len(rows):
        raise ValueError(f"{path}: {len(rows) - len(responses)} answers share the id of another")
    with CheckerPool(workers) as pool:
        scored = score_responses(chosen, list(problems.values()), responses, pool)
    labels = {sample_id(row.problem, row.sample): row.label for row in rows}
    folder = out or path.parent / f"{path.stem}.rescored"
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder, scored, labels, problems, responses)
    return f"{path.name}: {_summary(scored, labels)}; {folder}"


def _problems(
    rows: Sequence[DumpRow], form: DumpFormat, benchmark: Benchmark, data: str | None
) -> dict[str, Problem]:
    """Problems by the dump's own ids; golds of the rows first, then those of the benchmark."""
    own = {row.problem: _own_problem(row) for row in rows if row.answer is not None}
    wanted = {row.problem for row in rows} - set(own)
    if not wanted:
        return own
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
    return own | {name: replace(by_id[name], id=name) for name in sorted(wanted)}


def _own_problem(row: DumpRow) -> Problem:
    return Problem(
        id=row.problem,
        question=row.question or "(not in the file)",
        answer=row.answer or "",
        choices=row.choices,
    )


def _write(
    folder: Path,
    scored: Sequence[ScoredResponse],
    labels: Mapping[str, bool | None],
    problems: Mapping[str, Problem],
    responses: Mapping[str, Response],
) -> None:
    lines, different = [], []
    for row in scored:
        problem = problems[row.problem]
        record = {
            "id": row.id,
            "outcome": row.outcome,
            "label": labels[row.id],
            "gold": problem.answer,
            "choices": list(problem.choices),
            "extracted": row.extracted,
            "reason": row.reason,
            "decided_by": row.decided_by,
        }
        lines.append(json.dumps(record, ensure_ascii=False))
        if labels[row.id] is not None and labels[row.id] != row.correct:
            more = {"response": responses[row.id].text, "question": problem.question}
            different.append(json.dumps(record | more, ensure_ascii=False))
    write_atomically(folder / "disagreements.jsonl", "".join(line + "\n" for line in different))
    write_atomically(folder / "verdicts.jsonl", "".join(line + "\n" for line in lines))


def _summary(scored: Sequence[ScoredResponse], labels: Mapping[str, bool | None]) -> str:
    right = sum(row.correct for row in scored)
    text = f"{right} of {len(scored)} right ({share(right / len(scored))})"
    labelled = [row for row in scored if labels[row.id] is not None]
    if not labelled:
        return text
    theirs = sum(bool(labels[row.id]) for row in labelled)
    ours = sum(row.correct and not labels[row.id] for row in labelled)
    only = sum(not row.correct and bool(labels[row.id]) for row in labelled)
    agree = len(labelled) - ours - only
    return (
        f"{text}, published {share(theirs / len(labelled))}; agreement "
        f"{share(agree / len(labelled))}, right only here {ours}, right only there {only}"
    )
