"""The study in one command: trains every variant, measures it, writes tables and plots.

    python benchmarks/adora_study/run.py [--seeds 5] [--settings embedded] [--out runs/adora_study]

Each run has its own folder OUT/SETTING-VARIANT-seedN and is not repeated when it is there; a run
that was broken off starts again. Seeds are the outer loop, so that an early look sees every variant
equally often. The results are those of docs/study.md (see report.py).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from variants import SETTINGS, TEST_SETS, VARIANTS, run_name

from adora_mm.config import EvaluationConfig, RewardConfig
from adora_mm.data import load_problems
from adora_mm.files import write_atomically
from adora_mm.processor import Processor
from adora_mm.rollout import build_backend
from adora_mm.types import Problem
from adora_mm.validation import evaluate
from adora_mm.verify import CheckerPool
from data_prep.synthetic import write_synthetic

MEASURES = "measures.json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="seeds 0 .. N-1")
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--out", type=Path, default=Path("runs/adora_study"))
    arguments = parser.parse_args()
    sets = {name: test_problems(arguments.out / "data", name) for name in TEST_SETS}
    for seed in range(arguments.seeds):
        for setting in arguments.settings:
            for variant in SETTINGS[setting].variants:
                folder = arguments.out / run_name(setting, variant, seed)
                train(folder, setting, variant, seed)
                measure(folder, sets)
    return 0


def test_problems(folder: Path, name: str) -> list[Problem]:
    """The problems of a test set, generated on first use.

    The generator's split of a problem hangs on its numbers, not on its picture: what is `test`
    here is never in a training split, whatever the folder.
    """
    wanted = TEST_SETS[name]
    if not (folder / name / "manifest.json").exists():
        write_synthetic(
            folder / name,
            counts={"test": wanted.count},
            seed=5,
            families=wanted.families,
            image_px=wanted.image_px,
            label_grid_px=14,
        )
    return load_problems(f"{folder / name}@test")


def train(folder: Path, setting: str, variant: str, seed: int) -> None:
    """One training run in its own process, as a user would start it."""
    if is_finished(folder):
        return
    shutil.rmtree(folder, ignore_errors=True)
    chosen = SETTINGS[setting]
    command = [sys.executable, "-m", "adora_mm.cli", "train", str(chosen.recipe)]
    command += [*chosen.overrides, *VARIANTS[variant], f"seed={seed}"]
    command += [f"name={folder.name}", f"run_dir={folder.parent}"]
    subprocess.run(command, check=True)


def is_finished(folder: Path) -> bool:
    info = folder / "run.json"
    return info.exists() and json.loads(info.read_text("utf-8"))["status"] == "finished"


def measure(folder: Path, sets: dict[str, list[Problem]]) -> None:
    """Evaluate a run's last policy on every test set; an answer's verdict is kept per problem."""
    out = folder / MEASURES
    if out.exists():
        return
    policy = sorted((folder / "checkpoints").iterdir())[-1] / "policy"
    processor = Processor(policy, max_prompt_tokens=256)
    backend = build_backend("transformers", str(policy), processor)
    results: dict[str, Any] = {}
    with CheckerPool(1) as pool:
        for name, problems in sets.items():
            outcomes = evaluate(
                backend,
                processor,
                pool,
                problems,
                EvaluationConfig(greedy=True, samples=TEST_SETS[name].sampled),
                name=name,
                step=0,
                max_new_tokens=96,
                seed="study",
                reward=RewardConfig(),
            )
            for result, groups in outcomes:
                correct = [[r.verdict.correct for r in group.rollouts] for group in groups]
                results[f"{name}/{result.mode}"] = asdict(result) | {"verdicts": correct}
    backend.close()
    write_atomically(out, json.dumps(results))


if __name__ == "__main__":
    sys.exit(main())
