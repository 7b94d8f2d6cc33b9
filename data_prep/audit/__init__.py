"""Is a data folder fit to train on? Golds, pictures, lengths, duplicates and leakage, in one pass.

`audit` finds, `Report.fit` judges (no blocking finding), `page.py` shows. What can be found and
what blocks is the table in `findings.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from data_prep.audit.compare import Items, duplicates, leaks
from data_prep.audit.findings import KINDS, Finding
from data_prep.audit.golds import check_golds
from data_prep.audit.pictures import (
    QWEN_MAX_PIXELS,
    QWEN_MIN_PIXELS,
    Picture,
    look_at,
    resized,
)
from data_prep.audit.statistics import describe

T = TypeVar("T")
Progress = Callable[[Iterable[T], str, int | None], Iterable[T]]
"""Wraps a loop of known length, to show how far it is."""
SHRUNK = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a recipe allows; the defaults are those of the published Qwen2.5-VL processor."""

    min_pixels: int = QWEN_MIN_PIXELS
    max_pixels: int = QWEN_MAX_PIXELS
    measure_prompts: Callable[[Sequence[Problem]], Iterable[Any]] | None = None
    """Problems to `PromptLength`s; None measures none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything an audit says about a set."""

    name: str
    findings: tuple[Finding, ...]
    statistics: Mapping[str, Any]
    compared_with: Mapping[str, int]
    """Evaluation set -> its problems."""
    settings: Mapping[str, Any]

    @property
    def fit(self) -> bool:
        return not any(finding.blocking for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """Kind of finding -> how many, blocking kinds first."""
        found = Counter(finding.kind for finding in self.findings)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    @property
    def unfit_ids(self) -> list[str]:
        """Problems with a blocking finding, in the order of the findings."""
        return list(
            dict.fromkeys(f.problem_id for f in self.findings if f.blocking if f.problem_id)
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "format": "adora-mm audit",
            "name": self.name,
            "fit": self.fit,
            "counts": self.counts,
            "settings": dict(self.settings),
            "compared_with": dict(self.compared_with),
            "statistics": dict(self.statistics),
            "findings": [
                asdict(finding) | {"blocking": finding.blocking} for finding in self.findings
            ],
        }


def audit(
    problems: Sequence[Problem],
    *,
    name: str,
    pool: CheckerPool,
    against: Mapping[str, Sequence[Problem]] | None = None,
    limits: Limits | None = None,
    benchmark: str = "",
    progress: Progress[Any] = lambda items, label, total: items,
) -> Report:
    """Audit loaded problems, and compare them with the evaluation sets in `against`.

    `benchmark` is the reason why the whole folder must not be trained on, or empty.
    """
    limits = limits or Limits()
    against = against or {}
    findings: list[Finding] = []
    if benchmark:
        findings.append(Finding(kind="evaluation_set", problem_id="", message=benchmark))
    everything = [*problems, *(each for others in against.values() for each in others)]
    paths = list(dict.fromkeys(path for problem in everything for path in problem.images))
    looks = {p: look_at(p) for p in progress(paths, "pictures", len(paths))}
    findings += check_golds(progress(problems, "golds", len(problems)), pool)
    findings += _picture_findings(problems, looks, limits)
    lengths: list[int] = []
    if limits.measure_prompts is not None:
        measured = limits.measure_prompts(problems)
        for each in progress(measured, "prompts", len(problems)):
            lengths.append(each.tokens)
            findings += [each.finding] if each.finding else []
    items = Items(problems, looks)
    findings += duplicates(items)
    for other_name, others in progress(list(against.items()), "leakage", len(against)):
        findings += leaks(items, Items(others, looks), other_name)
    return Report(
        name=name,
        findings=tuple(findings),
        statistics=describe(
            problems,
            looks,
            min_pixels=limits.min_pixels,
            max_pixels=limits.max_pixels,
            prompt_tokens=lengths,
        ),
        compared_with={key: len(others) for key, others in against.items()},
        settings={"min_pixels": limits.min_pixels, "max_pixels": limits.max_pixels},
    )


def _picture_findings(
    problems: Sequence[Problem], looks: Mapping[Path, Picture], limits: Limits
) -> Iterator[Finding]:
    """Unusable, blank and much shrunk pictures, at most one finding a picture of a problem."""
    for problem in problems:
        for path in problem.images:
            found = _picture_fault(looks[path], limits)
            if found is not None:
                yield Finding(kind=found[0], problem_id=problem.id, message=found[1])


def _picture_fault(look: Picture, limits: Limits) -> tuple[str, str] | None:
    size = f"{look.path.name}: {look.width}x{look.height} px"
    if look.fault:
        return "image_unreadable", look.fault
    if look.blank:
        return "image_blank", f"{size} of one grey"
    width, height = resized(look.width, look.height, limits.min_pixels, limits.max_pixels)
    if max(width, height) < SHRUNK * max(look.width, look.height):
        return "image_shrunk", f"{size} become {width}x{height} px"
    return None


__all__ = ["KINDS", "Finding", "Limits", "Report", "audit"]
