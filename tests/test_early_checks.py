"""Checks made while others are generated: same verdicts, own order, errors told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import pytest

from adora_mm.early_checks import EarlyChecks, check
from adora_mm.types import Completion, Problem, Verdict
from adora_mm.verify import CheckerPool

PROBLEMS = [Problem(id=str(n), question="q", answer=str(n)) for n in range(6)]


def completions(*answers: object) -> list[Completion]:
    return [
        Completion(token_ids=(1,), text=f"\\boxed{{{a}}}", finish_reason="stop", logprobs=(0.0,))
        for a in answers
    ]


ROWS = [completions(n, n + 1, f"{2 * n}/2") for n in range(6)]


@pytest.mark.parametrize("order", [range(6), reversed(range(6)), (3, 0, 5, 1, 4, 2)])
def test_verdicts_come_in_the_order_of_the_problems(order: Sequence[int]) -> None:
    with CheckerPool(workers=1) as pool:
        with EarlyChecks(pool, PROBLEMS) as checks:
            for place in order:
                checks.add(place, ROWS[place])
        assert checks.verdicts() == check(pool, PROBLEMS, ROWS)
    assert [[v.correct for v in row] for row in checks.verdicts()] == [[True, False, True]] * 6


class Pool:
    """Records who checks what; holds the first check until it is let go."""

    def __init__(self, error: Exception | None = None) -> None:
        self.batches: list[int] = []
        self.started, self.go_on = threading.Event(), threading.Event()
        self.error = error

    def check_many(self, jobs: Sequence[Any], *, profile: str) -> list[Verdict]:
        self.batches.append(len(jobs))
        self.started.set()
        assert self.go_on.wait(20)
        if self.error is not None:
            raise self.error
        return [Verdict(outcome="correct", extracted="1", reason="")] * len(jobs)


def test_checks_run_while_the_caller_goes_on_and_what_waits_is_checked_together() -> None:
    pool: Any = Pool()
    with EarlyChecks(pool, PROBLEMS) as checks:
        checks.add(0, ROWS[0])
        assert pool.started.wait(20)
        for place in range(1, 6):
            checks.add(place, ROWS[place])
        pool.go_on.set()
    assert pool.batches[:2] == [3, 15]
    assert len(checks.verdicts()) == 6


def test_an_error_of_the_pool_is_raised_where_verdicts_are_wanted() -> None:
    pool: Any = Pool(RuntimeError("the CheckerPool is closed"))
    pool.go_on.set()
    with EarlyChecks(pool, PROBLEMS[:1]) as checks:
        checks.add(0, ROWS[0])
    with pytest.raises(RuntimeError, match="closed"):
        checks.verdicts()


def test_an_error_of_the_engine_leaves_no_thread_behind() -> None:
    def fail(pool: CheckerPool) -> None:
        with EarlyChecks(pool, PROBLEMS) as checks:
            checks.add(2, ROWS[2])
            raise OSError("engine")

    with CheckerPool(workers=1) as pool, pytest.raises(OSError, match="engine"):
        fail(pool)
    assert not any(thread.name == "checks" for thread in threading.enumerate())
