"""How the curves of a run are drawn.

Noisy series are drawn twice: what was recorded, thin (beyond `MAX_POINTS` steps as the band from
smallest to largest value of neighbouring steps, so that a spike stays visible), and a centred
running mean, thick. The page stays small whatever the number of steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from numpy.typing import NDArray

from adora_mm.report.panels import DASHES, PANELS, Curve, Panel, dash_of
from adora_mm.report.run_data import EvalRow, Metrics
from adora_mm.report.summary import ends
from adora_mm.report.svg import colour, drawing, format_axis, to_svg
from adora_mm.report.wording import format_value
from adora_mm.report.wording import percent as as_percent

WIDTH_PT, HEIGHT_PT = 540.0, 215.0
MAX_POINTS = 400
SMOOTH_FROM_STEPS = 40
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """One line of a drawing in words: where it began and where it ended."""

    label: str
    colour: int
    dash: str
    """SVG dash pattern, empty for a solid line."""
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A drawing with its title and legend, ready for the page."""

    name: str
    title: str
    note: str
    svg: Markup
    legend: tuple[LegendEntry, ...]


def metric_plots(metrics: Metrics, section: str | None = None) -> list[Plot]:
    """One plot per panel that has data, of one section of the page or of all."""
    chosen = [panel for panel in PANELS if section in (None, panel.section)]
    plots = [panel_plot(panel, metrics) for panel in chosen]
    return [plot for plot in plots if plot is not None]


def missing_panels(metrics: Metrics) -> list[str]:
    """Titles of the panels without any data."""
    return [
        panel.title
        for panel in PANELS
        if all(metrics.column(curve.key) is None for curve in panel.curves)
    ]


def panel_plot(panel: Panel, metrics: Metrics) -> Plot | None:
    """The panel's curves that were recorded; None when none was."""
    columns = [(curve, metrics.column(curve.key)) for curve in panel.curves]
    present = [(curve, values) for curve, values in columns if values is not None]
    if not present:
        return None
    log = _needs_log([values for _, values in present])
    with drawing(panel.name, WIDTH_PT, HEIGHT_PT) as axes:
        for curve, values in present:
            spread = metrics.column(curve.spread_key) if curve.spread_key else None
            if spread is not None:
                low = np.maximum(0.0, values - spread)
                _draw_band(axes, metrics.steps, low, values + spread, curve.colour)
            draw_curve(axes, metrics.steps, values, curve, log)
        format_axis(axes, percent=panel.percent, log=log)
        legend = tuple(legend_entry(curve, values, panel.percent) for curve, values in present)
        label = f"{panel.title}: " + "; ".join(f"{entry.label} {entry.value}" for entry in legend)
        svg = to_svg(axes, panel.name, label)
    note = panel.note + (" Logarithmic scale." if log else "")
    return Plot(name=panel.name, title=panel.title, note=note.strip(), svg=svg, legend=legend)


def legend_entry(curve: Curve, values: Array, percent: bool) -> LegendEntry:
    first, last = (shown(end, percent) for end in ends(values))
    return LegendEntry(
        label=curve.label,
        colour=curve.colour,
        dash=DASHES[curve.dash],
        value=f"{first} → {last}",
    )


def shown(value: float | None, percent: bool) -> str:
    if value is None or not percent:
        return format_value(value)
    return as_percent(value, digits=0 if value >= 0.1 else 1)


def _needs_log(columns: list[Array]) -> bool:
    """Positive values that span more than two orders of magnitude above their median."""
    values = np.concatenate([column[np.isfinite(column)] for column in columns])
    return bool((values > 0).all() and values.max() > 100 * np.median(values))


