"""Put a run's folder on one self-contained page.

Model text is hostile input: the template escapes everything (only our own drawings and style sheet
are passed as markup), and the page's content security policy allows no script and no request, so
that even a mistake here could not run anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import numpy as np
from markupsafe import Markup

from adora_mm.files import write_atomically
from adora_mm.report import figures, phase_figures, summary
from adora_mm.report.group_history import Usefulness, load_history, transitions, usefulness
from adora_mm.report.migration import migration_plot
from adora_mm.report.panels import SECTIONS
from adora_mm.report.problem_cards import CardSet, card_sets
from adora_mm.report.run_data import Metrics, RunData, load_run
from adora_mm.report.samples import SampleSet, load_samples
from adora_mm.report.summary import ends
from adora_mm.report.verdict import (
    headline_series,
    in_pairs,
    interval,
    judge,
    other_series,
    paired,
)
from adora_mm.report.wording import format_value, percent, signed

TEMPLATES = Path(__file__).parent / "templates"
OUTCOMES = {
    "correct": ("✓", "right"),
    "incorrect": ("✗", "wrong"),
    "unparsed": ("?", "no answer found"),
    "timeout": ("…", "checker timed out"),
}
"""Outcome of the checker to its sign and word; colour is never the only difference."""
LIVE_EVERY_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Teaching:
    """Which problems moved the policy, and how they moved."""

    useful: Usefulness
    migration: figures.Plot | None
    cards: Sequence[CardSet]


def write_report(run_folder: Path, out: Path | None = None) -> Path:
    """Write the report of a run and return its path.

    Args:
        run_folder: a run's folder; it may be incomplete or still growing.
        out: the file to write, or a folder for `report.html`; by default the run's folder.

    Raises:
        ValueError: `run_folder` is not a run's folder, or `out` lies in no existing folder.
    """
    return write_page(render(run_folder), out or run_folder, "report.html")


def write_page(page: str, target: Path, name: str) -> Path:
    """Write a page to the file `target`, or into that folder under `name`; returns the file.

    Raises ValueError when `target` lies in no existing folder.
    """
    if target.is_dir():
        target = target / name
    if not target.parent.is_dir():
        raise ValueError(f"{target}: the folder {target.parent} does not exist; create it first")
    write_atomically(target, page)
    return target


def render(run_folder: Path, *, live: bool = False) -> str:
    """The page of a run as HTML text; a live one loads itself again while the run goes on.

    Raises ValueError when `run_folder` is not a run's folder.
    """
    run = load_run(run_folder)
    samples = load_samples(run_folder / "samples")
    inner: list[str] = []
    teaching = _teaching(run, inner)
    time = [phase_figures.time_plot(run.metrics), phase_figures.memory_plot(run.metrics)]
    heldout = figures.eval_plot(run.evals)
    plots = {name: figures.metric_plots(run.metrics, name) for name in SECTIONS}
    plots["learning"] = [plot for plot in (heldout, *plots["learning"]) if plot is not None]
    plots["time"] = [plot for plot in time if plot is not None]
    rows = headline_series(run.evals)
    pairs = paired(rows[0], rows[-1], run.outcomes, run.outcomes) if len(rows) > 1 else None
    return template(TEMPLATES / "report.html").render(
        style=style(),
        run=run,
        samples=samples,
        refresh_s=LIVE_EVERY_S if live and run.info.status == "running" else None,
        verdict=judge(run.evals),
        pairs="" if pairs is None else in_pairs(pairs),
        others=other_series(run.evals),
        trained=summary.what_was_trained(run),
        facts=summary.run_facts(run.info),
        warnings=summary.warnings(run),
        notes=[*_notes(run, samples), *inner],
        plots=plots,
        teaching=teaching,
        phases=phase_figures.phase_totals(run.metrics),
        smooth=len(run.metrics.steps) >= figures.SMOOTH_FROM_STEPS,
        evals=[(row, interval(row)) for row in run.evals],
        metric_rows=_metric_rows(run.metrics),
        outcomes=OUTCOMES,
        written=written_now(),
    )


def style() -> Markup:
    return Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))


def written_now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _teaching(run: RunData, notes: list[str]) -> Teaching | None:
    """What groups.jsonl says; None for a run that has none (older ones) or no step yet."""
    path = run.folder / "groups.jsonl"
    history = load_history(path, notes) if path.is_file() else {}
    if not history:
        return None
    useful = usefulness(history)
    folders = [folder for data in run.info.data if data.role == "train" for folder in data.paths]
    return Teaching(
        useful=useful,
        migration=migration_plot(transitions(history)),
        cards=card_sets(history, useful, folders, notes),
    )


def template(file: Path) -> jinja2.Template:
    """A page's template: all text is escaped, and a name that is not given is an error.

    It may extend `base.html`, which stands here.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([file.parent, TEMPLATES]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(percent=percent, value=format_value, signed=signed)
    return environment.get_template(file.name)


def _notes(run: RunData, samples: SampleSet) -> list[str]:
    """What is missing on this page, one sentence each."""
    notes = [*run.notes, *samples.notes]
    missing = figures.missing_panels(run.metrics)
    if len(run.metrics.steps) and missing:
        notes.append(f"No curve, because nothing was recorded: {', '.join(missing)}.")
    return notes


def _metric_rows(metrics: Metrics) -> list[tuple[str, ...]]:
    """Key, mean over the first steps, over the last steps, smallest and largest value."""
    columns = [(key, metrics.column(key)) for key in sorted(metrics.columns)]
    return [
        (key, *map(format_value, (*ends(values), np.nanmin(values), np.nanmax(values))))
        for key, values in columns
        if values is not None
    ]
