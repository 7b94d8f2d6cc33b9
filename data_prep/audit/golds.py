"""Golds, by the project's own checker: each can be read, equals itself, and is exactly one option.

"Equals itself" is asked twice: as the same text, and with a space and a full stop behind it, which
makes the checker compare values instead of texts.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Sequence

from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from adora_mm.verify.answers import parse_answer
from data_prep.audit.findings import Finding

AT_ONCE = 512
Job = tuple[str, str, Sequence[str] | None]


def check_golds(problems: Iterable[Problem], pool: CheckerPool) -> Iterator[Finding]:
    """One finding for each problem whose gold cannot be trusted, in the order of the problems."""
    batch: list[Problem] = []
    for problem in problems:
        batch.append(problem)
        if len(batch) == AT_ONCE:
            yield from _check(batch, pool)
            batch = []
    yield from _check(batch, pool)


def _check(problems: Sequence[Problem], pool: CheckerPool) -> Iterator[Finding]:
    asked: list[tuple[Problem, Sequence[Job]]] = [(p, _jobs(p)) for p in problems]
    verdicts = iter(pool.check_answers([job for _, jobs in asked for job in jobs]))
    for problem, jobs in asked:
        right = [next(verdicts).correct for _ in jobs]
        finding = _judge(problem, right)
        if finding is not None:
            kind, message = finding
            yield Finding(kind=kind, problem_id=problem.id, message=message)


def _jobs(problem: Problem) -> Sequence[Job]:
    """Gold against gold, gold by value against gold, and each letter against it."""
    choices = problem.choices or None
    golds = [problem.answer, f"{problem.answer} ."]
    letters = string.ascii_uppercase[: len(problem.choices)]
    return [(answer, problem.answer, choices) for answer in (*golds, *letters)]


def _judge(problem: Problem, right: Sequence[bool]) -> tuple[str, str] | None:
    same, by_value, *letters = right
    gold = problem.answer
    if problem.choices:
        chosen = [string.ascii_uppercase[i] for i, is_right in enumerate(letters) if is_right]
        if not chosen:
            return "no_right_choice", f"gold {gold!r} is none of {list(problem.choices)}"
        values = _equal_options(problem, chosen[0])
        if len(chosen) > 1 or values:
            named = ", ".join([*chosen, *values])
            return "several_right_choices", f"options {named} of {list(problem.choices)}"
        return None
    error = parse_answer(gold).error
    if error:
        return "gold_unreadable", f"gold {gold!r}: {error}"
    if not (same and by_value):
        return "gold_not_itself", f"gold {gold!r} does not equal itself"
    return None


def _equal_options(problem: Problem, letter: str) -> list[str]:
    """Letters of other options that are, as a text, the right one again."""
    index = string.ascii_uppercase.index(letter)
    if index >= len(problem.choices):
        return []
    wanted = "".join(problem.choices[index].split())
    return [
        string.ascii_uppercase[other]
        for other, option in enumerate(problem.choices)
        if other != index and "".join(option.split()) == wanted
    ]
