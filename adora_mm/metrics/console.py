"""The run on the console: a line per step with the time left, a table at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

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


class ConsoleLog:
    """Prints for people; silent on all ranks but the first."""

    def __init__(self, *, enabled: bool, total_steps: int) -> None:
        self.console = Console(quiet=not enabled, highlight=False, soft_wrap=True)
        self.total_steps = total_steps
        self._steps_done = 0
        self._steps_s = 0.0

    def say(self, text: str) -> None:
        self.console.print(text, markup=False)

    def step(self, step: int, metrics: Mapping[str, float], step_s: float) -> None:
        """One line: where the run is, what it learns, how long the other steps will take."""
        self._steps_done += 1
        self._steps_s += step_s
        parts = [f"step {step}/{self.total_steps}"]
        parts += [
            f"{label} {form.format(metrics[key])}" for label, key, form in COLUMNS if key in metrics
        ]
        left = self._steps_s / self._steps_done * (self.total_steps - step)
        self.say("  ".join([*parts, f"{step_s:.1f} s", f"ETA {_clock(left)}"]))

    def evaluation(self, result: EvalResult) -> None:
        self.say(
            f"  eval {result.name} {result.mode}: {result.accuracy:.1%} of {result.n} "
            f"[{result.low:.1%}, {result.high:.1%}]  {result.mean_tokens:.1f} tokens  "
            f"truncated {result.truncated_frac:.1%}  unparsed {result.unparsed_frac:.1%}"
        )

    def final_table(self, results: Sequence[EvalResult]) -> None:
        """First against last evaluation of each kind."""
        table = Table("held-out", "n", "before", "after", "change", "tokens before", "after")
        kinds = dict.fromkeys((result.name, result.mode) for result in results)
        for name, mode in kinds:
            own = [result for result in results if (result.name, result.mode) == (name, mode)]
            first, last = own[0], own[-1]
            table.add_row(
                f"{name} {mode}",
                str(first.n),
                _rate(first),
                _rate(last),
                f"{100 * (last.accuracy - first.accuracy):+.1f} points",
                f"{first.mean_tokens:.1f}",
                f"{last.mean_tokens:.1f}",
            )
        if results:
            self.console.print(table)


def _rate(result: EvalResult) -> str:
    return f"{result.accuracy:.1%} ({result.low:.1%} to {result.high:.1%})"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
