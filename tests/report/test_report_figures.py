"""Drawings: colours from the page, no clashes in one document, honest smoothing, bounded size."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from report_run import eval_row, metric_row, write_jsonl

from adora_mm.report.figures import (
    bin_extremes,
    eval_plot,
    metric_plots,
    missing_panels,
    running_mean,
)
from adora_mm.report.panels import PANELS, SECTIONS
from adora_mm.report.phase_figures import memory_plot, phase_totals, time_plot
from adora_mm.report.run_data import Metrics, load_run
from adora_mm.report.svg import NUM_COLOURS
from adora_mm.report.wording import format_value


def metrics_of(tmp_path: Path, rows: Sequence[Mapping[str, object]]) -> Metrics:
    write_jsonl(tmp_path / "metrics.jsonl", rows)
    return load_run(tmp_path).metrics


@pytest.fixture
def metrics(run_folder: Path) -> Metrics:
    return load_run(run_folder).metrics


def test_every_panel_is_drawn_from_a_full_run(metrics: Metrics) -> None:
    assert [plot.name for plot in metric_plots(metrics)] == [panel.name for panel in PANELS]
    assert missing_panels(metrics) == []


def test_panels_are_sound() -> None:
    names = [panel.name for panel in PANELS]
    assert len(set(names)) == len(names)
    assert {panel.section for panel in PANELS} == set(SECTIONS)
    for panel in PANELS:
        colours = [curve.colour for curve in panel.curves]
        assert len(set(colours)) == len(colours)
        assert set(colours) <= set(range(1, NUM_COLOURS + 1))
        assert len({curve.dash for curve in panel.curves}) == len(colours), "readable in grey"


def test_drawings_are_xml_without_fixed_colours_and_with_unique_ids(
    run_folder: Path,
) -> None:
    run = load_run(run_folder)
    plots = [eval_plot(run.evals), *metric_plots(run.metrics), time_plot(run.metrics)]
    plots.append(memory_plot(run.metrics))
    ids: list[str] = []
    for plot in plots:
        assert plot is not None
        root = ElementTree.fromstring(str(plot.svg))
        assert "width" not in root.attrib
        assert root.attrib["aria-label"].startswith(plot.title.split(" (")[0].split(" per ")[0])
        assert not re.search(r"#[0-9a-f]{6}\b", str(plot.svg)), plot.name
        assert "var(--s" in plot.svg
        assert "<style" not in plot.svg
        defined = re.findall(r'\sid="([^"]+)"', str(plot.svg))
        used = re.findall(r'(?:url\(#|href="#)([^")]+)', str(plot.svg))
        assert set(used) <= set(defined)
        ids += defined
    assert len(ids) == len(set(ids))


def test_drawings_are_deterministic(metrics: Metrics) -> None:
    assert metric_plots(metrics) == metric_plots(metrics)


def test_tick_labels_keep_their_digits(tmp_path: Path) -> None:
    rows = [{"step": step, "loss/kl": 1e-5 * step} for step in range(50)]
    (plot,) = metric_plots(metrics_of(tmp_path, rows))
    assert re.search(r">0\.0004\d*<", str(plot.svg))


def test_a_spike_turns_the_axis_logarithmic(tmp_path: Path) -> None:
    rows = [{"step": s, "optim/grad_norm": 5e4 if s == 9 else 1.0 + 0.1 * s} for s in range(20)]
    (plot,) = metric_plots(metrics_of(tmp_path, rows))
    assert plot.note == "Logarithmic scale."


@pytest.mark.parametrize("num_steps", [1, 2, 39, 41])
def test_short_runs_are_drawn(tmp_path: Path, num_steps: int) -> None:
    rng = np.random.default_rng(0)
    rows = [metric_row(step, num_steps, rng) for step in range(1, num_steps + 1)]
    metrics = metrics_of(tmp_path, rows)
    assert len(metric_plots(metrics)) == len(PANELS)
    assert time_plot(metrics) is not None


def test_columns_without_a_value_are_left_out(tmp_path: Path) -> None:
    rows = [{"step": s, "length/correct": None, "rollout/length_mean": 5} for s in range(5)]
    metrics = metrics_of(tmp_path, rows)
    (plot,) = metric_plots(metrics)
    assert [entry.label for entry in plot.legend] == ["all"]
    assert "Gradient norm" in missing_panels(metrics)
    assert time_plot(metrics) is None


def test_a_long_run_stays_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    metrics = metrics_of(tmp_path, [metric_row(step, 5000, rng) for step in range(1, 5001)])
    plots = [*metric_plots(metrics), time_plot(metrics)]
    assert sum(len(plot.svg) for plot in plots if plot is not None) < 900_000


def test_time_of_no_phase_is_other_and_shares_add_up(tmp_path: Path) -> None:
    rows = [
        {"step": s, "time/step_s": 4.0, "time/rollout_s": 2.0, "time/update_s": 1.0}
        for s in range(1, 9)
    ]
    plot = time_plot(metrics_of(tmp_path, rows))
    assert plot is not None
    assert {entry.label: entry.value for entry in plot.legend} == {
        "rollout": "50\u00a0%",
        "train": "25\u00a0%",
        "other": "25\u00a0%",
    }


def test_an_evaluation_is_not_taken_from_the_rest_of_its_step(tmp_path: Path) -> None:
    """It comes after the step, in a row of its own."""
    rows: list[dict[str, object]] = [{"step": 1, "time/step_s": 3.0, "time/rollout_s": 2.0}]
    write_jsonl(tmp_path / "timings.jsonl", [{"step": 1, "time/evaluate_s": 5.0}])
    plot = time_plot(metrics_of(tmp_path, rows))
    assert plot is not None
    assert [(line.label, line.value) for line in plot.legend] == [
        ("evaluate", "62\u00a0%"),
        ("rollout", "25\u00a0%"),
        ("other", "12\u00a0%"),
    ]


def test_totals_and_peaks_by_phase(tmp_path: Path) -> None:
    rows = [
        {"step": s, "time/rollout_s": 40.0, "time/update_s": 20.0, "memory/rollout_gb": 1.0 + s}
        for s in (1, 2)
    ]
    metrics = metrics_of(tmp_path, rows)
    totals = [(t.name, t.time, t.share, t.peak_gb) for t in phase_totals(metrics)]
    assert totals == [
        ("rollout", "1:20", "67\u00a0%", 3.0),
        ("train", "0:40", "33\u00a0%", None),
    ]
    plot = memory_plot(metrics)
    assert plot is not None
    assert [entry.label for entry in plot.legend] == ["rollout"]


def test_many_phases_are_summed(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"step": 1} | {f"time/{name}_s": 1.0 for name in "abcdefgh"}]
    plot = time_plot(metrics_of(tmp_path, rows))
    assert plot is not None
    assert [entry.label for entry in plot.legend] == ["a", "b", "c", "d", "e", "other"]


def test_running_mean_is_centred_and_skips_gaps() -> None:
    values = np.array([1.0, 2.0, np.nan, 4.0, 9.0])
    np.testing.assert_allclose(running_mean(values, 3), [1.5, 1.5, 3.0, 6.5, 6.5])
    assert np.isnan(running_mean(np.full(4, np.nan), 3)).all()


@pytest.mark.parametrize("window", [3, 4, 7])
def test_running_mean_of_a_constant_is_the_constant(window: int) -> None:
    np.testing.assert_allclose(running_mean(np.full(10, 2.5), window), 2.5)


def test_bins_keep_the_extremes() -> None:
    values = np.zeros(1000)
    values[321], values[654] = 50.0, -7.0
    middles, low, high = bin_extremes(np.arange(1000), values, 100)
    assert len(middles) == 100
    assert high.max() == 50.0
    assert low.min() == -7.0


def test_bounds_on_the_wrong_side_do_not_stop_the_drawing(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "evals.jsonl", [eval_row(0, 5, 10, low=0.9, high=0.1)])
    assert eval_plot(load_run(tmp_path).evals) is not None


def test_values_read_well() -> None:
    shown = [format_value(v) for v in (0, 0.12345, 12345.6, 1.5e-5, -2e-7)]
    assert shown == ["0", "0.123", "12,346", "1.5e-5", "-2e-7"]
