"""Matplotlib drawings as inline SVG that takes its colours from the page.

Matplotlib draws with placeholder colours; in the SVG text each becomes a CSS variable, so that one
drawing serves light mode, dark mode and print. Text stays text (small, searchable, in the page's
font). Ids get the figure's name in front, for all drawings share one HTML document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter
from matplotlib.typing import RcKeyType

from adora_mm.report.wording import format_value

NUM_COLOURS = 6
_TEXT, _GRID = "#a100f0", "#a100f1"
_VARIABLES = {
    _TEXT: "var(--plot-text)",
    _GRID: "var(--plot-grid)",
    **{f"#a100{index:02x}": f"var(--s{index})" for index in range(1, NUM_COLOURS + 1)},
}
_STYLE: dict[RcKeyType, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,  # names from a run's files may hold dollar signs
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same layout on every machine
    "font.size": 10.5,
    "text.color": _TEXT,
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.linewidth": 0.7,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.7,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "ytick.minor.size": 0,
    "lines.solid_capstyle": "round",
}


def colour(index: int) -> str:
    """Placeholder for the page's series colour `--s<index>`, from 1 to `NUM_COLOURS`."""
    assert 1 <= index <= NUM_COLOURS
    return f"#a100{index:02x}"


@contextmanager
def drawing(name: str, width_pt: float, height_pt: float) -> Iterator[Axes]:
    """One empty axes in the page's style; pass it to `to_svg` before the context ends."""
    with mpl.rc_context(_STYLE | {"svg.hashsalt": name}):
        figure = Figure(figsize=(width_pt / 72, height_pt / 72), facecolor="none")
        left, right, bottom, top = (
            48 / width_pt,
            1 - 12 / width_pt,
            34 / height_pt,
            1 - 8 / height_pt,
        )
        axes = figure.add_axes((left, bottom, right - left, top - bottom), facecolor="none")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True, min_n_ticks=1))
        axes.set_xlabel("step", labelpad=2)
        yield axes


def format_axis(axes: Axes, *, percent: bool = False, log: bool = False) -> None:
    """Tick labels of the y axis: percent, or three significant digits; optionally log scale."""
    if log:
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(
        FuncFormatter(
            lambda value, _: f"{100 * value:.3g} %" if percent else format_value(float(value))
        )
    )


def to_svg(axes: Axes, name: str, label: str) -> Markup:
    """The drawing as an `<svg>` element; `label` is read out by screen readers."""
    buffer = StringIO()
    figure = axes.get_figure()
    assert isinstance(figure, Figure)
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<style\b.*?</style>", "", text, flags=re.DOTALL)  # it would style the page
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    text = re.sub(r"<[^>]+>", lambda tag: re.sub(r"(\d+\.\d{2})\d+", r"\1", tag[0]), text)
    text = re.sub(r'(\sid="|xlink:href="#|url\(#)', rf"\g<1>{name}-", text)
    for placeholder, variable in _VARIABLES.items():
        text = text.replace(placeholder, variable)
    opening = f'<svg role="img" aria-label="{escape(label)}"'
    return Markup(opening + text.removeprefix("<svg"))  # matplotlib escapes its text
