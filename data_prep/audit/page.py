"""An audit as one self-contained HTML page with pictures.

Problems are text of strangers: the template escapes everything, and the page's content security
policy allows no script and no request.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adora_mm.data import ImageError, open_image
from adora_mm.report.page import template
from adora_mm.types import Problem
from data_prep.audit import KINDS, Report
from data_prep.audit.findings import Finding, Kind

TEMPLATE = Path(__file__).parent / "templates" / "audit.html"
EXAMPLES_PER_KIND = 12
GALLERY = 24
THUMBNAIL_PX = 220
COUNTED = {
    "splits": "Splits",
    "sources": "Sources",
    "answer_kinds": "Golds",
    "options": "Options per problem",
    "pictures_per_problem": "Pictures per problem",
}
SPREADS = {
    "question_chars": "Question, characters",
    "answer_chars": "Gold, characters",
    "picture_px": "Longer side of a picture, px",
    "image_tokens": "Tokens of a picture",
    "prompt_tokens": "Tokens of a prompt",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A problem as the page shows it."""

    problem: Problem
    pictures: tuple[str, ...]
    """Data URIs; empty for pictures that cannot be shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A finding with the problem, and the other one of a pair."""

    finding: Finding
    shown: Shown | None
    other: Shown | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One kind of finding with its first examples."""

    kind: Kind
    count: int
    examples: tuple[Example, ...]


def render(
    report: Report, problems: Sequence[Problem], against: Mapping[str, Sequence[Problem]]
) -> str:
    """The page as HTML text; only the pictures that are shown are read."""
    step = max(1, len(problems) // GALLERY)
    statistics = report.statistics
    return template(TEMPLATE).render(
        report=report,
        bars=bars,
        sections=_sections(report, problems, against),
        counted=[(title, statistics[key]) for key, title in COUNTED.items()],
        spreads=[(t, statistics[key]) for key, t in SPREADS.items() if statistics[key]],
        gallery=[_show(problem) for problem in problems[::step][:GALLERY]],
    )


def _sections(
    report: Report, problems: Sequence[Problem], against: Mapping[str, Sequence[Problem]]
) -> list[Section]:
    own = {problem.id: problem for problem in problems}
    others = {name: {p.id: p for p in each} for name, each in against.items()}
    sections = []
    for kind, count in report.counts.items():
        found = [f for f in report.findings if f.kind == kind][:EXAMPLES_PER_KIND]
        examples = tuple(
            Example(
                finding=finding,
                shown=_find(own, finding.problem_id),
                other=_find(others.get(finding.other_set, own), finding.other_id),
            )
            for finding in found
        )
        sections.append(Section(kind=KINDS[kind], count=count, examples=examples))
    return sections


def _find(problems: Mapping[str, Problem], problem_id: str) -> Shown | None:
    return _show(problems[problem_id]) if problem_id in problems else None


def _show(problem: Problem) -> Shown:
    return Shown(problem=problem, pictures=tuple(_data_uri(path) for path in problem.images))


def _data_uri(path: Path) -> str:
    try:
        small = open_image(path, max_side=THUMBNAIL_PX)
    except ImageError:
        return ""
    buffer = io.BytesIO()
    small.quantize(64).save(buffer, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def bars(spread: Mapping[str, Any]) -> list[tuple[int, int, float]]:
    """(lower edge, count, height in percent) of a histogram's bars."""
    most = max(count for _, count in spread["histogram"])
    return [(edge, count, 100 * count / most) for edge, count in spread["histogram"]]
