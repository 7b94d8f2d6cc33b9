"""The third stage: verdicts to `results.json`, whose schema `docs/evaluation.md` describes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from adora_mm.files import write_atomically
from adora_mm.metrics import scores
from adora_mm.types import Problem
from evaluation.benchmarks import Benchmark
from evaluation.errata import load_errata
from evaluation.manifest import read_versioned
from evaluation.scoring import DECIDERS, OUTCOMES, ScoredResponse

SCHEMA = "adora-mm/evaluation-results"
SCHEMA_VERSION = 1
MAX_CATEGORY_VALUES = 200


def build_results(
    benchmark: Benchmark,
    problems: Sequence[Problem],
    rows: Sequence[ScoredResponse],
    *,
    manifest: Mapping[str, Any],
    run: str,
    scoring: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything about one run's score, as JSON."""
    table = _Table(benchmark, problems, rows, samples=manifest["sampling"]["samples"])
    errata = load_errata(benchmark.name)
    broken = [problem.id for problem in problems if problem.id in errata]
    sound = [problem for problem in problems if problem.id not in errata]
    expected = len(problems) * table.width
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "benchmark": benchmark.name,
        "title": benchmark.title,
        "metric": benchmark.metric,
        "model": manifest["model"]["name"],
        "problems": len(problems),
        "samples": table.width,
        "complete": len(rows) == expected and not any(row.outcome == "error" for row in rows),
        "missing": expected - len(rows),
        "score": asdict(table.score(problems)),
        "score_without_errata": asdict(table.score(sound)) if broken else None,
        "errata": {name: errata[name] for name in broken},
        "rates": _rates(rows),
        "tokens": _tokens(rows),
        "decided_by": {by: sum(row.decided_by == by for row in rows) for by in DECIDERS},
        "at_k": table.at_k(),
        "worst_case": table.worst_case() if benchmark.cluster else None,
        "categories": table.categories(),
        "own": benchmark.summarise(problems, table.means()) if benchmark.summarise else {},
        "scoring": dict(scoring),
        "manifest": dict(manifest),
    }


class _Table:
    """Problems by samples."""

    def __init__(
        self,
        benchmark: Benchmark,
        problems: Sequence[Problem],
        rows: Sequence[ScoredResponse],
        *,
        samples: int,
    ) -> None:
        self._benchmark, self._problems, self.width = benchmark, problems, samples
        self._rows = {(row.problem, row.sample): row for row in rows}

    def outcomes(self, problem: Problem) -> list[bool | None]:
        found = [self._rows.get((problem.id, sample)) for sample in range(self.width)]
        return [None if row is None or row.outcome == "error" else row.correct for row in found]

    def votes(self, problem: Problem) -> list[int | None]:
        found = [self._rows.get((problem.id, sample)) for sample in range(self.width)]
        return [None if row is None else row.vote for row in found]

    def score(self, problems: Sequence[Problem]) -> scores.Score:
        samples = [self.outcomes(problem) for problem in problems]
        return scores.score(samples, [self.cluster(problem) for problem in problems])

    def cluster(self, problem: Problem) -> str:
        return cluster_of(self._benchmark, problem)

    def means(self) -> dict[str, float]:
        """Mean score of each problem that was answered."""
        found = {}
        for problem in self._problems:
            known = [value for value in self.outcomes(problem) if value is not None]
            if known:
                found[problem.id] = sum(known) / len(known)
        return found

    def at_k(self) -> dict[str, dict[str, float | None]]:
        """pass@k, avg@k and maj@k for k = 1, 2, 4, ... and the number of samples."""
        if self.width == 1:
            return {}
        samples = [self.outcomes(problem) for problem in self._problems]
        votes = [self.votes(problem) for problem in self._problems]
        sizes = sorted({2**i for i in range(self.width.bit_length())} | {self.width})
        return {
            str(k): {
                "pass": scores.pass_at_k(samples, k),
                "average": scores.average_at_k(samples, k),
                "majority": scores.majority_at_k(samples, votes, k),
            }
            for k in sizes
            if k <= self.width
        }

    def worst_case(self) -> dict[str, Any]:
        samples = [self.outcomes(problem) for problem in self._problems]
        clusters = [self.cluster(problem) for problem in self._problems]
        return {
            "by": self._benchmark.cluster,
            "clusters": len(set(clusters)),
            "accuracy": scores.worst_case(samples, clusters),
        }

    def categories(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Key -> value -> score; a list counts under each of its members."""
        tables: dict[str, dict[str, dict[str, Any]]] = {}
        for key in self._benchmark.categories:
            groups: dict[str, list[Problem]] = {}
            for problem in self._problems:
                for value in category_values(problem, key):
                    groups.setdefault(value, []).append(problem)
            if groups and len(groups) <= MAX_CATEGORY_VALUES:
                tables[key] = {
                    value: asdict(self.score(groups[value])) | {"problems": len(groups[value])}
                    for value in sorted(groups, key=_natural)
                }
        return tables


def cluster_of(benchmark: Benchmark, problem: Problem) -> str:
    """The name of the cluster that a problem belongs to: by default its own."""
    if not benchmark.cluster or benchmark.cluster not in problem.metadata:
        return f"problem {problem.id}"
    return str(problem.metadata[benchmark.cluster])


def category_values(problem: Problem, key: str) -> list[str]:
    """Values of a metadata key as texts; none when it is missing."""
    value = problem.metadata.get(key)
    values = value if isinstance(value, list) else [value]
    return list(dict.fromkeys(str(each) for each in values if each not in (None, "")))


def _natural(value: str) -> tuple[int, float, str]:
    return (0, float(value), "") if value.isdecimal() else (1, 0.0, value)


def _rates(rows: Sequence[ScoredResponse]) -> dict[str, float | None]:
    """Shares of all rows; `truncated` are answers that reached the token limit."""
    total = len(rows)
    shares = {
        name: sum(row.outcome == name for row in rows) / total if total else None
        for name in OUTCOMES
    }
    cut = sum(row.finish_reason == "length" for row in rows)
    return {**shares, "truncated": cut / total if total else None}


def _tokens(rows: Sequence[ScoredResponse]) -> dict[str, float | int | None]:
    known = [row.num_tokens for row in rows if row.num_tokens is not None]
    return {
        "mean": sum(known) / len(known) if known else None,
        "max": max(known, default=None),
        "counted": len(known),
    }


def write_results(folder: Path, results: Mapping[str, Any]) -> None:
    """Write `results.json`."""
    text = json.dumps(results, indent=1, ensure_ascii=False) + "\n"
    write_atomically(folder / "results.json", text)


def read_results(folder: Path) -> dict[str, Any]:
    """Results of a run; raises ValueError when there are none, or of another schema."""
    return read_versioned(
        folder / "results.json",
        SCHEMA,
        SCHEMA_VERSION,
        absent=f"{folder}: no readable results.json",
        again="; run adora eval report",
    )
