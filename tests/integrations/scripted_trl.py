"""TRL trainers on a tiny text model whose rollouts are written down instead of sampled.

A prompt is the script of its own group: four rollouts `length:right:cut`. So two trainers, or one
trainer on one and on two processes, get exactly the same rollouts. The module is also the program
that the test of two processes runs under torchrun:

    scripted_trl.py MODEL OUT       writes what rank 0 saw to OUT.json, the weights to OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import datasets
import torch
import trl
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from adora_mm.config.algorithm import AdoraConfig
from adora_mm.integrations.trl import AdoraGRPOTrainer

G = 4
Rollout = tuple[int, bool, bool]
"""Length in tokens, right, cut off at the cap."""

SCRIPT: tuple[tuple[Rollout, ...], ...] = (
    ((9, True, False), (3, False, False), (4, False, False), (2, True, False)),  # TAS
    ((3, True, False), (5, False, False), (4, False, False), (8, False, True)),  # TDS
    ((6, True, False), (2, False, False), (9, False, True), (4, True, False)),  # TAS
)


def prompt_of(group: tuple[Rollout, ...]) -> str:
    return " ".join(f"{length}:{int(right)}:{int(cut)}" for length, right, cut in group)


def rollout_of(prompt: str, place: int) -> Rollout:
    length, right, cut = prompt.split()[place % G].split(":")
    return int(length), right == "1", cut == "1"


def play(prompts: list[str], trainer: Any) -> dict[str, Any]:
    """TRL's `rollout_func`: the scripted completions of this process's rows."""
    first = trainer.accelerator.process_index * len(prompts)
    tokenizer = trainer.processing_class
    completions = []
    for row, prompt in enumerate(prompts, start=first):
        length, right, cut = rollout_of(prompt, row)
        last = 40 if cut else tokenizer.eos_token_id
        completions.append([50 if right else 51] + [40 + row % 7] * (length - 2) + [last])
    return {
        "prompt_ids": [tokenizer(prompt)["input_ids"] for prompt in prompts],
        "completion_ids": completions,
        "logprobs": [[0.0] * len(ids) for ids in completions],
    }


def accuracy_reward(completion_ids: list[list[int]], **columns: Any) -> list[float]:
    return [float(ids[0] == 50) for ids in completion_ids]


def length_reward(completion_ids: list[list[int]], **columns: Any) -> list[float]:
    return [len(ids) / 16 for ids in completion_ids]


def build(
    model_folder: Path,
    out: Path,
    *,
    adora: AdoraConfig | str | None = None,
    script: tuple[tuple[Rollout, ...], ...] = SCRIPT,
    processes: int = 1,
    reward_funcs: list[Any] | None = None,
    trainer_options: dict[str, Any] | None = None,
    **config: Any,
) -> Any:
    """AdoraGRPOTrainer, or TRL's own where `adora` is None; one generation batch is the script."""
    tokenizer = AutoTokenizer.from_pretrained(model_folder, padding_side="left")
    rows = [{"prompt": prompt_of(group)} for group in script]
    settings = {
        "output_dir": str(out),
        "max_steps": 2,
        "num_generations": G,
        "per_device_train_batch_size": len(script) * G // processes,
        "max_completion_length": 12,
        "learning_rate": 1e-3,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "shuffle_dataset": False,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": 1,
        "disable_tqdm": True,
    }
    arguments: dict[str, Any] = {
        "model": AutoModelForCausalLM.from_pretrained(model_folder),
        "processing_class": tokenizer,
        "reward_funcs": [accuracy_reward, length_reward] if reward_funcs is None else reward_funcs,
        "train_dataset": datasets.Dataset.from_list(rows * 4),
        "args": trl.GRPOConfig(**(settings | config)),
        "rollout_func": play,
    } | (trainer_options or {})
    if adora is None:
        return trl.GRPOTrainer(**arguments)
    return AdoraGRPOTrainer(adora=adora, **arguments)


def scored(trainer: Any, script: tuple[tuple[Rollout, ...], ...] = SCRIPT) -> dict[str, Any]:
    """What TRL would train on for the scripted groups, without an update."""
    trainer.model.train()
    rows = [{"prompt": prompt_of(group)} for group in script for _ in range(G)]
    output: dict[str, Any] = trainer._generate_and_score_completions(rows)
    return output


def main(model_folder: str, out: str) -> None:
    torch.set_num_threads(1)
    processes = trl.GRPOConfig(use_cpu=True, bf16=False).world_size
    trainer = build(Path(model_folder), Path(out).parent, adora="vl_reference", processes=processes)
    trainer.train()
    if trainer.accelerator.is_main_process:
        seen = {
            "processes": processes,
            "weights": list(trainer._logs["extra"]["adora_weight"]),
            "advantages": list(trainer._logs["advantages"]),
            "log": trainer.state.log_history[0],
        }
        Path(out).with_suffix(".json").write_text(json.dumps(seen))
        model = trainer.accelerator.unwrap_model(trainer.model)
        save_file({name: value.clone() for name, value in model.named_parameters()}, out)
    trainer.accelerator.end_training()


if __name__ == "__main__":
    main(*sys.argv[1:])
