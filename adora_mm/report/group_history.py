"""What became of each training problem: groups.jsonl, read visit by visit.

A visit is one group of one problem at one step. An epoch gives every problem once, so the n-th
visit of a problem stands for its n-th epoch (with dynamic sampling, for those that were kept).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adora_mm.report.jsonl import as_count, as_number, as_text, iter_lines
from adora_mm.report.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupVisit:
    """One group of a problem, in numbers."""

    step: int
    tas: bool
    weight: float
    right: float
    """Share of right answers."""
    signal: float
    """Mean |advantage| after the weight; 0 moves nothing."""


History = Mapping[str, Sequence[GroupVisit]]
"""Problem id to its visits, in order."""


def load_history(path: Path, notes: list[str]) -> History:
    """Read groups.jsonl; a step that was written twice (a resumed run) counts once, the later."""
    rows: dict[int, Mapping[str, Any]] = {}
    for line in iter_lines(path, notes):
        step = as_count(line.row.get("step"))
        if step is not None:
            rows[step] = line.row
    history: dict[str, list[GroupVisit]] = {}
    broken = 0
    for step in sorted(rows):
        visits = _visits(step, rows[step])
        broken += visits is None
        for problem_id, visit in visits or ():
            history.setdefault(problem_id, []).append(visit)
    if broken:
        notes.append(f"{path.name}: left out {counted(broken, 'row')} with columns that differ.")
    return history


def _visits(step: int, row: Mapping[str, Any]) -> list[tuple[str, GroupVisit]] | None:
    """The groups of a step, or None when its columns are not what they should be."""
    columns = [row.get(name) for name in ("id", "tas", "weight", "right", "signal")]
    if not all(isinstance(column, list) for column in columns):
        return None
    if len({len(column) for column in columns if column is not None}) != 1:
        return None
    found = []
    for name, *values in zip(*(column or [] for column in columns), strict=True):
        tas, weight, right, signal = (as_number(value) for value in values)
        if tas is None or weight is None or right is None or signal is None:
            return None
        visit = GroupVisit(step=step, tas=tas > 0, weight=weight, right=right, signal=signal)
        found.append((as_text(name), visit))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """Moves of the problems that have both an n-th and an (n+1)-th visit."""

    visit: int
    """n, from 1."""
    moves: Mapping[tuple[bool, bool], int]
    """(was TAS, is TAS) to a number of problems; all four moves."""

    @property
    def problems(self) -> int:
        return sum(self.moves.values())


def transitions(history: History) -> list[Transition]:
    """One for each n with at least one problem that was visited n + 1 times."""
    found = []
    for visit in range(1, max((len(visits) for visits in history.values()), default=0)):
        moves = {(a, b): 0 for a in (True, False) for b in (True, False)}
        for visits in history.values():
            if len(visits) > visit:
                moves[visits[visit - 1].tas, visits[visit].tas] += 1
        found.append(Transition(visit=visit, moves=moves))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Usefulness:
    """Which problems moved the policy."""

    problems: int
    most: tuple[str, ...]
    """Ids by their signal, summed over visits; the first with the most."""
    share_of_top_tenth: float
    """Part of all signal that came from the tenth of the problems with the most."""
    always_wrong: tuple[str, ...]
    """Ids of problems without any signal and without a right answer, most visits first."""
    always_right: tuple[str, ...]
    other_silent: tuple[str, ...]
    """Without signal for other reasons, such as equal rewards in each of several groups."""

    @property
    def silent(self) -> int:
        return len(self.always_wrong) + len(self.always_right) + len(self.other_silent)


def usefulness(history: History) -> Usefulness:
    """Rank the problems by how much their groups could move the policy."""
    signal = {name: sum(v.signal for v in visits) for name, visits in history.items()}
    ranked = sorted(history, key=lambda name: (-signal[name], name))
    total = sum(signal.values())
    tenth = ranked[: max(1, len(ranked) // 10)]
    silent = [name for name in history if signal[name] == 0]
    silent.sort(key=lambda name: (-len(history[name]), name))
    wrong = [n for n in silent if all(v.right == 0 for v in history[n])]
    right = [n for n in silent if all(v.right == 1 for v in history[n])]
    known = {*wrong, *right}
    return Usefulness(
        problems=len(history),
        most=tuple(name for name in ranked if signal[name] > 0),
        share_of_top_tenth=sum(signal[name] for name in tenth) / total if total else 0.0,
        always_wrong=tuple(wrong),
        always_right=tuple(right),
        other_silent=tuple(name for name in silent if name not in known),
    )
