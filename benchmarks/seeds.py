"""Trains a recipe with several seeds and prints the table of docs/recipes.md.

    python benchmarks/seeds.py geo3k_tiny 0 1 2 [key=value ...]

Runs that are already finished (runs/RECIPE-seedN) are read, not repeated.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def main() -> int:
    recipe, *words = sys.argv[1:]
    seeds = [word for word in words if word.isdigit()]
    overrides = [word for word in words if "=" in word]
    label = "-".join(
        [Path(recipe).stem, *(word.replace("=", "_").replace("/", "_") for word in overrides)]
    )
    rows = []
    for seed in seeds:
        folder = Path("runs") / f"{label}-seed{seed}"
        if not (folder / "report.html").exists():
            command = [sys.executable, "-m", "adora_mm.cli", "train", recipe, *overrides]
            subprocess.run([*command, f"seed={seed}", f"name={folder.name}"], check=True)
        rows += table_rows(folder, seed)
    print("| seed | held-out | before | after | change | tokens before | after | minutes |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    return 0


def table_rows(folder: Path, seed: str) -> list[str]:
    """One row per kind of evaluation, first against last."""
    lines = (folder / "evals.jsonl").read_text("utf-8").splitlines()
    evaluations: list[dict[str, Any]] = [json.loads(line) for line in lines]
    minutes = json.loads((folder / "run.json").read_text("utf-8"))["minutes"]
    rows = []
    for mode in dict.fromkeys(row["mode"] for row in evaluations):
        own = [row for row in evaluations if row["mode"] == mode]
        first, last = own[0], own[-1]
        change = 100 * (last["accuracy"] - first["accuracy"])
        rows.append(
            f"| {seed} | {mode}, n = {first['n']} | {rate(first)} | {rate(last)} | "
            f"{change:+.1f} | {first['mean_tokens']:.1f} | {last['mean_tokens']:.1f}"
            f" | {minutes:.1f} |"
        )
    return rows


def rate(row: dict[str, Any]) -> str:
    return f"{row['accuracy']:.1%} ({row['low']:.1%} to {row['high']:.1%})"


if __name__ == "__main__":
    sys.exit(main())
