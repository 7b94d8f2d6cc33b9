"""Several runs on one page: curves over each other, held-out accuracy problem by problem.

Every run is compared with the first one, at the last evaluation that both have. The statistics are
those of benchmarks (`metrics/scores.py`): a bootstrap over problems and McNemar's exact test. They
speak about these runs; how much two runs differ that differ by their seed only, they cannot know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from adora_mm.metrics.scores import Difference
from adora_mm.report import summary
from adora_mm.report.figures import (
    HEIGHT_PT,
    WIDTH_PT,
    Plot,
    draw_curve,
    evals_plot,
    legend_entry,
)
from adora_mm.report.page import TEMPLATES, style, template, write_page, written_now
from adora_mm.report.panels import DASHES, Curve, dash_of
from adora_mm.report.run_data import EvalRow, RunData, load_run
from adora_mm.report.svg import NUM_COLOURS, drawing, format_axis, to_svg
from adora_mm.report.verdict import headline_series, interval, paired

OVERLAYS = (
    ("reward/accuracy", "Accuracy on training rollouts", True),
    ("rollout/length_mean", "Response length (tokens)", False),
    ("length/correct", "Length of right responses", False),
    ("length/incorrect", "Length of wrong responses", False),
    ("group/mixed_frac", "Groups with right and wrong answers", True),
    ("adora/tas_frac", "Share of advantageous groups (TAS)", True),
    ("adora/effective_lr_factor", "Weight of what moves the policy", False),
    ("rollout/entropy", "Entropy (nats per token)", False),
    ("optim/grad_norm", "Gradient norm", False),
    ("loss/clip_frac", "Tokens clipped", True),
    ("loss/kl", "KL to the reference (nats per token)", False),
    ("mismatch/kl", "Engine mismatch (KL, nats per token)", False),
    ("time/step_s", "Seconds per step", False),
)
"""Metric, title, and whether it is a share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLine:
    """A run in the table at the top."""

    number: int
    name: str
    colour: int
    dash: str
    trained: str
    last: EvalRow | None
    """The last evaluation of the headline's series."""
    interval: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairLine:
    """A run against the first one, in one series of evaluations."""

    series: str
    step: int
    name: str
    difference: Difference

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.difference.low > 0 or self.difference.high < 0


def write_comparison(folders: Sequence[Path], out: Path | None = None) -> Path:
    """Write the comparison of several runs and return its path.

    By default it goes to `comparison.html` beside the first run's folder. Raises ValueError for a
    folder without a run, for one run alone or too many, and for a target in no existing folder.
    """
    if not 2 <= len(folders) <= NUM_COLOURS:
        raise ValueError(f"{len(folders)} runs: a comparison takes 2 to {NUM_COLOURS}")
    target = out or folders[0].resolve().parent
    return write_page(render_comparison(folders), target, "comparison.html")


def render_comparison(folders: Sequence[Path], *, refresh_s: int | None = None) -> str:
    """The page as HTML text."""
    runs = [load_run(folder) for folder in folders]
    names = _names(runs)
    return template(TEMPLATES / "compare.html").render(
        style=style(),
        refresh_s=refresh_s,
        runs=[_run_line(index, run, names[index]) for index, run in enumerate(runs)],
        pairs=_pair_lines(runs, names),
        notes=_notes(runs, names),
        plots=[*_eval_plots(runs, names), *_overlays(runs, names)],
        written=written_now(),
    )


def _names(runs: Sequence[RunData]) -> list[str]:
    """Names of the runs; with the folder above where two are alike."""
    names = [run.info.name for run in runs]
    return [
        name if names.count(name) == 1 else f"{run.folder.resolve().parent.name}/{name} ({index})"
        for index, (name, run) in enumerate(zip(names, runs, strict=True), start=1)
    ]


def _run_line(index: int, run: RunData, name: str) -> RunLine:
    rows = headline_series(run.evals)
    return RunLine(
        number=index + 1,
        name=name,
        colour=index + 1,
        dash=DASHES[dash_of(index)],
        trained=summary.what_was_trained(run),
        last=rows[-1] if rows else None,
        interval=interval(rows[-1]) if rows else "",
    )


def _series(evals: Sequence[EvalRow]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(row.series for row in evals))


def _pair_lines(runs: Sequence[RunData], names: Sequence[str]) -> list[PairLine]:
    first = runs[0]
    lines = []
    for series in _series(first.evals):
        for run, name in zip(runs[1:], names[1:], strict=True):
            steps = [
                {row.step: row for row in each.evals if row.series == series}
                for each in (first, run)
            ]
            both = sorted(steps[0].keys() & steps[1].keys())
            if not both:
                continue
            step = both[-1]
            found = paired(steps[0][step], steps[1][step], first.outcomes, run.outcomes)
            if found is not None:
                lines.append(
                    PairLine(series=" ".join(series), step=step, name=name, difference=found)
                )
    return lines


def _notes(runs: Sequence[RunData], names: Sequence[str]) -> list[str]:
    """What makes the runs hard to compare."""
    notes = [f"{name}: {note}" for run, name in zip(runs, names, strict=True) for note in run.notes]
    for role in ("train", "val"):
        prints = {data.fingerprint for run in runs for data in run.info.data if data.role == role}
        if len(prints) > 1:
            notes.append(f"The runs have different problems ({role}): see their fingerprints.")
    return notes


def _eval_plots(runs: Sequence[RunData], names: Sequence[str]) -> list[Plot]:
    return [
        evals_plot(
            f"heldout{number}",
            f"Held-out accuracy: {' '.join(series)}",
            [
                (name, [row for row in run.evals if row.series == series])
                for run, name in zip(runs, names, strict=True)
            ],
        )
        for number, series in enumerate(_series(runs[0].evals))
    ]


def _overlays(runs: Sequence[RunData], names: Sequence[str]) -> list[Plot]:
    plots = [
        _overlay(key, title, percent, runs, names, f"overlay{number}")
        for number, (key, title, percent) in enumerate(OVERLAYS)
    ]
    return [plot for plot in plots if plot is not None]


def _overlay(
    key: str,
    title: str,
    percent: bool,
    runs: Sequence[RunData],
    names: Sequence[str],
    plot_name: str,
) -> Plot | None:
    """One metric of every run that has it."""
    legend = []
    with drawing(plot_name, WIDTH_PT, HEIGHT_PT) as axes:
        for index, (run, name) in enumerate(zip(runs, names, strict=True)):
            values = run.metrics.column(key)
            if values is None:
                continue
            curve = Curve(key=key, label=name, colour=index + 1, dash=dash_of(index))
            draw_curve(axes, run.metrics.steps, values, curve, log=False)
            legend.append(legend_entry(curve, values, percent))
        if not legend:
            return None
        format_axis(axes, percent=percent)
        svg = to_svg(axes, plot_name, title)
    return Plot(name=plot_name, title=title, note="", svg=svg, legend=tuple(legend))
