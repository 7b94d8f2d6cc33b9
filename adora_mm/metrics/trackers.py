"""Where metrics go beside metrics.jsonl: TensorBoard, Weights & Biases, trackio.

A tracker is two methods. One that fails while a run goes on is told of and left alone: curves in a
browser are not worth days of GPUs, and metrics.jsonl has every number. What is asked for and not
installed stops the run before it begins.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from adora_mm.config import LoggingConfig


class Tracker(Protocol):
    """Takes the metrics of a step under their metric paths."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """What a tracker is told about a run."""

    folder: Path
    name: str
    started: str
    """When it was started first; with the name it tells the run from others."""
    recipe: Mapping[str, Any]
    """The resolved recipe; recipes hold no secrets."""
    first_step: int
    """What an interrupted run wrote from this step on does not count."""

    @property
    def id(self) -> str:
        return f"{self.name}-{re.sub('[^0-9]', '', self.started)[:14]}"


class TensorBoard:
    """Event files in the run's folder."""

    def __init__(self, run: TrackedRun, config: LoggingConfig) -> None:
        from torch.utils.tensorboard import SummaryWriter

        folder = str(run.folder / "tensorboard")
        self._writer: Any = SummaryWriter(folder, purge_step=run.first_step)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run of Weights & Biases; a resumed run goes on under the same id.

    Nothing but metrics and the recipe is sent: no console output, no code, no git state, no
    machine statistics. The key comes from the library's own places (`wandb login`).
    """

    def __init__(self, run: TrackedRun, config: LoggingConfig) -> None:
        import wandb

        settings = wandb.Settings(
            silent=True, console="off", save_code=False, disable_git=True,
            disable_job_creation=True,
            x_disable_stats=True, host="-", x_disable_machine_info=True, x_disable_meta=True,
        )  # fmt: skip
        mode: Literal["online", "offline"] = "online" if config.wandb == "online" else "offline"
        try:
            self._run = wandb.init(
                project=config.project, name=run.name, id=run.id, dir=str(run.folder),
                config=dict(run.recipe), mode=mode, resume="allow", settings=settings,
            )  # fmt: skip
        except wandb.errors.Error as error:
            raise ValueError(
                f"logging.wandb={config.wandb}: {error}; `wandb login` first, or take "
                "logging.wandb=offline, whose files `wandb sync` sends later"
            ) from error

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        self._run.finish()


class Trackio:
    """A run in trackio's local database, which knows it by its name alone."""

    def __init__(self, run: TrackedRun, config: LoggingConfig) -> None:
        import trackio

        self._run = trackio.init(
            project=config.project, name=run.id, config=dict(run.recipe), resume="allow",
            embed=False, auto_log_gpu=False, auto_log_cpu=False,
        )  # fmt: skip

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        self._run.finish()


TRACKERS: dict[str, Callable[[TrackedRun, LoggingConfig], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "trackio": Trackio,
}
"""Named like their packages and like their switches in `logging`."""


def wanted_trackers(config: LoggingConfig) -> list[str]:
    """Names of the trackers that the recipe asks for.

    Raises ValueError when one of them is not installed.
    """
    switches = {
        "tensorboard": config.tensorboard,
        "wandb": config.wandb != "off",
        "trackio": config.trackio,
    }
    wanted = [name for name in TRACKERS if switches[name]]
    for name in wanted:
        if importlib.util.find_spec(name) is None:
            raise ValueError(
                f"logging.{name} needs the package {name}: pip install {name}; or switch it off"
            )
    return wanted


class Trackers:
    """All trackers of a run as one."""

    def __init__(self, run: TrackedRun, config: LoggingConfig, say: Callable[[str], None]) -> None:
        self._say = say
        self._open = {name: TRACKERS[name](run, config) for name in wanted_trackers(config)}

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self._each(lambda tracker: tracker.write(step, metrics))

    def close(self) -> None:
        self._each(lambda tracker: tracker.close())
        self._open = {}

    def _each(self, action: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self._open.items()):
            try:
                action(tracker)
            except Exception as error:  # whatever these libraries raise, the run goes on
                del self._open[name]
                line = " ".join(str(error).split()) or type(error).__name__
                self._say(f"{name} failed and is left out from here on: {line}")
