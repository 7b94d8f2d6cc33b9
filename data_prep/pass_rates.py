"""Pass rates as files, and what is chosen by them: a band of difficulty, or stages of a curriculum.

pass_rates.jsonl   first line {"settings": {...}}, then one row per problem:
{"id": "geometry3k-17", "n": 8, "correct": 3, "pass_rate": 0.375, "truncated": 1, "unparsed": 0,
 "mean_tokens": 212.5}
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adora_mm.types import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Pass rates of a set under one policy."""

    settings: Mapping[str, Any]
    by_id: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stages:
    """What a filter keeps."""

    kept: tuple[tuple[Problem, float, str], ...]
    """Problem, pass rate and stage (`stage1` is the easiest; empty without stages)."""
    dropped: Mapping[str, int]


def load_rates(file: Path) -> Rates:
    """Read a finished file. Raises ValueError naming the file and row."""
    if not file.is_file():
        raise ValueError(f"{file}: no such file; adora prep difficulty writes it")
    by_id: dict[str, float] = {}
    settings: Mapping[str, Any] | None = None
    for number, line in enumerate(file.read_bytes().splitlines(), start=1):
        try:
            row = json.loads(line)
            if number == 1:
                settings = dict(row["settings"])
            else:
                by_id[str(row["id"])] = row["correct"] / row["n"]
        except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
            raise ValueError(f"{file}, row {number}: not a row of pass rates") from error
    if settings is None:
        raise ValueError(f"{file}: empty; adora prep difficulty writes it")
    return Rates(settings=settings, by_id=by_id)


def stages_of(
    problems: Sequence[Problem], rates: Rates, low: float, high: float, stages: int | None
) -> Stages:
    """The problems whose pass rate is in [low, high], in their order, or in stages from easy.

    Stages have equal sizes, up to one problem, and keep the order of the problems inside. Raises
    ValueError for a band that is none, for problems without a rate, and for too many stages.
    """
    if low > high:
        raise ValueError(f"--min {low} is over --max {high}")
    missing = [problem.id for problem in problems if problem.id not in rates.by_id]
    if missing:
        raise ValueError(
            f"{len(missing)} of {len(problems)} problems have no pass rate, first {missing[0]!r}: "
            "measure this set with adora prep difficulty"
        )
    rated = [(problem, rates.by_id[problem.id]) for problem in problems]
    kept = [(problem, rate) for problem, rate in rated if low <= rate <= high]
    dropped = {
        f"pass rate under {low:g}": sum(rate < low for _, rate in rated),
        f"pass rate over {high:g}": sum(rate > high for _, rate in rated),
    }
    if stages is None:
        return Stages(kept=tuple((p, rate, "") for p, rate in kept), dropped=dropped)
    if stages > len(kept):
        raise ValueError(f"{stages} stages, but only {len(kept)} problems to put into them")
    order = sorted(range(len(kept)), key=lambda index: -kept[index][1])
    stage = {index: 1 + place * stages // len(kept) for place, index in enumerate(order)}
    staged = sorted(range(len(kept)), key=lambda index: (stage[index], index))
    return Stages(
        kept=tuple((*kept[index], f"stage{stage[index]}") for index in staged), dropped=dropped
    )
