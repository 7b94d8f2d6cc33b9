"""A realistic run folder, written by code: what the trainer leaves behind."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from adora_mm.metrics.intervals import wilson_interval

CONFIG = """\
base: geo3k_tiny
run: {name: geo3k tiny adora, seed: 42}
policy: {path: checkpoints/tiny_vl}
advantage:
  estimator: grpo
  adora: {preset: vl_reference, lambda_att: 0.1}
rollout: {group_size: 8, max_tokens: 64, temperature: 1.0}
"""


def eval_row(step: int, correct: int, total: int, **changes: Any) -> dict[str, Any]:
    low, high = wilson_interval(correct, total)
    return {
        "step": step,
        "name": "val",
        "mode": "greedy",
        "n": total,
        "correct": correct,
        "accuracy": correct / total,
        "low": low,
        "high": high,
        "mean_tokens": 31.5 + step / 20,
        "truncated_frac": 0.04,
        "unparsed_frac": 0.02,
    } | changes


def metric_row(step: int, num_steps: int, rng: np.random.Generator) -> dict[str, Any]:
    skill = 0.12 + 0.5 / (1 + math.exp(-8 * (step / num_steps - 0.4)))
    accuracy = float(np.clip(skill + rng.normal(0, 0.05), 0, 1))
    tas = float(np.clip(0.25 + 0.3 * step / num_steps + rng.normal(0, 0.06), 0, 1))
    rollout_s = 1.9 + rng.normal(0, 0.15)
    update_s = 0.8 + rng.normal(0, 0.05)
    return {
        "step": step,
        "time/step_s": rollout_s + update_s + 0.25,
        "time/rollout_s": rollout_s,
        "time/update_s": update_s,
        "time/reward_s": 0.12,
        **({"time/evaluate_s": 6.0, "memory/evaluate_gb": 1.9} if step % 20 == 0 else {}),
        "memory/rollout_gb": 1.4,
        "memory/update_gb": 2.6 + step / 200,
        "reward/mean": 0.9 * accuracy + 0.1 * 0.96,
        "reward/accuracy": accuracy,
        "reward/format": 0.96,
        "rollout/length_mean": 30 + 12 * step / num_steps + rng.normal(0, 1.5),
        "rollout/unparsed_frac": 0.02,
        "rollout/entropy": 0.95 - 0.45 * step / num_steps,
        "rollout/truncated_frac": 0.05 + abs(rng.normal(0, 0.02)),
        "length/correct": None if step < 3 else 32 + 14 * step / num_steps + rng.normal(0, 2),
        "length/incorrect": 29 + 8 * step / num_steps + rng.normal(0, 2),
        "adora/tas_frac": tas,
        "adora/tds_frac": 1 - tas,
        "adora/weight_mean": 0.1 + 0.9 * tas,
        "adora/weight_std": 0.9 * math.sqrt(tas * (1 - tas)),
        "adora/effective_lr_factor": 0.2 + 0.8 * tas,
        "loss/policy": rng.normal(0, 0.02),
        "loss/kl": 0.0004 * step / num_steps + abs(rng.normal(0, 0.00004)),
        "loss/clip_frac": abs(rng.normal(0.01, 0.004)),
        "loss/entropy": 0.9 - 0.45 * step / num_steps + rng.normal(0, 0.03),
        "optim/grad_norm": float(np.exp(rng.normal(0, 0.4))) * (40 if step == 77 else 1),
        "optim/lr": 1e-4 * 0.5 * (1 + math.cos(math.pi * step / num_steps)),
        "optim/skipped_update_frac": 0.0,
        "loss/ratio_max": 1.5 + abs(rng.normal(0, 0.2)),
        "mismatch/ratio_max": 1.001,
        "mismatch/corrected_frac": 0.0,
        "mismatch/kl": 1e-5 + abs(rng.normal(0, 1e-6)),
        "group/mixed_frac": 0.6,
        "group/all_correct_frac": 0.1 + 0.2 * step / num_steps,
        "group/none_correct_frac": 0.3 - 0.2 * step / num_steps,
    }


def groups_row(step: int, num_problems: int, rng: np.random.Generator) -> dict[str, Any]:
    """Six problems a step, in the order of their numbers, round and round."""
    numbers = [(6 * (step - 1) + place) % num_problems for place in range(6)]
    right = [[0.0, 0.25, 0.5, 1.0][int(rng.integers(4))] for _ in numbers]
    tas = [int(share < 0.5) for share in right]
    return {
        "step": step,
        "id": [f"triangle/{number:05d}" for number in numbers],
        "tas": tas,
        "weight": [1.0 if side else 0.1 for side in tas],
        "right": right,
        "signal": [round(2 * share * (1 - share), 4) for share in right],
    }


def outcomes_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """The problems of an evaluation, the first ones right."""
    total, correct = row["n"], row["correct"]
    return {
        "step": row["step"],
        "name": row["name"],
        "mode": row["mode"],
        "id": [f"val/{number}" for number in range(total)],
        "right": [float(number < correct) for number in range(total)],
    }


def rollout(index: int, outcome: str, answer: str | None) -> dict[str, Any]:
    correct = outcome == "correct"
    final = "" if answer is None else f"\n<answer>{answer}</answer>"
    return {
        "text": f"<think>The angles of the triangle add up to 180, so the third one is "
        f"180 - 62 - 47 = {answer or '?'}. I check: attempt {index}.</think>{final}",
        "finish_reason": "length" if outcome == "unparsed" else "stop",
        "num_tokens": 28 + 3 * index,
        "outcome": outcome,
        "extracted": answer,
        "reason": "numbers are equal" if correct else "numbers differ",
        "reward": 1.0 if correct else 0.1 * (answer is not None),
        "reward_parts": {
            "accuracy": 0.9 if correct else 0.0,
            "format": 0.1 * (answer is not None),
        },
        "advantage": 1.21 if correct else -0.73,
    }


def sample_row(step: int, number: int, image: Path, num_right: int, size: int) -> dict[str, Any]:
    wrong: list[tuple[str, str | None]] = [("incorrect", "109"), ("unparsed", None)]
    outcomes: list[tuple[str, str | None]] = [("correct", "71")] * num_right
    outcomes += [wrong[index % 2] for index in range(size - num_right)]
    return {
        "step": step,
        "problem": {
            "id": f"triangle/{number:05d}",
            "question": r"In $\triangle ABC$, $m\angle A = 62$ and $m\angle B = 47$. "
            r"Find $m\angle C$.",
            "answer": "71",
            "images": [str(image)],
            "source": "synthetic/triangle_angle_sum",
        },
        "weight": 1.0 if num_right > 3 else 0.1,
        "rollouts": [rollout(i, outcome, answer) for i, (outcome, answer) in enumerate(outcomes)],
    }


def draw_diagram(path: Path) -> Path:
    image = Image.new("RGB", (320, 240), "white")
    pen = ImageDraw.Draw(image)
    pen.polygon([(40, 200), (280, 200), (190, 40)], outline="black", width=3)
    for corner, letter in (((20, 205), "A"), ((285, 205), "B"), ((190, 20), "C")):
        pen.text(corner, letter, fill="black")
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def write_jsonl(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_run(
    folder: Path, num_steps: int = 60, group_size: int = 4, gain: int = 130, name: str = ""
) -> Path:
    """Write a finished run of `num_steps` steps into `folder`; `gain` more of 500 become right."""
    rng = np.random.default_rng(7)
    image = draw_diagram(folder / "images" / "triangle.png")
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    info = RUN_INFO | ({"name": name} if name else {})
    (folder / "run.json").write_text(json.dumps(info), encoding="utf-8")
    write_jsonl(
        folder / "metrics.jsonl",
        [metric_row(step, num_steps, rng) for step in range(1, num_steps + 1)],
    )
    eval_steps = range(0, num_steps + 1, 20)
    evals = [eval_row(step, 60 + gain * step // num_steps, 500) for step in eval_steps]
    write_jsonl(folder / "evals.jsonl", evals)
    write_jsonl(folder / "outcomes.jsonl", [outcomes_row(row) for row in evals])
    write_jsonl(
        folder / "groups.jsonl",
        [groups_row(step, 100, rng) for step in range(1, num_steps + 1)],
    )
    half = group_size // 2
    write_jsonl(
        folder / "samples" / "train.jsonl",
        [
            sample_row(
                step,
                number,
                image,
                min(group_size, half * step // num_steps + number % 3),
                group_size,
            )
            for step in range(1, num_steps + 1, 5)
            for number in range(3)
        ],
    )
    write_jsonl(
        folder / "samples" / "eval.jsonl",
        [
            sample_row(step, 100 + number, image, int(step == eval_steps[-1]), 1)
            for step in eval_steps
            for number in range(8)
        ],
    )
    return folder


RUN_INFO = {
    "name": "geo3k tiny adora",
    "status": "finished",
    "recipe": "geo3k_tiny",
    "seed": 42,
    "versions": {"torch": "2.13.0", "transformers": "5.19.0", "deepspeed": "0.19.8"},
    "git_revision": "0123456789abcdef0123456789abcdef01234567",
    "data": {
        "train": {"path": "data/triangles/train", "count": 4096, "fingerprint": "a1b2c3d4e5f60718"},
        "val": {"path": "data/triangles/val", "count": 500, "fingerprint": "18076f5e4d3c2b1a"},
    },
    "policy": {"path": "checkpoints/tiny_vl", "num_parameters": 1_832_064},
    "world_size": 2,
    "started": "2025-01-31T12:00:00+00:00",
    "minutes": 38.2,
}
