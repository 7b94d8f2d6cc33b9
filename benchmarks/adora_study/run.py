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

from noise import measure_noise
from report import T95, report
from variants import SETTINGS, TEST_SETS, VARIANTS, run_name

from adora_mm.config import EvaluationConfig, RewardConfig
from adora_mm.data import load_problems
from adora_mm.files import write_atomically
from adora_mm.models import EMBEDDED_POLICY
from adora_mm.processor import Processor
from adora_mm.rollout import build_backend
from adora_mm.types import Problem
from adora_mm.validation import evaluate
from adora_mm.verify import CheckerPool
from data_prep.synthetic import write_synthetic

MEASURES = "measures.json"
NOISE_GROUPS = 256


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    most = len(T95) + 1
    parser.add_argument(
        "--seeds", type=int, default=5, choices=range(1, most + 1), metavar="N",
        help=f"seeds 0 .. N-1, at most {most}",
    )  # fmt: skip
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--out", type=Path, default=Path("runs/adora_study"))
    parser.add_argument("--plots", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    sets = {name: test_problems(arguments.out / "data", name) for name in TEST_SETS}
    for seed in range(arguments.seeds):
        for setting in arguments.settings:
            for variant in SETTINGS[setting].variants:
                folder = arguments.out / run_name(setting, variant, seed)
                train(folder, setting, variant, seed)
                measure(folder, setting, sets)
    for setting in arguments.settings:
        noise(arguments.out, setting, seeds=min(3, arguments.seeds))
    report(arguments.out, arguments.plots)
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
    command += [*VARIANTS[variant], f"seed={seed}"]
    command += [f"name={folder.name}", f"run_dir={folder.parent}"]
    subprocess.run(command, check=True)


def is_finished(folder: Path) -> bool:
    info = folder / "run.json"
    return info.exists() and json.loads(info.read_text("utf-8"))["status"] == "finished"


def measure(folder: Path, setting: str, sets: dict[str, list[Problem]]) -> None:
    """Evaluate a run's last policy on the setting's test sets; every verdict is kept."""
    out = folder / MEASURES
    if out.exists():
        return
    policy = last_policy(folder)
    processor = Processor(policy, max_prompt_tokens=256)
    backend = build_backend("transformers", str(policy), processor)
    results: dict[str, Any] = {}
    with CheckerPool(1) as pool:
        for name in SETTINGS[setting].test_sets:
            outcomes = evaluate(
                backend,
                processor,
                pool,
                sets[name],
                EvaluationConfig(greedy=True, samples=TEST_SETS[name].sampled),
                name=name,
                step=0,
                max_new_tokens=SETTINGS[setting].max_new_tokens,
                seed="study",
                reward=RewardConfig(),
            )
            for result, groups in outcomes:
                correct = [[r.verdict.correct for r in group.rollouts] for group in groups]
                results[f"{name}/{result.mode}"] = asdict(result) | {"verdicts": correct}
    backend.close()
    write_atomically(out, json.dumps(results))


def noise(out: Path, setting: str, *, seeds: int) -> None:
    """Gradient noise at the start and at the last policies of plain GRPO, by weights."""
    chosen = SETTINGS[setting]
    policies = [("start", seed, EMBEDDED_POLICY) for seed in range(seeds)]
    policies += [
        ("after GRPO", seed, last_policy(out / run_name(setting, "grpo", seed)))
        for seed in range(seeds)
    ]
    for where, seed, policy in policies:
        path = out / f"noise-{setting}-{where.replace(' ', '_')}-{seed}.json"
        if path.exists():
            continue
        rows = measure_noise(policy, chosen.recipe, problems=NOISE_GROUPS, seed=seed)
        text = json.dumps([asdict(row) | {"policy": where, "seed": seed} for row in rows])
        write_atomically(path, text)


def last_policy(folder: Path) -> Path:
    return max((folder / "checkpoints").iterdir()) / "policy"


if __name__ == "__main__":
    sys.exit(main())
