"""The problems that taught most, and those that taught nothing, each with its diagram.

groups.jsonl knows problems by id; what they ask is read from the data folders of the run, if they
are where they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from adora_mm.data import load_problems
from adora_mm.report.group_history import GroupVisit, History, Usefulness
from adora_mm.report.maths import with_formulas
from adora_mm.report.printable import printable
from adora_mm.report.thumbnails import Thumbnail, thumbnail
from adora_mm.types import Problem

NUM_MOST = 6
NUM_SILENT = 3
"""Of each kind: always wrong, always right, other."""
MAX_VISITS = 6
IMAGE_BUDGET_BYTES = 500_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemCard:
    """A problem and its visits."""

    problem_id: str
    question: Markup
    """Empty when its data folder could not be read."""
    answer: Markup
    image: Thumbnail | None
    signal: float
    """Summed over all visits."""
    visits: tuple[GroupVisit, ...]
    """The last ones."""
    num_visits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CardSet:
    """Cards of a heading."""

    title: str
    cards: tuple[ProblemCard, ...]


def card_sets(
    history: History, useful: Usefulness, folders: Sequence[str], notes: list[str]
) -> list[CardSet]:
    """The cards of each kind that has problems."""
    chosen = (
        ("Moved the policy most", useful.most[:NUM_MOST]),
        (f"Always wrong ({len(useful.always_wrong):,})", useful.always_wrong[:NUM_SILENT]),
        (f"Always right ({len(useful.always_right):,})", useful.always_right[:NUM_SILENT]),
        (f"Equal rewards ({len(useful.other_silent):,})", useful.other_silent[:NUM_SILENT]),
    )
    wanted = {name for _, names in chosen for name in names}
    problems = _read(folders, wanted, notes)
    left = IMAGE_BUDGET_BYTES
    sets = []
    for title, names in chosen:
        cards = []
        for name in names:
            card = _card(name, history[name], problems.get(name))
            if card.image is not None:
                left -= len(card.image.data_uri)
                card = card if left >= 0 else replace(card, image=None)
            cards.append(card)
        if cards:
            sets.append(CardSet(title=title, cards=tuple(cards)))
    return sets


def _read(folders: Sequence[str], wanted: set[str], notes: list[str]) -> dict[str, Problem]:
    """The wanted problems; what cannot be read is told and left out."""
    found: dict[str, Problem] = {}
    for folder in folders if wanted else ():
        try:
            problems = load_problems(folder)
        except (ValueError, OSError):
            notes.append(f"The problems of {folder} cannot be read here; their ids stand alone.")
            continue
        found |= {problem.id: problem for problem in problems if problem.id in wanted}
    return found


def _card(name: str, visits: Sequence[GroupVisit], problem: Problem | None) -> ProblemCard:
    images: Sequence[Path] = problem.images if problem else ()
    return ProblemCard(
        problem_id=printable(name),
        question=with_formulas(printable(problem.question if problem else "")),
        answer=with_formulas(printable(problem.answer if problem else "")),
        image=thumbnail(images[0]) if images else None,
        signal=sum(visit.signal for visit in visits),
        visits=tuple(visits[-MAX_VISITS:]),
        num_visits=len(visits),
    )
