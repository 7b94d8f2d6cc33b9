"""What may break during a run, and what the run does about it: one line, one dump, one way on.

- An optimizer step whose loss or gradient is not finite is skipped on every rank, its batch is
  written to the run's `faults/` folder, and a few in a row stop the run (`SkippedUpdates`).
- A fault that no rank can mend is a `RunFault`: the command prints its one line and ends with exit
  code 1, so that a scheduler can tell it from a mistake in the recipe (2) and start again with
  --resume.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adora_mm.files import write_atomically

SKIPPED = "optim/skipped_update_frac"
"""Metric of an optimizer step: 1 when it was skipped, else 0."""


class RunFault(RuntimeError):
    """Something broke while the run was going; the message is one line that says how to go on."""


class NonFiniteError(RunFault):
    """A loss, gradient, weight or logit that is not a finite number."""


class SkippedUpdates:
    """Counts optimizer steps that were skipped in a row, and keeps their batches."""

    def __init__(self, folder: Path, *, limit: int, rank: int, say: Callable[[str], None]) -> None:
        self.folder, self.limit, self.rank, self.say = folder, limit, rank, say
        self.in_a_row = 0
        """The policy is not saved while this is above 0: the step after may show it was broken."""

    def check(self, metrics: dict[str, float], batch: Callable[[], Any], *, name: str) -> None:
        """Look at one optimizer step's metrics; `batch()` is this rank's part of it, as JSON.

        Raises NonFiniteError at `limit` skipped steps in a row, on every rank alike.
        """
        if not metrics[SKIPPED]:
            self.in_a_row = 0
            return
        self.in_a_row += 1
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{name}-rank-{self.rank}.json"
        write_atomically(path, json.dumps(batch()) + "\n")
        self.say(
            f"skipped {name}: its loss or gradient is not finite; the batch is in {path} "
            f"({self.in_a_row} in a row, the run stops at {self.limit})"
        )
        if self.in_a_row >= self.limit:
            raise NonFiniteError(
                f"{self.in_a_row} optimizer steps in a row had a loss or gradient that is not "
                f"finite ({name} was the last); nothing was saved after the first of them. Look at "
                f"{self.folder}, then start a new run with a lower train.learning_rate from "
                "policy.path=.../policy of the last checkpoint"
            )


def batch_row(groups: Sequence[Any], metrics: dict[str, float]) -> dict[str, Any]:
    """A rank's part of an optimizer step (`batching.TrainGroup`s) as JSON."""
    return {
        "metrics": {name: repr(value) for name, value in metrics.items()},
        "groups": [
            {
                "problem_id": group.prompt.problem_id,
                "prompt_ids": list(group.prompt.token_ids),
                "advantages": list(group.advantages),
                "counted": list(group.counted),
                "responses": [
                    {
                        "token_ids": list(completion.token_ids),
                        "rollout_logprobs": list(completion.logprobs),
                        "text": completion.text,
                    }
                    for completion in group.completions
                ],
            }
            for group in groups
        ],
    }
