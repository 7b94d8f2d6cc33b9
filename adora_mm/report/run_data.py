"""What a run's folder holds, as records: run.json, config.yaml and the files of rows.

A run that was resumed from a checkpoint may have written a step twice: the later row wins.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adora_mm.report.jsonl import (
    as_count,
    as_mapping,
    as_number,
    as_text,
    iter_lines,
    read_object,
)
from adora_mm.report.wording import counted

MAX_CONFIG_BYTES = 200_000
RUN_FILES = ("run.json", "config.yaml", "metrics.jsonl", "evals.jsonl")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataInfo:
    """One data folder of the run."""

    role: str
    """`train`, `val`, ..."""
    paths: tuple[str, ...]
    """Data folders, each perhaps with `@split`."""
    count: int | None
    """Number of problems."""
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """Content of run.json; missing entries are empty or None."""

    name: str
    status: str
    """`running`, `finished`, `stopped`, or empty when unknown."""
    recipe: str
    seed: str
    git_revision: str
    started: str
    minutes: float | None
    world_size: int | None
    policy_path: str
    num_parameters: int | None
    data: tuple[DataInfo, ...]
    versions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The training metrics as columns over steps."""

    steps: NDArray[np.int64]
    """Ascending, without repeats."""
    columns: Mapping[str, NDArray[np.float64]]
    """Key to one value per step; NaN where the step has none."""
    nonfinite: Mapping[str, tuple[int, ...]]
    """Key to the steps at which NaN or infinity was recorded."""

    def column(self, key: str) -> NDArray[np.float64] | None:
        """Values of `key` when it has any finite one."""
        values = self.columns.get(key)
        return None if values is None or not np.isfinite(values).any() else values


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRow:
    """One evaluation at one step; fractions are in [0, 1]."""

    step: int
    name: str
    mode: str
    """`greedy` or `sampled`."""
    n: int | None
    correct: int | None
    accuracy: float
    low: float | None
    """Lower 95 % Wilson bound, as recorded by the trainer."""
    high: float | None
    mean_tokens: float | None
    truncated_frac: float | None
    unparsed_frac: float | None

    @property
    def series(self) -> tuple[str, str]:
        return self.name, self.mode


Outcomes = Mapping[tuple[int, str, str], Mapping[str, float]]
"""(step, name, mode) of an evaluation to the share of right answers by problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunData:
    """Everything of a run but its samples, and what could not be read."""

    folder: Path
    info: RunInfo
    config_text: str
    metrics: Metrics
    evals: tuple[EvalRow, ...]
    outcomes: Outcomes
    notes: tuple[str, ...]


def load_run(folder: Path) -> RunData:
    """Read a run's folder.

    Raises:
        ValueError: `folder` is no folder, or holds none of the files of a run.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such run folder; give the folder that holds run.json")
    if not any((folder / name).is_file() for name in RUN_FILES):
        raise ValueError(f"{folder}: not a run folder (none of {', '.join(RUN_FILES)} is in it)")
    notes: list[str] = []
    return RunData(
        info=_run_info(read_object(folder / "run.json", notes), fallback=folder.resolve().name),
        config_text=_config_text(folder / "config.yaml", notes),
        metrics=_load_metrics(folder / "metrics.jsonl", notes),
        evals=_load_evals(folder / "evals.jsonl", notes),
        outcomes=_load_outcomes(folder / "outcomes.jsonl", notes),
        folder=folder,
        notes=tuple(notes),
    )


def _run_info(raw: Mapping[str, Any], fallback: str) -> RunInfo:
    policy = as_mapping(raw.get("policy"))
    data = {str(role): as_mapping(entry) for role, entry in as_mapping(raw.get("data")).items()}
    return RunInfo(
        name=as_text(raw.get("name")) or fallback,
        status=as_text(raw.get("status")),
        recipe=as_text(raw.get("recipe")),
        seed=as_text(raw.get("seed")),
        git_revision=as_text(raw.get("git_revision")),
        started=as_text(raw.get("started")),
        minutes=as_number(raw.get("minutes")),
        world_size=as_count(raw.get("world_size")),
        policy_path=as_text(policy.get("path")),
        num_parameters=as_count(policy.get("num_parameters")),
        data=tuple(
            DataInfo(
                role=role,
                paths=_texts(entry.get("path")),
                count=as_count(entry.get("count")),
                fingerprint=as_text(entry.get("fingerprint")),
            )
            for role, entry in data.items()
        ),
        versions=tuple(
            (str(package), as_text(version))
            for package, version in sorted(as_mapping(raw.get("versions")).items())
        ),
    )


