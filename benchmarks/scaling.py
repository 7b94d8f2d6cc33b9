"""Cost of a training step against rollouts, picture size, response length and processes; a plot.

    python benchmarks/scaling.py --plot docs/images/scaling.svg [--json OUT]

Around one cell of `training_step.py` (8 rollouts, 256 image tokens, 64-token responses) one size is
varied at a time, for shared prompts and for padded rows. Processes: the update of eight groups of
the embedded recipe on one and on two (`time/update_s` of a run; wall seconds, so it wants a quiet
machine with two free cores).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

from benchmarks.training_step import Bench, alone, make_model

AXES = {
    "rollouts per prompt": (0, (2, 4, 8, 16)),
    "image tokens": (1, (64, 144, 256, 400, 576, 1024)),
    "tokens per response": (2, (16, 32, 64, 128, 256)),
}
"""Name -> which part of a cell varies, and its values."""
CELL = (8, 256, 64)
METHODS = ["prefix", "padded"]
PROCESSES = (1, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    curves: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder)
        bench = Bench(folder, METHODS, "float32")
        for axis, (part, values) in AXES.items():
            curves[axis] = {"x": values, **{method: [] for method in METHODS}}
            for value in values:
                cell = "x".join(str(value if i == part else n) for i, n in enumerate(CELL))
                bench.use_cell(cell, unequal=False)
                seconds = alone(bench.time_all, arguments.repeats, 60.0)
                for method in METHODS:
                    curves[axis][method].append(seconds[method])
                print(axis, value, {m: round(s, 3) for m, s in seconds.items()}, flush=True)
        updates = [update_seconds(folder, count) for count in PROCESSES]
        curves["processes"] = {"x": PROCESSES, "prefix": updates}
        print("processes", dict(zip(PROCESSES, updates, strict=True)))
    if arguments.json:
        arguments.json.write_text(json.dumps(curves))
    if arguments.plot:
        draw(curves, arguments.plot)
    return 0


def update_seconds(folder: Path, processes: int) -> float:
    """Median seconds of the update of a step of the embedded recipe on so many processes."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)]
    words = [
        "-m", "adora_mm.cli", "train", "geo3k_tiny", f"name=ranks-{processes}",
        f"run_dir={folder}/runs", f"data.train={folder}/data@train", "data.val=null",
        f"data.generate.folder={folder}/data", "data.generate.counts={train: 64}",
        "train.total_steps=5", "rollout.prompts_per_step=8", "train.prompts_per_minibatch=8",
        "engine.threads=1", "engine.zero_stage=0", "logging.report=false",
        "evaluation.every_steps=0", "evaluation.samples=0",
        "train.groups_per_microbatch=1", "loss.entropy_coef=1e-6",  # so that no group is left out
    ]  # fmt: skip
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    subprocess.run(
        [sys.executable, *launcher, *words], check=True, env=environment, stdout=subprocess.DEVNULL
    )
    lines = (folder / f"runs/ranks-{processes}/timings.jsonl").read_text().splitlines()
    times = [row["time/update_s"] for row in map(json.loads, lines) if "time/update_s" in row]
    return statistics.median(times[1:])


def draw(curves: dict[str, Any], path: Path) -> None:
    """One panel per axis; both axes start at zero, so that a straight line through it is linear."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "scaling"
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, len(curves), figsize=(3.2 * len(curves), 3))
    for panel, (axis, curve) in zip(panels, curves.items(), strict=True):
        for method, colour in zip(METHODS, ("#1f77b4", "#d62728"), strict=True):
            if method in curve:
                panel.plot(curve["x"], curve[method], "o-", color=colour, label=method)
        panel.set(xlabel=axis, xlim=(0, None), ylim=(0, None))
    panels[0].set_ylabel("seconds per update")
    panels[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    raise SystemExit(main())
