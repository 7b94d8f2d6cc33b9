"""Check completions while later ones are still being generated.

One thread takes whatever has been finished since it last looked and gives it to the checker pool at
once, so slow checks of several prompts still share the pool's workers.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from queue import SimpleQueue

from adora_mm.types import Completion, Problem, Verdict
from adora_mm.verify import CheckerPool


class EarlyChecks:
    """Verdicts of a batch of problems, whose completions come in any order; a context manager."""

    def __init__(self, pool: CheckerPool, problems: Sequence[Problem]) -> None:
        self._pool, self._problems = pool, problems
        self._finished: SimpleQueue[tuple[int, Sequence[Completion]] | None] = SimpleQueue()
        self._verdicts: dict[int, list[Verdict]] = {}
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="checks", daemon=True)
        self._thread.start()

    def add(self, place: int, completions: Sequence[Completion]) -> None:
        """Check all completions of problem number `place`."""
        self._finished.put((place, completions))

    def __enter__(self) -> EarlyChecks:
        return self

    def __exit__(self, *_: object) -> None:
        """Wait for the checks that were asked for."""
        self._finished.put(None)
        self._thread.join()

    def verdicts(self) -> list[list[Verdict]]:
        """All verdicts, in the order of the problems; after the `with` block."""
        if self._error is not None:
            raise self._error
        return [self._verdicts[place] for place in range(len(self._problems))]

    def _run(self) -> None:
        try:
            while True:
                items = [self._finished.get()]
                while not self._finished.empty():
                    items.append(self._finished.get())
                rows = dict(item for item in items if item is not None)
                own = [self._problems[place] for place in rows]
                self._verdicts |= zip(
                    rows, check(self._pool, own, list(rows.values())), strict=True
                )
                if None in items:
                    return
        except BaseException as error:  # raised again where the verdicts are wanted
            self._error = error


def check(
    pool: CheckerPool,
    problems: Sequence[Problem],
    completions: Sequence[Sequence[Completion]],
    *,
    profile: str = "reward",
) -> list[list[Verdict]]:
    """Verdicts in the shape of the completions."""
    jobs = [
        (completion.text, problem.answer, problem.choices or None)
        for problem, row in zip(problems, completions, strict=True)
        for completion in row
    ]
    verdicts = iter(pool.check_many(jobs, profile=profile))
    return [[next(verdicts) for _ in row] for row in completions]
