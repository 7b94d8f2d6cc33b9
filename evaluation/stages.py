"""The stages as commands: score and report a run's folder from its files alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adora_mm.data import fingerprint, load_problems
from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from evaluation.benchmarks import Benchmark, get_benchmark
from evaluation.manifest import identity, read_manifest
from evaluation.problems import find_data, is_data_folder, select
from evaluation.referees import NOBODY, Referees
from evaluation.responses import Response, read_responses
from evaluation.results import build_results, read_results, write_results
from evaluation.scoring import ScoredResponse, read_verdicts, score_responses, write_verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run's folder, read back."""

    folder: Path
    manifest: Mapping[str, Any]
    run: str
    benchmark: Benchmark
    problems: tuple[Problem, ...]


def open_run(folder: Path, data: str | None = None) -> Run:
    """The manifest and the problems of a run; `data` says where they lie now, if they moved.

    Raises ValueError when the folder is no run, and when the problems are not those of the run.
    """
    manifest = read_manifest(folder)
    benchmark = get_benchmark(manifest["benchmark"])
    problems = _problems(folder, manifest, benchmark, data)
    return Run(
        folder=folder,
        manifest=manifest,
        run=identity(manifest),
        benchmark=benchmark,
        problems=problems,
    )


def _problems(
    folder: Path, manifest: Mapping[str, Any], benchmark: Benchmark, data: str | None
) -> tuple[Problem, ...]:
    own = folder / "data"
    path = own if is_data_folder(own) else find_data(benchmark, data or manifest["data"]["folder"])
    chosen = select(benchmark, load_problems(path), path)[: manifest["limit"]]
    if fingerprint(chosen) != manifest["data"]["fingerprint"]:
        raise ValueError(f"{path}: not the data of {folder}, or changed since; give it with --data")
    return tuple(chosen)


def score_run(run: Run, *, workers: int, referees: Referees = NOBODY) -> list[ScoredResponse]:
    """Score all responses and write the verdicts."""
    responses = read_responses(run.folder / "responses.jsonl", run.run)
    with CheckerPool(workers) as pool:
        rows = score_responses(run.benchmark, run.problems, responses, pool, referees)
    write_verdicts(run.folder, rows, run=run.run, profile=run.benchmark.profile, referees=referees)
    return rows


def report_run(run: Run, *, max_items: int) -> dict[str, Any]:
    """Write `results.json`, `report.md` and `report.html`; returns the results."""
    from evaluation.markdown import write_markdown
    from evaluation.viewer import write_viewer

    rows, scoring = read_verdicts(run.folder, run.run)
    results = build_results(
        run.benchmark,
        run.problems,
        rows,
        manifest=run.manifest,
        run=run.run,
        scoring=scoring,
    )
    write_results(run.folder, results)
    write_markdown(run.folder / "report.md", results)
    responses = read_responses(run.folder / "responses.jsonl", run.run)
    write_viewer(
        run.folder / "report.html",
        run.benchmark,
        run.problems,
        [Side(results=results, rows=rows, responses=responses)],
        prompt=run.manifest["prompt"],
        max_items=max_items,
    )
    return results


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One run as the viewer shows it."""

    results: Mapping[str, Any]
    rows: Sequence[ScoredResponse]
    responses: Mapping[str, Response]


def read_side(run: Run) -> Side:
    """A finished run for a comparison. Raises ValueError when a stage is missing or out of date."""
    rows, _ = read_verdicts(run.folder, run.run)
    responses = read_responses(run.folder / "responses.jsonl", run.run)
    return Side(results=read_results(run.folder), rows=rows, responses=responses)
