"""Every answer of a run, or of two side by side, on one self-contained page.

The page is made like the training report: everything escaped, no script, no request (its security
policy forbids both). The filters are check boxes and lists that the style sheet reads with `:has`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from adora_mm.files import write_atomically
from adora_mm.report.page import OUTCOMES as KNOWN
from adora_mm.report.page import style, template
from adora_mm.report.thumbnails import Thumbnail, thumbnail
from adora_mm.types import Problem
from evaluation.benchmarks import Benchmark
from evaluation.markdown import headline
from evaluation.results import category_values
from evaluation.scoring import ScoredResponse

if TYPE_CHECKING:
    from evaluation.stages import Side

TEMPLATES = Path(__file__).parent / "templates"
MAX_TEXT_CHARS = 20_000
MAX_SAMPLES = 16
MAX_FILTER_VALUES = 60
OUTCOMES = {**KNOWN, "error": ("!", "no reply")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One list of the page's filters."""

    key: str
    place: int
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One sample as it is shown."""

    row: ScoredResponse
    text: str
    hidden_chars: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One problem with the answers of each run."""

    problem: Problem
    images: tuple[Thumbnail, ...]
    answers: tuple[tuple[Answer, ...], ...]
    more: tuple[int, ...]
    """Samples of each run that are not shown."""
    classes: str
    """What the style sheet filters by."""


def write_viewer(
    path: Path,
    benchmark: Benchmark,
    problems: Sequence[Problem],
    sides: Sequence[Side],
    *,
    prompt: Mapping[str, Any],
    max_items: int,
    comparison: Mapping[str, Any] | None = None,
) -> None:
    """Write the page of one run, or of two with their comparison.

    At most `max_items` problems are shown: those whose outcome flipped first, then by position.
    """
    answers = [_by_problem(side) for side in sides]
    flipped = set(comparison["flips"]) if comparison else set()
    ordered = sorted(problems, key=lambda problem: problem.id not in flipped)
    shown = [p for p in ordered if any(p.id in side for side in answers)][:max_items]
    filters = _filters(benchmark, shown)
    items = [_item(problem, answers, filters, flipped) for problem in shown]
    page = template(TEMPLATES / "viewer.html").render(
        style=style() + Markup((TEMPLATES / "viewer.css").read_text("utf-8") + _rules(filters)),
        title=benchmark.title,
        sides=[side.results for side in sides],
        names=_names(sides),
        headlines=[headline(side.results) for side in sides],
        comparison=comparison,
        items=items,
        hidden=len(problems) - len(items),
        filters=filters,
        outcomes=OUTCOMES,
        prompt=prompt,
    )
    write_atomically(path, page)


def _names(sides: Sequence[Side]) -> list[str]:
    """The model's name; of two runs, with the place, because both may be of one model."""
    names = [str(side.results["model"]) for side in sides]
    return names if len(names) == 1 else [f"First: {names[0]}", f"Second: {names[1]}"]


def _by_problem(side: Side) -> dict[str, list[Answer]]:
    found: dict[str, list[Answer]] = {}
    for row in side.rows:
        text = side.responses[row.id].text if row.id in side.responses else ""
        shown = text
        if len(text) > MAX_TEXT_CHARS:  # the end says more than the middle
            half = MAX_TEXT_CHARS // 2
            shown = f"{text[:half]}\n[...]\n{text[-half:]}"
        answer = Answer(row=row, text=shown, hidden_chars=max(0, len(text) - MAX_TEXT_CHARS))
        found.setdefault(row.problem, []).append(answer)
    return found


def _filters(benchmark: Benchmark, problems: Sequence[Problem]) -> tuple[Filter, ...]:
    filters = []
    for place, key in enumerate(benchmark.categories):
        values = sorted({value for p in problems for value in category_values(p, key)})
        if 1 < len(values) <= MAX_FILTER_VALUES:
            filters.append(Filter(key=key, place=place, values=tuple(values)))
    return tuple(filters)


def _item(
    problem: Problem,
    sides: Sequence[Mapping[str, Sequence[Answer]]],
    filters: Sequence[Filter],
    flipped: set[str],
) -> Item:
    answers = [side.get(problem.id, ()) for side in sides]
    rows = [answer.row for each in answers for answer in each]
    classes = {f"o-{row.outcome}" for row in rows}
    classes |= {"truncated" for row in rows if row.finish_reason == "length"}
    classes |= {"flipped"} if problem.id in flipped else set()
    for each in filters:
        for value in category_values(problem, each.key):
            classes.add(f"c{each.place}-{each.values.index(value)}")
    return Item(
        problem=problem,
        images=tuple(_thumbnail(image) for image in problem.images),
        answers=tuple(tuple(each[:MAX_SAMPLES]) for each in answers),
        more=tuple(max(0, len(each) - MAX_SAMPLES) for each in answers),
        classes=" ".join(sorted(classes)),
    )


@lru_cache(maxsize=4)
def _thumbnail(path: Path) -> Thumbnail:
    return thumbnail(path)


def _rules(filters: Sequence[Filter]) -> str:
    """One rule per outcome and per filter value; names are ours, never a data set's."""
    rules = [
        f"body:has(#show-{name}:checked) .item.o-{name} {{ display: block; }}" for name in OUTCOMES
    ]
    rules += [
        f"body:has(#filter-{each.place} option[value='{number}']:checked) "
        f".item:not(.c{each.place}-{number}) {{ display: none !important; }}"
        for each in filters
        for number in range(len(each.values))
    ]
    return "\n" + "\n".join(rules) + "\n"
