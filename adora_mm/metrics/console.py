"""The run on the console: a line per step, a table per evaluation, bars below them on a terminal.

Where the output is a file, there are plain lines only. Bars know how long a phase took before, and
show what of it is left; engines need not report progress for that.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from adora_mm.validation import EvalResult

COLUMNS = (
    ("acc", "reward/accuracy", "{:.2f}"),
    ("reward", "reward/mean", "{:.2f}"),
    ("len", "rollout/length_mean", "{:.1f}"),
    ("tas", "adora/tas_frac", "{:.2f}"),
    ("weight", "adora/weight_mean", "{:.2f}"),
    ("kl", "loss/kl", "{:.4f}"),
    ("grad", "optim/grad_norm", "{:.2f}"),
)
PHASES = {
    "rollout": "rollout",
    "reward": "check",
    "logprobs": "score",
    "update": "train",
    "sync": "sync weights",
    "evaluate": "evaluate",
    "checkpoint": "save",
}
"""Phases of the loop in the words of the bar."""


class ConsoleLog:
    """Prints for people; silent on all ranks but the first."""

    def __init__(
        self,
        *,
        enabled: bool,
        total_steps: int,
        progress: bool = True,
        terminal: bool | None = None,
    ) -> None:
        """`terminal` overrides what the output is found to be."""
        self.console = Console(
            quiet=not enabled, highlight=False, soft_wrap=True, force_terminal=terminal
        )
        self.total_steps = total_steps
        bars = enabled and progress and self.console.is_terminal
        self._bars = _Bars(self.console, total_steps) if bars else None
        self._steps_done = 0
        self._began: float | None = None

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def phase(self, name: str) -> None:
        """A phase of the loop begins."""
        if self._began is None and name != "evaluate":
            self._began = time.monotonic()  # of the first step: the evaluation before it is apart
        if self._bars is not None:
            self._bars.phase(name)

    def step(self, step: int, metrics: Mapping[str, float], step_s: float) -> None:
        """One line: where the run is, what it learns, how long it will still take.

        The time left counts in the evaluations and checkpoints that came between the steps so far.
        """
        self._steps_done += 1
        parts = [f"step {step}/{self.total_steps}"]
        parts += [
            f"{label} {form.format(metrics[key])}" for label, key, form in COLUMNS if key in metrics
        ]
        began = time.monotonic() - step_s if self._began is None else self._began
        left = (time.monotonic() - began) / self._steps_done * (self.total_steps - step)
        self.say("  ".join([*parts, f"{step_s:.1f} s", f"ETA {clock(left)}"]))
        if self._bars is not None:
            self._bars.step(step, left)

    def evaluation(self, results: Sequence[EvalResult], before: Sequence[EvalResult]) -> None:
        """The results of one evaluation beside the first of their kind in `before`."""
        if not self.console.is_terminal:
            for result in results:
                self.say(_line(result))
            return
        table = Table(
            "held-out", "right", "accuracy", "95 %", "since the first", "tokens", "cut off",
            "no answer", title=f"step {results[0].step}" if results else None,
        )  # fmt: skip
        for result in results:
            first = next(row for row in before if _kind(row) == _kind(result))
            table.add_row(
                " ".join(_kind(result)),
                f"{result.correct} of {result.n}",
                f"{result.accuracy:.1%}",
                f"{result.low:.1%} to {result.high:.1%}",
                f"{100 * (result.accuracy - first.accuracy):+.1f} points",
                f"{result.mean_tokens:.1f}",
                f"{result.truncated_frac:.1%}",
                f"{result.unparsed_frac:.1%}",
            )
        if results:
            self.console.print(table)

    def final_table(self, results: Sequence[EvalResult]) -> None:
        """First against last evaluation of each kind."""
        table = Table("held-out", "n", "before", "after", "change", "tokens before", "after")
        for kind in dict.fromkeys(map(_kind, results)):
            own = [result for result in results if _kind(result) == kind]
            first, last = own[0], own[-1]
            table.add_row(
                " ".join(kind),
                str(first.n),
                _rate(first),
                _rate(last),
                f"{100 * (last.accuracy - first.accuracy):+.1f} points",
                f"{first.mean_tokens:.1f}",
                f"{last.mean_tokens:.1f}",
            )
        if results:
            self.console.print(table)

    def close(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.close()


class _Bars:
    """The run by its steps, and the phase it is in by the time that the phase took last."""

    def __init__(self, console: Console, total_steps: int) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), _Bar(), _Left(),
            console=console, transient=True, refresh_per_second=2, get_time=time.monotonic,
        )  # fmt: skip
        self._run = self._progress.add_task("run", total=total_steps, left_s=None)
        self._phase = self._progress.add_task("", total=None, left_s=None)
        self._lasted: dict[str, float] = {}
        self._name, self._began = "", 0.0

    def phase(self, name: str) -> None:
        self._progress.start()
        now = time.monotonic()
        if self._name:
            self._lasted[self._name] = now - self._began
        self._name, self._began = name, now
        self._progress.reset(
            self._phase, total=self._lasted.get(name), description=PHASES.get(name, name)
        )

    def step(self, step: int, left_s: float) -> None:
        self._progress.update(self._run, completed=step, left_s=left_s)

    def close(self) -> None:
        self._progress.stop()


class _Bar(ProgressColumn):
    """Steps done, or the part of a phase's usual time that has passed; it pulses when unknown."""

    def render(self, task: Task) -> ProgressBar:
        done = task.completed if task.id == 0 else min(task.elapsed or 0.0, task.total or 0.0)
        return ProgressBar(total=task.total, completed=done, width=32, pulse=task.total is None)


class _Left(ProgressColumn):
    """What is left of the run, or of the phase."""

    def render(self, task: Task) -> Text:
        if task.id == 0:
            left = task.fields["left_s"]
            eta = "" if left is None else f", {clock(left)} left"
            return Text(f"step {task.completed:.0f} of {task.total:.0f}{eta}")
        passed = task.elapsed or 0.0
        usual = "" if task.total is None else f", {clock(max(0.0, task.total - passed))} left"
        return Text(f"{clock(passed)}{usual}")


def _kind(result: EvalResult) -> tuple[str, str]:
    return result.name, result.mode


def _line(result: EvalResult) -> str:
    return (
        f"  eval {result.name} {result.mode}: {result.accuracy:.1%} of {result.n} "
        f"[{result.low:.1%}, {result.high:.1%}]  {result.mean_tokens:.1f} tokens  "
        f"truncated {result.truncated_frac:.1%}  unparsed {result.unparsed_frac:.1%}"
    )


def _rate(result: EvalResult) -> str:
    return f"{result.accuracy:.1%} ({result.low:.1%} to {result.high:.1%})"


def clock(seconds: float) -> str:
    """`4:10`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
