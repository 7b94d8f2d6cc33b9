"""The memory that `adora plan` says against what was allocated: small models on CPUs.

    python benchmarks/plan_memory.py [--only NAME ...] [--json FILE]

Each case, in new processes, trains a random Qwen2.5-VL of 8 million parameters through our engine:
two updates of two micro-batches. Kept: bytes of all tensors alive between updates (by the garbage
collector), without the rollouts. Peak: that plus the most that the second update had allocated and
not yet freed, from the allocator's own events (torch.profiler). Planned: the same by
`adora_mm.plan`, told that it is a CPU. DeepSpeed's bucket is set to 4 million elements, since its
usual 500 million would hide everything else.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from allocations import most_allocated
from training_step import TEXT_TOKENS, make_group, make_model

from adora_mm import distributed
from adora_mm.batching import make_minibatch
from adora_mm.config import RunConfig

PATCH = 14
BUCKET = 4_000_000


@dataclass(frozen=True, kw_only=True)
class Case:
    """One line of the table."""

    name: str
    ranks: int
    stage: int
    dtype: str
    checkpointing: bool = False
    lora: bool = False
    cell: str = "4x64x64"
    """Rollouts x image tokens x tokens per response."""

    def config(self, folder: Path) -> RunConfig:
        rollouts, image_tokens, length = map(int, self.cell.split("x"))
        policy: dict[str, Any] = {
            "path": str(folder),
            "dtype": self.dtype,
            "gradient_checkpointing": self.checkpointing,
        }
        if self.lora:
            policy["lora"] = {"rank": 8}
        return RunConfig.model_validate(
            {
                "name": "plan-memory",
                "policy": policy,
                "data": {
                    "train": "none",
                    "max_prompt_tokens": TEXT_TOKENS + image_tokens + 2,
                    "max_pixels": 4 * image_tokens * PATCH**2,
                },
                "rollout": {
                    "prompts_per_step": 2 * self.ranks,
                    "group_size": rollouts,
                    "max_new_tokens": length,
                },
                "train": {
                    "total_steps": 2,
                    "prompts_per_minibatch": 2 * self.ranks,
                    "groups_per_microbatch": 1,
                },
                "engine": {
                    "zero_stage": self.stage,
                    "extra": {"zero_optimization": {"reduce_bucket_size": BUCKET}},
                },
            }
        )


CASES = (
    Case(name="fp32", ranks=1, stage=0, dtype="float32"),
    Case(name="fp32, checkpointing", ranks=1, stage=0, dtype="float32", checkpointing=True),
    Case(name="fp32, LoRA", ranks=1, stage=0, dtype="float32", lora=True),
    Case(name="fp32, longer", ranks=1, stage=0, dtype="float32", cell="8x64x128"),
    Case(name="ZeRO-0", ranks=2, stage=0, dtype="float32"),
    Case(name="ZeRO-1 bf16", ranks=1, stage=1, dtype="bfloat16", cell="4x16x16"),
    Case(name="ZeRO-1 bf16", ranks=2, stage=1, dtype="bfloat16", cell="4x16x16"),
    Case(name="ZeRO-2 bf16", ranks=2, stage=2, dtype="bfloat16", cell="4x16x16"),
    Case(name="ZeRO-3 bf16", ranks=2, stage=3, dtype="bfloat16", cell="4x16x16"),
    Case(name="ZeRO-2", ranks=2, stage=2, dtype="float32"),
    Case(name="ZeRO-3", ranks=1, stage=3, dtype="float32"),
    Case(name="ZeRO-3", ranks=2, stage=3, dtype="float32"),
    Case(name="ZeRO-3, checkpointing, LoRA", ranks=2, stage=3, dtype="float32", lora=True,
         checkpointing=True),
)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", help="words that a case's name must have one of")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child is not None:
        measure(CASES[arguments.child], arguments.model, arguments.json)
        return 0
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "model").mkdir()
        print(f"{make_model(folder / 'model'):,} parameters; torch {torch.__version__}")
        print(HEAD)
        for index, case in enumerate(CASES):
            if arguments.only and not any(word in case.name for word in arguments.only):
                continue
            rows.append(run(index, case, folder))
            print(line(rows[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 0


HEAD = (
    "| case | ranks | kept, MB | planned | ratio | peak, MB | planned | ratio |\n"
    "|---|---|---|---|---|---|---|---|"
)


def line(row: dict[str, Any]) -> str:
    def mb(key: str) -> str:
        return f"{row[key] / 1e6:.1f}"

    return (
        f"| {row['name']} | {row['ranks']} | {mb('kept')} | {mb('planned_kept')} | "
        f"{row['planned_kept'] / row['kept']:.3f} | {mb('peak')} | {mb('planned_peak')} | "
        f"{row['planned_peak'] / row['peak']:.2f} |"
    )


def run(index: int, case: Case, folder: Path) -> dict[str, Any]:
    """Measure a case in new processes, plan it here."""
    from adora_mm.plan.blueprint import policy_config
    from adora_mm.plan.memory import plan_memory

    out = folder / "measured.json"
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
    words += [str(case.ranks), __file__, "--child", str(index), "--model", str(folder / "model")]
    subprocess.run([*words, "--json", str(out)], check=True, stdout=subprocess.DEVNULL)
    config = case.config(folder / "model")
    model_config, _ = policy_config(str(folder / "model"))
    memory = plan_memory(config, model_config, ranks=case.ranks, gpu_gib=None)
    return json.loads(out.read_text()) | {
        "name": case.name,
        "ranks": case.ranks,
        "planned_kept": memory.states.kept,
        "planned_peak": memory.phases["update"] - memory.engine.asleep,
        "activations": memory.activations.total,
    }


def measure(case: Case, folder: Path, out: Path) -> None:
    """In a rank's process: two updates, the second one watched."""
    from adora_mm.engine import Engine

    _, _, device = distributed.start(1)
    config = case.config(folder)
    before = alive_bytes()
    engine = Engine(
        folder,
        policy=config.policy,
        train=config.train,
        engine=config.engine,
        loss=config.loss,
        temperature=1.0,
        banned_token_ids=(0,),
        max_response_tokens=config.rollout.max_new_tokens,
        group_size=config.rollout.group_size,
        total_updates=2,
        device=device,
        say=lambda _: None,
    )
    group = make_group(engine.model.config, case.cell, unequal=False)
    minibatch = make_minibatch([[group], [group]], [], 0)
    given = alive_bytes()
    engine.update(minibatch)
    data = rollout_bytes(minibatch, group)
    kept = alive_bytes() - data - before
    peak = kept + most_allocated(lambda: engine.update(minibatch))
    if distributed.is_first():
        result = {"kept": kept, "peak": peak, "before_update": given - data - before}
        out.write_text(json.dumps(result))
    distributed.gather(None)  # nobody leaves while another still writes
    os._exit(0)  # DeepSpeed's threads have nothing more to do


def alive_bytes() -> int:
    """Of all tensors that Python can reach, each storage once."""
    gc.collect()
    found: dict[int, int] = {}
    for value in gc.get_objects():
        if isinstance(value, torch.Tensor) and value.device.type == "cpu":
            for tensor in (value, value.grad if value.is_leaf else None):
                if tensor is not None:
                    storage = tensor.untyped_storage()
                    found[storage.data_ptr()] = storage.nbytes()
    return sum(found.values())


def rollout_bytes(minibatch: Any, group: Any) -> int:
    tensors = [group.prompt.pixel_values, group.prompt.image_grid_thw]
    for batch in minibatch.micro_batches:
        tensors += [value for value in vars_of(batch) if isinstance(value, torch.Tensor)]
        tensors += [value for value in vars_of(batch.prompts) if isinstance(value, torch.Tensor)]
    return sum(
        {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values()
    )


def vars_of(record: Any) -> list[Any]:
    return [getattr(record, name) for name in record.__dataclass_fields__]


if __name__ == "__main__":
    raise SystemExit(main())
