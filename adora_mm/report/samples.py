"""Choose samples of a run and shape them for the page.

Samples are chosen by their place in the file, never by their outcome, so that the page shows no
hand-picked wins: training problems from steps spread over the run, and held-out problems at the
first and the last evaluation side by side. A samples file can be huge, so it is scanned once and
only the chosen rows are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from markupsafe import Markup, escape

from adora_mm.report.jsonl import as_count, as_mapping, as_number, as_text, iter_lines, row_at
from adora_mm.report.maths import with_formulas
from adora_mm.report.printable import printable
from adora_mm.report.thumbnails import Thumbnail, thumbnail
from adora_mm.report.wording import counted

NUM_TRAIN_STEPS = 4
NUM_TRAIN_PER_STEP = 3
NUM_EVAL_PROBLEMS = 6
MAX_ROLLOUTS = 16
MAX_IMAGES = 4
BUDGET_BYTES = 1_900_000
"""For all samples of a page together; curves and text need some 600 kB more."""
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutView:
    """One completion with its verdict."""

    text: Markup
    """With its formulas drawn."""
    outcome: str
    extracted: str
    reason: str
    reward: float | None
    reward_parts: tuple[tuple[str, float], ...]
    advantage: float | None
    num_tokens: int | None
    finish_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The group of one problem at one step."""

    step: int
    label: str
    """Evaluation name and mode, where the row has them."""
    weight: float | None
    num_correct: int
    num_rollouts: int
    rollouts: tuple[RolloutView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A problem with what the model answered, at one or several steps."""

    problem_id: str
    source: str
    question: Markup
    answer: Markup
    images: tuple[Thumbnail, ...]
    visits: tuple[Visit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSet:
    """The samples of a page."""

    train: tuple[Sample, ...]
    heldout: tuple[Sample, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """Where a row stands in a samples file and what it is about."""

    offset: int
    step: int
    problem_id: str
    label: str


def load_samples(folder: Path, budget_bytes: int = BUDGET_BYTES) -> SampleSet:
    """Choose and shape the samples in `folder` (train.jsonl, eval.jsonl).

    Samples beyond the byte budget are left out, each kind getting at most half of the budget
    unless the other needs less; a note says so.
    """
    notes: list[str] = []
    heldout = [
        sample for rows in _heldout_rows(folder / "eval.jsonl", notes) if (sample := _shape(rows))
    ]
    train = [
        sample for rows in _train_rows(folder / "train.jsonl", notes) if (sample := _shape(rows))
    ]
    heldout_bytes = sum(map(_cost, heldout))
    kept_train = _within(train, max(budget_bytes // 2, budget_bytes - heldout_bytes))
    kept_heldout = _within(heldout, budget_bytes - sum(map(_cost, kept_train)))
    left_out = len(train) + len(heldout) - len(kept_train) - len(kept_heldout)
    if left_out:
        notes.append(f"{counted(left_out, 'chosen sample')} left out to keep this page small.")
    kept_train.sort(key=lambda sample: sample.visits[0].step)
    return SampleSet(train=tuple(kept_train), heldout=tuple(kept_heldout), notes=tuple(notes))


def _index(path: Path, notes: list[str]) -> list[_Entry]:
    """All rows of a samples file; of a row that was written twice (a resumed run) the later."""
    entries: dict[tuple[int, str, str], _Entry] = {}
    inner: list[str] = []
    for line in iter_lines(path, inner):
        step = as_count(line.row.get("step"))
        problem = as_mapping(line.row.get("problem"))
        if step is None or not problem:
            continue
        label = " ".join(filter(None, (as_text(line.row.get(key)) for key in ("name", "mode"))))
        entry = _Entry(
            offset=line.offset, step=step, problem_id=as_text(problem.get("id")), label=label
        )
        entries[step, entry.problem_id, label] = entry
    notes.extend(f"samples/{note}" for note in inner)
    return list(entries.values())


def spread(items: list[Item], count: int) -> list[Item]:
    """`count` of the items, evenly spread, with the first and the last."""
    if len(items) <= count:
        return items
    last = len(items) - 1
    return [items[round(index * last / (count - 1))] for index in range(count)]


def _train_rows(path: Path, notes: list[str]) -> Iterator[list[Mapping[str, Any]]]:
    """Groups in order of importance: one of each chosen step, early and late first."""
    entries = _index(path, notes)
    steps = spread(sorted({entry.step for entry in entries}), NUM_TRAIN_STEPS)
    steps = [steps[0], steps[-1], *steps[1:-1]] if len(steps) > 1 else steps
    of_step = [[entry for entry in entries if entry.step == step] for step in steps]
    for rank in range(NUM_TRAIN_PER_STEP):
        for candidates in of_step:
            if rank < len(candidates):
                yield _read(path, candidates[rank : rank + 1])


def _heldout_rows(path: Path, notes: list[str]) -> Iterator[list[Mapping[str, Any]]]:
    """Problems of the last evaluation, each with its rows at the first and the last step."""
    entries = _index(path, notes)
    if not entries:
        return
    first, last = min(entry.step for entry in entries), max(entry.step for entry in entries)
    ids = dict.fromkeys(entry.problem_id for entry in entries if entry.step == last)
    seen_before = {entry.problem_id for entry in entries if entry.step == first}
    ordered = sorted(ids, key=lambda problem_id: problem_id not in seen_before)
    for problem_id in ordered[:NUM_EVAL_PROBLEMS]:
        rows = [entry for entry in entries if entry.problem_id == problem_id]
        yield _read(
            path,
            sorted(
                (entry for entry in rows if entry.step in (first, last)),
                key=lambda entry: entry.step,
            ),
        )


def _read(path: Path, entries: list[_Entry]) -> list[Mapping[str, Any]]:
    rows = (row_at(path, entry.offset) for entry in entries)
    return [row for row in rows if row is not None]


def _shape(rows: list[Mapping[str, Any]]) -> Sample | None:
    """One problem's rows as a sample."""
    if not rows:
        return None
    problem = as_mapping(rows[0].get("problem"))
    images = _as_list(problem.get("images"))
    return Sample(
        problem_id=printable(as_text(problem.get("id"))),
        source=printable(as_text(problem.get("source"))),
        question=with_formulas(printable(as_text(problem.get("question")))),
        answer=with_formulas(printable(as_text(problem.get("answer")))),
        images=tuple(thumbnail(Path(as_text(path))) for path in images[:MAX_IMAGES]),
        visits=tuple(_visit(row) for row in rows),
    )


def _visit(row: Mapping[str, Any]) -> Visit:
    rollouts = [as_mapping(rollout) for rollout in _as_list(row.get("rollouts"))]
    return Visit(
        step=as_count(row.get("step")) or 0,
        label=" ".join(
            filter(None, (printable(as_text(row.get(key))) for key in ("name", "mode")))
        ),
        weight=as_number(row.get("weight")),
        num_correct=sum(rollout.get("outcome") == "correct" for rollout in rollouts),
        num_rollouts=len(rollouts),
        rollouts=tuple(_rollout(rollout) for rollout in rollouts[:MAX_ROLLOUTS]),
    )


def _rollout(raw: Mapping[str, Any]) -> RolloutView:
    parts = {name: as_number(value) for name, value in as_mapping(raw.get("reward_parts")).items()}
    return RolloutView(
        text=with_formulas(printable(as_text(raw.get("text")))),
        outcome=printable(as_text(raw.get("outcome"))),
        extracted=printable(as_text(raw.get("extracted"))),
        reason=printable(as_text(raw.get("reason"))),
        reward=as_number(raw.get("reward")),
        reward_parts=tuple(
            (printable(k), value) for k, value in parts.items() if value is not None
        ),
        advantage=as_number(raw.get("advantage")),
        num_tokens=as_count(raw.get("num_tokens")),
        finish_reason=printable(as_text(raw.get("finish_reason"))),
    )


def _as_list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _cost(sample: Sample) -> int:
    """Bytes of a sample on the page, roughly."""
    images = sum(len(image.data_uri) for image in sample.images)
    texts: list[str] = [sample.question, sample.answer]
    for rollout in (rollout for visit in sample.visits for rollout in visit.rollouts):
        texts += [rollout.text, escape(rollout.extracted), escape(rollout.reason)]
    cards = sum(len(visit.rollouts) for visit in sample.visits)
    return images + sum(len(text.encode()) for text in texts) + 900 * cards


def _within(samples: list[Sample], budget_bytes: int) -> list[Sample]:
    """The leading samples that fit the budget; a sample that does not fit is passed over."""
    kept, used = [], 0
    for sample in samples:
        cost = _cost(sample)
        if used + cost <= budget_bytes:
            kept.append(sample)
            used += cost
    return kept
