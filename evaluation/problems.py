"""From a benchmark and a place on disk to problems in a fixed order.

A place is either a data folder of `adora prep` (used as it is) or the source's own files, which are
then converted into the run's `data/`, so that the run stays readable when they are gone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adora_mm.data import fingerprint, load_problems
from adora_mm.types import Problem
from data_prep.sources import SOURCES, BadRows
from data_prep.writer import Entry, write_folder
from evaluation.benchmarks import Benchmark

DATA_ROOT = "ADORA_DATA"
"""Environment variable: the folder of data folders, `data` by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemSet:
    """The problems of one run with what identifies them."""

    problems: tuple[Problem, ...]
    facts: Mapping[str, Any]
    """For the manifest: source, licence, split, counts, fingerprint."""


def find_data(benchmark: Benchmark, place: str | None) -> Path:
    """The folder or file to read. Raises ValueError that says what to run when there is none."""
    path = Path(place) if place else Path(os.environ.get(DATA_ROOT, "data")) / benchmark.name
    if not path.exists():
        raise ValueError(f"{benchmark.name}: no data at {path}; to get it: {benchmark.get}")
    return path


def is_data_folder(path: Path) -> bool:
    """Whether `adora prep` wrote this folder."""
    return (path / "manifest.json").is_file() and (path / "problems.jsonl").is_file()


def load_benchmark(
    benchmark: Benchmark, place: str | None, run: Path, *, limit: int | None
) -> ProblemSet:
    """The problems of a run; raw files are converted into `run/data` once.

    Raises ValueError for absent or unusable data. Rows that the source's reader refuses are left
    out and counted in the facts.
    """
    path = find_data(benchmark, place)
    if not is_data_folder(path):
        path = convert_raw(benchmark, path, run / "data")
    manifest = json.loads((path / "manifest.json").read_bytes())
    problems = select(benchmark, load_problems(path), path)[:limit]
    facts = {
        "source": manifest.get("source", ""),
        "licence": manifest.get("licence", ""),
        "arguments": manifest.get("arguments", {}),
        "folder_fingerprint": manifest.get("fingerprint", ""),
        "dropped": manifest.get("dropped", {}),
        "splits": sorted({problem.split for problem in problems}),
        "problems": len(problems),
        "published": benchmark.items,
        "fingerprint": fingerprint(problems),
    }
    return ProblemSet(problems=tuple(problems), facts=facts)


def select(benchmark: Benchmark, problems: Sequence[Problem], path: Path) -> list[Problem]:
    """The problems of the benchmark's split in the form that it asks them in.

    Raises ValueError when the folder lacks the split, or options where they are needed.
    """
    if benchmark.split:
        splits = sorted({problem.split for problem in problems})
        if benchmark.split not in splits:
            raise ValueError(
                f"{path}: {benchmark.name} is the split {benchmark.split!r}, there is only "
                f"{', '.join(map(repr, splits))}; to get it: {benchmark.get}"
            )
        problems = [problem for problem in problems if problem.split == benchmark.split]
    if benchmark.choices is False:
        return [replace(problem, choices=()) for problem in problems]
    bare = next((p for p in problems if benchmark.choices and not p.choices), None)
    if bare is not None:
        raise ValueError(f"{path}: problem {bare.id} has no options; to get them: {benchmark.get}")
    return list(problems)


def convert_raw(benchmark: Benchmark, path: Path, folder: Path) -> Path:
    """Convert a source's own files into `folder`, unless it is there already."""
    if is_data_folder(folder):
        return folder
    bad = BadRows(drop=True)
    entries = read_raw(benchmark, path, bad=bad)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        write_folder(
            folder,
            entries,
            source=benchmark.source,
            licence=SOURCES[benchmark.source].licence,
            arguments={"benchmark": benchmark.name, "from": path.name, "split": benchmark.split},
            dropped=bad.dropped,
        )
    except ValueError as error:
        dropped = ", ".join(f"{reason} {count}" for reason, count in bad.dropped.items())
        raise ValueError(
            f"{benchmark.name}: {path} is not usable ({error}"
            + (f"; dropped: {dropped}" if dropped else "")
            + f"); to get the data: {benchmark.get}"
        ) from error
    return folder


def read_raw(
    benchmark: Benchmark, path: Path, *, bad: BadRows, images: bool = True
) -> Iterator[Entry]:
    """Entries from the source's own files; without images where only text is needed.

    Raises ValueError for a benchmark that has no source in this version.
    """
    if benchmark.source not in SOURCES:
        raise ValueError(
            f"{benchmark.name} reads data folders only, and {path} is none (no manifest.json); "
            f"to get one: {benchmark.get}"
        )
    read = SOURCES[benchmark.source].read
    if not images and benchmark.annotations is not None:
        read = benchmark.annotations
    return read(path, split=benchmark.split or None, bad=bad, **benchmark.options)