def _texts(value: object) -> tuple[str, ...]:
    """A text or a list of texts; what is not a text is left out."""
    values = value if isinstance(value, list) else [value]
    return tuple(text for text in map(as_text, values) if text)


def _config_text(path: Path, notes: list[str]) -> str:
    if not path.is_file():
        notes.append(f"{path.name} is missing.")
        return ""
    with path.open("rb") as file:
        raw = file.read(MAX_CONFIG_BYTES + 1)
    if len(raw) > MAX_CONFIG_BYTES:
        notes.append(f"{path.name} is cut after {MAX_CONFIG_BYTES:,} bytes.")
    return raw[:MAX_CONFIG_BYTES].decode("utf-8", errors="replace")


def _load_metrics(path: Path, notes: list[str]) -> Metrics:
    by_step: dict[int, Mapping[str, Any]] = {}
    without_step = 0
    for line in iter_lines(path, notes):
        step = as_count(line.row.get("step"))
        if step is None:
            without_step += 1
        else:
            by_step[step] = line.row
    if without_step:
        notes.append(f"{path.name}: left out {counted(without_step, 'row')} without a step number.")
    if path.is_file() and not by_step:
        notes.append(f"{path.name} holds no step yet.")
    timings = path.with_name("timings.jsonl")  # apart, so that metrics are the same for a seed
    for line in iter_lines(timings, notes) if timings.is_file() else ():
        step = as_count(line.row.get("step"))
        if step in by_step:
            by_step[step] = {**by_step[step], **line.row}
    steps = sorted(by_step)
    keys = dict.fromkeys(key for step in steps for key in by_step[step] if key != "step")
    columns: dict[str, NDArray[np.float64]] = {}
    nonfinite: dict[str, tuple[int, ...]] = {}
    for key in keys:
        values = [by_step[step].get(key) for step in steps]
        numbers = [as_number(value) for value in values]
        columns[key] = np.array(
            [math.nan if number is None else number for number in numbers], dtype=np.float64
        )
        bad = tuple(
            step
            for step, value in zip(steps, values, strict=True)
            if isinstance(value, float) and not math.isfinite(value)
        )
        if bad:
            nonfinite[key] = bad
    return Metrics(steps=np.array(steps, dtype=np.int64), columns=columns, nonfinite=nonfinite)


def _load_evals(path: Path, notes: list[str]) -> tuple[EvalRow, ...]:
    rows: dict[tuple[int, str, str], EvalRow] = {}
    skipped = 0
    for line in iter_lines(path, notes):
        row = _eval_row(line.row)
        if row is None:
            skipped += 1
        else:
            rows[row.step, row.name, row.mode] = row
    if skipped:
        notes.append(f"{path.name}: left out {counted(skipped, 'row')} without step or accuracy.")
    if path.is_file() and not rows:
        notes.append(f"{path.name} holds no evaluation yet.")
    return tuple(sorted(rows.values(), key=lambda row: row.step))  # stable: file order in a step


def _load_outcomes(path: Path, notes: list[str]) -> Outcomes:
    """Older runs have no such file, which costs only the paired statistics."""
    found: dict[tuple[int, str, str], Mapping[str, float]] = {}
    for line in iter_lines(path, notes) if path.is_file() else ():
        step, ids, right = (line.row.get(name) for name in ("step", "id", "right"))
        number = as_count(step)
        if number is None or not isinstance(ids, list) or not isinstance(right, list):
            continue
        shares = {as_text(i): as_number(r) for i, r in zip(ids, right, strict=False)}
        key = (number, as_text(line.row.get("name")), as_text(line.row.get("mode")))
        found[key] = {name: share for name, share in shares.items() if share is not None}
    return found


def _eval_row(raw: Mapping[str, Any]) -> EvalRow | None:
    step, accuracy = as_count(raw.get("step")), as_number(raw.get("accuracy"))
    if step is None or accuracy is None:
        return None
    return EvalRow(
        step=step,
        name=as_text(raw.get("name")) or "held-out",
        mode=as_text(raw.get("mode")),
        n=as_count(raw.get("n")),
        correct=as_count(raw.get("correct")),
        accuracy=accuracy,
        low=as_number(raw.get("low")),
        high=as_number(raw.get("high")),
        mean_tokens=as_number(raw.get("mean_tokens")),
        truncated_frac=as_number(raw.get("truncated_frac")),
        unparsed_frac=as_number(raw.get("unparsed_frac")),
    )
