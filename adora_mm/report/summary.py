"""What was trained on what, and what in the run deserves a second look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adora_mm.report.run_data import Metrics, RunData, RunInfo
from adora_mm.report.verdict import headline_series
from adora_mm.report.wording import counted, duration, format_value, moment, parameters, percent

WINDOW_STEPS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A rule of thumb: worth a look when the mean of the last steps passes a limit."""

    key: str
    limit: float
    above: bool
    """True when values above `limit` are the odd ones."""
    text: str
    """`{value}` and `{percent}` stand for the measured mean."""


CHECKS = (
    Check(
        key="rollout/truncated_frac",
        limit=0.2,
        above=True,
        text="{percent} of the rollouts in the last steps hit the length limit.",
    ),
    Check(
        key="group/mixed_frac",
        limit=0.2,
        above=False,
        text="Only {percent} of the last groups hold both right and wrong answers; "
        "the other groups teach little.",
    ),
    Check(
        key="mismatch/kl",
        limit=0.02,
        above=True,
        text="Rollout engine and trainer disagree: mismatch KL {value} in the last steps.",
    ),
    Check(
        key="loss/clip_frac",
        limit=0.3,
        above=True,
        text="{percent} of the tokens were clipped in the last steps: the updates are large.",
    ),
)


def what_was_trained(run: RunData) -> str:
    """One or two sentences: policy, data, steps, machine time; unknown parts are left out."""
    info = run.info
    policy = info.policy_path or "An unnamed policy"
    if info.num_parameters is not None:
        policy += f" ({parameters(info.num_parameters)})"
    parts = [f"{policy}, {_training_length(run)}"]
    for data in info.data:
        problems = "problems" if data.count is None else counted(data.count, "problem")
        role = {"train": "trained on", "val": "held out:"}.get(data.role, f"{data.role}:")
        mark = f" (fingerprint {data.fingerprint[:12]})" if data.fingerprint else ""
        parts.append(f"{role} {problems} of {', '.join(data.paths) or 'an unnamed folder'}{mark}")
    return "; ".join(parts) + "."


def _training_length(run: RunData) -> str:
    steps = run.metrics.steps
    done = "no step recorded" if not len(steps) else counted(int(steps[-1]), "step")
    state = {
        "running": "still running when this page was written",
        "stopped": "stopped before the end",
        "finished": "finished",
    }.get(run.info.status, "state unknown")
    return f"{done} ({state})"


def run_facts(info: RunInfo) -> list[tuple[str, str]]:
    """Name and value of what identifies the run, known entries only."""
    facts = [
        ("recipe", info.recipe),
        ("seed", info.seed),
        ("status", info.status or "unknown"),
        ("started", moment(info.started)),
        ("run time", "" if info.minutes is None else duration(info.minutes)),
        ("processes", "" if info.world_size is None else str(info.world_size)),
        ("revision", info.git_revision[:12]),
    ]
    return [(name, value) for name, value in facts if value]


def ends(values: NDArray[np.float64]) -> tuple[float | None, float | None]:
    """Means over the first and over the last steps (at most `WINDOW_STEPS`, a quarter of all)."""
    window = max(1, min(WINDOW_STEPS, len(values) // 4))
    return _finite_mean(values[:window]), _finite_mean(values[-window:])


def _finite_mean(values: NDArray[np.float64]) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None


def warnings(run: RunData) -> list[str]:
    """What in the run deserves a second look; limits are rules of thumb."""
    found = [text for check in CHECKS if (text := _apply(check, run.metrics)) is not None]
    for key, steps in run.metrics.nonfinite.items():
        times = counted(len(steps), "step")
        found.append(f"{key} was not finite at {times} (first: step {steps[0]}).")
    rows = headline_series(run.evals)
    if rows and (rows[-1].unparsed_frac or 0.0) > 0.1:
        found.append(
            f"{percent(rows[-1].unparsed_frac)} of the last held-out answers had no readable "
            "final answer."
        )
    if rows and (rows[-1].truncated_frac or 0.0) > 0.1:
        found.append(
            f"{percent(rows[-1].truncated_frac)} of the last held-out answers hit the length limit."
        )
    return found


def _apply(check: Check, metrics: Metrics) -> str | None:
    values = metrics.column(check.key)
    mean = None if values is None else ends(values)[1]
    if mean is None or (mean <= check.limit if check.above else mean >= check.limit):
        return None
    return check.text.format(value=format_value(mean), percent=percent(mean))
