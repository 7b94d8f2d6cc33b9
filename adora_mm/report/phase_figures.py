"""Time and memory by phase of the loop: a stacked drawing, curves, and the totals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from adora_mm.metrics.console import PHASES, clock
from adora_mm.report.figures import HEIGHT_PT, WIDTH_PT, Array, LegendEntry, Plot, panel_plot
from adora_mm.report.panels import Curve, Panel, dash_of
from adora_mm.report.run_data import Metrics
from adora_mm.report.svg import NUM_COLOURS, colour, drawing, format_axis, to_svg
from adora_mm.report.wording import percent as as_percent

MAX_PHASES = 5
MAX_BARS = 120
BETWEEN_STEPS = frozenset({"evaluate", "checkpoint"})
"""Phases that are not part of `time/step_s`."""
APART = frozenset({"step", "rollout_hidden"})
"""Not phases: the whole step, and what the step before has hidden."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseTotal:
    """A phase over the whole run."""

    name: str
    time: str
    share: str
    """Of the time of all phases."""
    peak_gb: float | None


def phase_totals(metrics: Metrics) -> list[PhaseTotal]:
    """Phases by their time, longest first; what came before the first step is not in it."""
    seconds = {name: float(np.nansum(values)) for name, values in _by_phase(metrics, "time", "s")}
    peaks = {name: float(np.nanmax(values)) for name, values in _by_phase(metrics, "memory", "gb")}
    total = sum(seconds.values()) or 1.0
    return [
        PhaseTotal(
            name=PHASES.get(name, name),
            time=clock(value),
            share=as_percent(value / total, digits=0),
            peak_gb=peaks.get(name),
        )
        for name, value in sorted(seconds.items(), key=lambda item: -item[1])
    ]


def memory_plot(metrics: Metrics) -> Plot | None:
    """Peak memory of the phases that used most."""
    peaks = {name: float(np.nanmax(values)) for name, values in _by_phase(metrics, "memory", "gb")}
    ranked = sorted(peaks, key=lambda name: -peaks[name])[:NUM_COLOURS]
    curves = tuple(
        Curve(
            key=f"memory/{name}_gb",
            label=PHASES.get(name, name),
            colour=index + 1,
            dash=dash_of(index),
        )
        for index, name in enumerate(ranked)
    )
    panel = Panel(name="memory", section="time", title="Peak memory by phase (GB)", curves=curves)
    return panel_plot(panel, metrics)


def _by_phase(metrics: Metrics, kind: str, unit: str) -> Iterator[tuple[str, Array]]:
    """Name and values of each phase: columns `KIND/NAME_UNIT`."""
    for key in metrics.columns:
        name = key.removeprefix(f"{kind}/").removesuffix(f"_{unit}")
        values = metrics.column(key)
        if key == f"{kind}/{name}_{unit}" and name not in APART and values is not None:
            yield name, values


def time_plot(metrics: Metrics) -> Plot | None:
    """Seconds of each phase of a step, stacked; the rarest phases are summed as `other`."""
    phases = {name: np.nan_to_num(values) for name, values in _by_phase(metrics, "time", "s")}
    step_s = metrics.column("time/step_s")
    if not phases and step_s is None:
        return None
    ranked = sorted(phases, key=lambda name: -float(phases[name].sum()))
    stacked = {name: phases[name] for name in ranked[:MAX_PHASES]}
    rest = sum((phases[name] for name in ranked[MAX_PHASES:]), np.zeros(len(metrics.steps)))
    if step_s is not None:
        inside = (values for name, values in phases.items() if name not in BETWEEN_STEPS)
        named = sum(inside, np.zeros(len(metrics.steps)))
        rest = rest + np.clip(np.nan_to_num(step_s) - named, 0.0, None)
    if rest.sum() > 0:
        stacked["other"] = stacked.pop("other", np.zeros(len(rest))) + rest
    return _stacked_plot(metrics.steps, stacked)


def _stacked_plot(steps: NDArray[np.int64], stacked: dict[str, Array]) -> Plot:
    width = -(-len(steps) // MAX_BARS)
    parts = [np.arange(start, len(steps))[:width] for start in range(0, len(steps), width)]
    middles = np.array([steps[part].mean() for part in parts])
    heights = [np.array([v[part].mean() for part in parts]) for v in stacked.values()]
    total = sum(float(values.sum()) for values in stacked.values()) or 1.0
    legend = tuple(
        LegendEntry(
            label=PHASES.get(name, name),
            colour=index,
            dash="",
            value=as_percent(float(values.sum()) / total, digits=0),
        )
        for index, (name, values) in enumerate(stacked.items(), start=1)
    )
    with drawing("time", WIDTH_PT, HEIGHT_PT) as axes:
        bottom = np.zeros(len(middles))
        for entry, height in zip(legend, heights, strict=True):
            axes.bar(middles, height, width, bottom, color=colour(entry.colour), linewidth=0)
            bottom = bottom + height
        format_axis(axes)
        label = "Time per phase: " + "; ".join(f"{line.label} {line.value}" for line in legend)
        svg = to_svg(axes, "time", label)
    return Plot(name="time", title="Time per step (seconds)", note="", svg=svg, legend=legend)
