"""Tables (Markdown) and plots (SVG) of the study, from the folders that run.py has filled.

    python benchmarks/adora_study/report.py [--out runs/adora_study] [--plots docs/images]

Variants are compared seed by seed with plain GRPO of the same setting: same start, same order of
problems, same random numbers of sampling. An interval is a 95 % t-interval over these differences.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from variants import SETTINGS, run_name

T95 = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 9: 2.26}
"""Two-sided 95 % quantiles of Student's t by degrees of freedom."""
TARGET = 0.40
"""Sampled accuracy on the validation problems for `steps to`."""
PROMPTS_PER_STEP = 32
COLOURS = {
    "grpo": "#444444",
    "adora_attenuate": "#d1495b",
    "adora_then_grpo": "#f08a8a",
    "adora_amplify": "#edae49",
    "matched_random": "#00798c",
    "scaled_lr": "#66a182",
    "dapo": "#8d6a9f",
    "dapo_adora": "#c084c9",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one finished run left behind."""

    evals: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    measures: dict[str, Any]


Measure = Callable[[Run], float]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/adora_study"))
    parser.add_argument("--plots", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    report(arguments.out, arguments.plots)
    return 0


def report(out: Path, plots: Path) -> None:
    """Print the tables of every setting that has runs, and write its plot."""
    for setting in SETTINGS:
        runs = load_runs(out, setting)
        if runs.get("grpo"):
            print("\n".join([*tables(setting, runs), "", *noise_table(out, setting)]))
            plot(plots, setting, runs)


def load_runs(out: Path, setting: str) -> dict[str, dict[int, Run]]:
    """Variant -> seed -> run, of those that are finished and measured."""
    runs: dict[str, dict[int, Run]] = {}
    for variant in SETTINGS[setting].variants:
        for seed in range(100):
            folder = out / run_name(setting, variant, seed)
            if (folder / "measures.json").exists():
                runs.setdefault(variant, {})[seed] = Run(
                    evals=rows(folder / "evals.jsonl"),
                    metrics=rows(folder / "metrics.jsonl"),
                    measures=json.loads((folder / "measures.json").read_text("utf-8")),
                )
    return runs


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_accuracy(name: str) -> Measure:
    return lambda run: 100 * float(run.measures[name]["accuracy"])


def test_tokens(name: str) -> Measure:
    return lambda run: float(run.measures[name]["mean_tokens"])


def steps_to_target(run: Run) -> float:
    """First step at which the validation accuracy reaches TARGET, interpolated; inf if never."""
    last = run.evals[0]
    for row in run.evals[1:]:
        if row["accuracy"] >= TARGET:
            rise = row["accuracy"] - last["accuracy"]
            share = (TARGET - last["accuracy"]) / rise if rise > 0 else 1.0
            return float(last["step"] + max(0.0, share) * (row["step"] - last["step"]))
        last = row
    return math.inf


def mean_metric(name: str) -> Measure:
    return lambda run: fmean(row[name] for row in run.metrics)


def groups_sampled(run: Run) -> float:
    """Groups of rollouts that the run generated, those dropped by dynamic sampling included."""
    return sum(float(row.get("sampling/groups_seen", PROMPTS_PER_STEP)) for row in run.metrics)


def tables(setting: str, runs: dict[str, dict[int, Run]]) -> Iterator[str]:
    sets = SETTINGS[setting].test_sets
    yield f"\n### {setting}\n"
    columns = {f"{name}, greedy %": test_accuracy(f"{name}/greedy") for name in sets}
    columns[f"{sets[0]}, sampled %"] = test_accuracy(f"{sets[0]}/sampled")
    yield from table(runs, columns)
    yield ""
    yield from table(
        runs,
        {
            f"steps to {TARGET:.0%}": steps_to_target,
            "tokens, sampled": test_tokens(f"{sets[0]}/sampled"),
            "groups generated": groups_sampled,
            "lr factor": mean_metric("adora/effective_lr_factor"),
            "TAS share": mean_metric("adora/tas_frac"),
            "grad norm": mean_metric("optim/grad_norm"),
        },
    )


def table(runs: dict[str, dict[int, Run]], columns: dict[str, Measure]) -> Iterator[str]:
    """Mean over seeds, and in brackets the interval of the difference to GRPO of the same seed."""
    yield "| variant | seeds | " + " | ".join(columns) + " |"
    yield "|---|---|" + "---|" * len(columns)
    for variant, seeds in runs.items():
        cells = []
        for measure in columns.values():
            values = {seed: measure(run) for seed, run in seeds.items()}
            cell = number(fmean(values.values()))
            if variant != "grpo":
                common = sorted(values.keys() & runs["grpo"].keys())
                paired = [values[seed] - measure(runs["grpo"][seed]) for seed in common]
                cell += f" ({interval(paired)})"
            cells.append(cell)
        yield f"| {variant} | {len(seeds)} | " + " | ".join(cells) + " |"


def noise_table(out: Path, setting: str) -> Iterator[str]:
    """Means over the sampled batches of each policy; `scale` from mean noise and mean signal."""
    files = sorted(out.glob(f"noise-{setting}-*.json"))
    found = [row for path in files for row in json.loads(path.read_text("utf-8"))]
    yield "| policy | weights | groups with signal | mean weight | noise scale, prompts | cosine |"
    yield "|---|---|---|---|---|---|"
    for policy in dict.fromkeys(row["policy"] for row in found):
        for variant in dict.fromkeys(row["variant"] for row in found):
            own = [r for r in found if (r["policy"], r["variant"]) == (policy, variant)]
            mean = {
                name: fmean(row[name] for row in own)
                for name in ("with_signal", "weight_mean", "signal", "noise", "cosine")
            }
            scale = mean["noise"] / mean["signal"] if mean["signal"] > 0 else math.inf
            yield (
                f"| {policy} | {variant} | {mean['with_signal']:.0f} of {own[0]['groups']} | "
                f"{mean['weight_mean']:.2f} | {number(scale)} | {mean['cosine']:.3f} |"
            )


def number(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def interval(differences: Sequence[float]) -> str:
    if len(differences) < 2 or not all(math.isfinite(value) for value in differences):
        return "no interval"
    mean = fmean(differences)
    half = T95[len(differences) - 1] * stdev(differences) / math.sqrt(len(differences))
    return f"{mean:+.2f} ± {half:.2f}" if abs(mean) < 10 else f"{mean:+.1f} ± {half:.1f}"


def plot(folder: Path, setting: str, runs: dict[str, dict[int, Run]]) -> None:
    """Accuracy and length against steps: the mean over seeds, and each seed as a thin line."""
    folder.mkdir(parents=True, exist_ok=True)
    matplotlib.rcParams["svg.hashsalt"] = "adora"
    figure, panels = plt.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
    for panel, key, label in zip(
        panels, ("accuracy", "mean_tokens"), ("accuracy (sampled)", "tokens"), strict=True
    ):
        for variant, seeds in runs.items():
            curves = [[row[key] for row in run.evals] for run in seeds.values()]
            steps = [row["step"] for row in next(iter(seeds.values())).evals]
            colour = COLOURS[variant]
            for curve in curves:
                panel.plot(steps, curve, color=colour, linewidth=0.4, alpha=0.5)
            mean = [fmean(values) for values in zip(*curves, strict=True)]
            panel.plot(steps, mean, color=colour, linewidth=2, label=variant)
        panel.set(xlabel="step", ylabel=label)
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(alpha=0.2)
    panels[0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"{setting}: held-out problems during training")
    figure.savefig(folder / f"study_{setting}.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
