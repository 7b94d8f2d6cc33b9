"""Where the time of a run's steps went, by phase.

    python benchmarks/phases.py RUN [RUN ...]

Reads each run's timings.jsonl: median seconds per step and share of the step. `other` is what no
phase covers (advantages, micro-batches, writing metrics and samples). The first step is left out.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

PHASES = ("rollout", "reward", "logprobs", "update", "sync")


def main(folders: list[str]) -> int:
    for folder in folders:
        lines = (Path(folder) / "timings.jsonl").read_text().splitlines()
        rows = [row for row in map(json.loads, lines) if "time/step_s" in row][1:]
        print(f"{folder}: {len(rows)} steps\n\n| phase | s | share |\n|---|---|---|")
        whole = statistics.median(row["time/step_s"] for row in rows)
        for phase in (*PHASES, "other"):
            seconds = statistics.median(time_of(row, phase) for row in rows)
            print(f"| {phase} | {seconds:.3f} | {seconds / whole:.1%} |")
        print(f"| step | {whole:.3f} | |\n")
    return 0


def time_of(row: dict[str, float], phase: str) -> float:
    if phase == "other":
        return row["time/step_s"] - sum(row[f"time/{name}_s"] for name in PHASES)
    return row[f"time/{phase}_s"]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
