"""Everything a run writes while it goes: metrics, timings, evaluations, samples, console."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

from adora_mm.advantages import AdvantageResult
from adora_mm.config import LoggingConfig
from adora_mm.metrics.console import ConsoleLog
from adora_mm.metrics.jsonl import JsonlWriter
from adora_mm.metrics.tensorboard import TensorBoardWriter
from adora_mm.run_folder import RunFolder
from adora_mm.samples import sample_row
from adora_mm.types import RolloutGroup
from adora_mm.validation import EvalResult

EVAL_SAMPLES = 24


class Recorder:
    """The files of one run on rank 0; on other ranks it does nothing.

    Times go to a file of their own, so that metrics.jsonl is the same for the same seed.
    """

    def __init__(
        self, folder: RunFolder, config: LoggingConfig, console: ConsoleLog, *, after_step: int
    ) -> None:
        """Rows beyond `after_step`, left by an interrupted run, are cut; -1 starts afresh."""
        self.config = config
        self.console = console
        self.evaluations = _read_evaluations(folder, after_step)
        names = ("metrics", "timings", "evals", "samples/train", "samples/eval")
        self._files = {
            name: JsonlWriter(folder.path / f"{name}.jsonl", keep_until_step=after_step)
            for name in names
        }
        self._board: TensorBoardWriter | None = None
        if config.tensorboard and importlib.util.find_spec("tensorboard"):
            board = folder.path / "tensorboard"
            self._board = TensorBoardWriter(board, purge_step=after_step + 1)

    def step(self, step: int, metrics: Mapping[str, float], times: Mapping[str, float]) -> None:
        self._files["metrics"].write({"step": step, **metrics})
        self._files["timings"].write({"step": step, **times})
        if self._board is not None:
            self._board.write(step, {**metrics, **times})
        self.console.step(step, metrics, times["time/step_s"])

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
            for group in groups[:EVAL_SAMPLES]:
                row = sample_row(group, step=result.step, name=result.name, mode=result.mode)
                self._files["samples/eval"].write(row)
            if self._board is not None:
                path = f"eval/{result.name}_{result.mode}"
                self._board.write(result.step, {path: result.accuracy})
            self.console.evaluation(result)

    def close(self) -> None:
        for file in self._files.values():
            file.close()
        if self._board is not None:
            self._board.close()


def _read_evaluations(folder: RunFolder, after_step: int) -> list[EvalResult]:
    path = folder.path / "evals.jsonl"
    if not path.exists():
        return []
    names = {field.name for field in fields(EvalResult)}
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.endswith("}")]
    return [
        EvalResult(**{key: row[key] for key in names}) for row in rows if row["step"] <= after_step
    ]