def draw_curve(
    axes: Axes, steps: NDArray[np.int64], values: Array, curve: Curve, log: bool
) -> None:
    smooth = len(steps) >= SMOOTH_FROM_STEPS
    if len(steps) > MAX_POINTS:
        middles, low, high = bin_extremes(steps, values, MAX_POINTS)
        _draw_band(axes, middles, low, high, curve.colour)
    else:
        few = int(np.isfinite(values).sum()) <= SMOOTH_FROM_STEPS
        axes.plot(
            steps,
            values,
            color=colour(curve.colour),
            alpha=0.35 if smooth else 1.0,
            linewidth=0.8 if smooth else 1.8,
            linestyle="solid" if smooth else _line_style(curve.dash),
            marker="o" if few else "",
            markersize=2.5,
        )
    if smooth:
        window = max(3, len(steps) // 25)
        # on a log scale the geometric mean, or one spike would fill its whole window
        mean = np.exp(running_mean(np.log(values), window)) if log else running_mean(values, window)
        every = max(1, len(steps) // MAX_POINTS)
        axes.plot(
            steps[::every],
            mean[::every],
            color=colour(curve.colour),
            linewidth=1.9,
            linestyle=_line_style(curve.dash),
        )


def _draw_band(
    axes: Axes, steps: NDArray[np.int64] | Array, low: Array, high: Array, index: int
) -> None:
    axes.fill_between(steps, low, high, color=colour(index), alpha=0.16, linewidth=0)


def _line_style(dash: str) -> str | tuple[float, tuple[float, ...]]:
    """Matplotlib's form of `DASHES`, in multiples of the thick line's width."""
    if not DASHES[dash]:
        return "solid"
    return 0.0, tuple(float(length) / 1.9 for length in DASHES[dash].split())


def running_mean(values: Array, window: int) -> Array:
    """Centred mean over `window` steps; NaNs are ignored, a window of only NaNs gives NaN."""
    finite = np.isfinite(values)
    kernel = np.ones(window)
    total = np.convolve(np.where(finite, values, 0.0), kernel, mode="full")
    count = np.convolve(finite.astype(np.float64), kernel, mode="full")
    start = (window - 1) // 2
    total, count = total[start : start + len(values)], count[start : start + len(values)]
    mean: Array = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0.5)
    return mean


def bin_extremes(
    steps: NDArray[np.int64], values: Array, num_bins: int
) -> tuple[Array, Array, Array]:
    """Middle step, smallest and largest finite value of `num_bins` bins of neighbouring steps."""
    parts = np.array_split(np.arange(len(steps)), num_bins)
    middles = np.array([steps[part].mean() for part in parts])
    kept = [values[part][np.isfinite(values[part])] for part in parts]
    low = np.array([part.min() if part.size else np.nan for part in kept])
    high = np.array([part.max() if part.size else np.nan for part in kept])
    return middles, low, high


def eval_plot(evals: tuple[EvalRow, ...]) -> Plot | None:
    """Held-out accuracy over steps with the recorded 95 % bounds, a line for each series."""
    series = list(dict.fromkeys(row.series for row in evals))[: len(DASHES)]
    lines = [
        (" ".join(filter(None, key)), [row for row in evals if row.series == key]) for key in series
    ]
    return evals_plot("heldout", "Held-out accuracy", lines) if lines else None


def evals_plot(name: str, title: str, lines: Sequence[tuple[str, Sequence[EvalRow]]]) -> Plot:
    """Named lines of evaluations; where one has no rows, the others keep their colours."""
    legend = []
    last_step = max(row.step for _, rows in lines for row in rows)
    with drawing(name, WIDTH_PT, HEIGHT_PT) as axes:
        for index, (label, rows) in enumerate(lines):
            if not rows:
                continue
            dash = dash_of(index)
            shift = 0.006 * last_step * (index - (len(lines) - 1) / 2)
            _draw_evals(axes, rows, shift, index + 1, dash)
            first, last = shown(rows[0].accuracy, True), shown(rows[-1].accuracy, True)
            legend.append(
                LegendEntry(
                    label=label, colour=index + 1, dash=DASHES[dash], value=f"{first} → {last}"
                )
            )
        axes.set_ylim(bottom=0)
        format_axis(axes, percent=True)
        spoken = f"{title}: " + "; ".join(f"{line.label} {line.value}" for line in legend)
        svg = to_svg(axes, name, spoken)
    note = "Bars: 95 % Wilson intervals."
    return Plot(name=name, title=title, note=note, svg=svg, legend=tuple(legend))


def _draw_evals(axes: Axes, rows: Sequence[EvalRow], shift: float, index: int, dash: str) -> None:
    accuracy = np.array([row.accuracy for row in rows])
    low = np.array([row.accuracy if row.low is None else row.low for row in rows])
    high = np.array([row.accuracy if row.high is None else row.high for row in rows])
    axes.errorbar(
        [row.step + shift for row in rows],  # a little apart, so that bars do not hide each other
        accuracy,
        # bounds on the wrong side of the value (a hand-made file) would stop matplotlib
        yerr=np.maximum(0.0, np.stack([accuracy - low, high - accuracy])),
        color=colour(index),
        linestyle=_line_style(dash),
        linewidth=1.9,
        elinewidth=1.1,
        capsize=3,
        marker="o",
        markersize=4,
    )
