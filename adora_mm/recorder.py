"""Everything a run writes while it goes: metrics, timings, evaluations, samples, console."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

from adora_mm.advantages import AdvantageResult
from adora_mm.config import RunConfig
from adora_mm.metrics.console import ConsoleLog
from adora_mm.metrics.jsonl import JsonlWriter
from adora_mm.metrics.trackers import TrackedRun, Trackers
from adora_mm.run_folder import RunFolder
from adora_mm.samples import groups_row, outcomes_row, sample_row
from adora_mm.step import RolloutFacts
from adora_mm.types import RolloutGroup
from adora_mm.validation import EvalResult

EVAL_SAMPLES = 24
FILES = ("metrics", "timings", "groups", "evals", "outcomes", "samples/train", "samples/eval")


class Recorder:
    """The files of one run on rank 0; on other ranks it does nothing.

    Times go to a file of their own, so that metrics.jsonl is the same for the same seed.
    """

    def __init__(
        self, folder: RunFolder, config: RunConfig, console: ConsoleLog, *, after_step: int
    ) -> None:
        """Rows beyond `after_step`, left by an interrupted run, are cut; -1 starts afresh."""
        self.config = config.logging
        self.console = console
        self._files = {
            name: JsonlWriter(folder.path / f"{name}.jsonl", keep_until_step=after_step)
            for name in FILES
        }
        self.evaluations = _read_evaluations(folder)
        run = TrackedRun(
            folder=folder.path,
            name=config.name,
            started=str(folder.info["started"]),
            recipe=config.model_dump(mode="json"),
            first_step=after_step + 1,
        )
        self._trackers = Trackers(run, config.logging, console.say)

    def step(self, step: int, metrics: Mapping[str, float], times: Mapping[str, float]) -> None:
        self._files["metrics"].write({"step": step, **metrics})
        self._files["timings"].write({"step": step, **times})
        self._trackers.write(step, {**metrics, **times})
        self.console.step(step, metrics, times["time/step_s"])

    def times(self, step: int, times: Mapping[str, float]) -> None:
        """What came after a step: an evaluation, a checkpoint."""
        self._files["timings"].write({"step": step, **times})

    def groups(
        self,
        step: int,
        problem_ids: Sequence[str],
        facts_PG: Sequence[Sequence[RolloutFacts]],
        result: AdvantageResult,
    ) -> None:
        """Write what became of each group of the step, on all ranks."""
        correct_PG = [[fact.correct for fact in facts] for facts in facts_PG]
        row = groups_row(problem_ids, correct_PG, result, step=step)
        self._files["groups"].write(row)

    def train_samples(
        self,
        step: int,
        groups: Sequence[RolloutGroup],
        share: Sequence[int],
        result: AdvantageResult,
        *,
        policy_version: int,
    ) -> None:
        """Write the first groups of this rank's share, every `sample_every_steps` steps."""
        if step % self.config.sample_every_steps and step != 1:
            return
        for index, group in list(zip(share, groups, strict=True))[: self.config.sample_groups]:
            row = sample_row(
                group,
                step=step,
                policy_version=policy_version,
                advantages=result.advantages_PG[index].tolist(),
                weight=float(result.weights_P[index]),
            )
            self._files["samples/train"].write(row)

    def evaluation(self, outcomes: Sequence[tuple[EvalResult, Sequence[RolloutGroup]]]) -> None:
        for result, groups in outcomes:
            self.evaluations.append(result)
            self._files["evals"].write(asdict(result))
            row = outcomes_row(groups, step=result.step, name=result.name, mode=result.mode)
            self._files["outcomes"].write(row)
            for group in groups[:EVAL_SAMPLES]:
                row = sample_row(group, step=result.step, name=result.name, mode=result.mode)
                self._files["samples/eval"].write(row)
            path = f"eval/{result.name}_{result.mode}"
            self._trackers.write(result.step, {path: result.accuracy})
        self.console.evaluation([result for result, _ in outcomes], self.evaluations)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        self._trackers.close()


def _read_evaluations(folder: RunFolder) -> list[EvalResult]:
    """Those of evals.jsonl, which its writer has cut already."""
    names = {field.name for field in fields(EvalResult)}
    rows = map(json.loads, (folder.path / "evals.jsonl").read_bytes().splitlines())
    return [EvalResult(**{key: row[key] for key in names}) for row in rows]
