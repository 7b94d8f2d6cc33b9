"""A recipe and a way to start runs on real vLLM engines, each in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

RENDEZVOUS = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK")
MISMATCH = 1e-9
"""Largest `mismatch/kl` of a step, fp32 on a CPU (found: 1e-13)."""

# The entropy term moves the policy although a random one earns nothing.
RECIPE = """
name: unnamed
policy: {{path: {root}/model}}
run_dir: {root}/runs
data: {{train: {root}/data@train, val: {root}/data@val, max_prompt_tokens: 300}}
rollout:
  {{prompts_per_step: 4, group_size: 4, max_new_tokens: 8,
  vllm: {{kv_cache_gb: 0.25, max_sequences: 16, enforce_eager: true, request_retries: 1}}}}
advantage: {{adora: {{lambda_att: 0.1}}}}
loss: {{entropy_coef: 0.1}}
train: {{total_steps: 3, prompts_per_minibatch: 2, groups_per_microbatch: 1, learning_rate: 1.0e-3}}
evaluation: {{every_steps: 0, samples: 1}}
checkpoint: {{every_steps: 1, keep_last: 2}}
logging: {{report: false, tensorboard: false}}
engine: {{threads: 1}}
"""


def start(root: Path, repo_root: Path, *words: str, ranks: int = 1) -> subprocess.Popen[str]:
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(ranks)]
    command = [sys.executable, *(launcher if ranks > 1 else []), "-m", "adora_mm.cli", "train"]
    # A test before may have joined a process group in this process: its port is taken.
    clean = {name: value for name, value in os.environ.items() if name not in RENDEZVOUS}
    return subprocess.Popen(
        [*command, str(root / "recipe.yaml"), *words],
        cwd=repo_root,
        env=clean | {"PYTHONPATH": str(repo_root), "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def finish(run: subprocess.Popen[str]) -> tuple[int, str]:
    output, _ = run.communicate(timeout=500)
    return run.returncode, output


def check_steps(found: Sequence[dict[str, float]], count: int) -> None:
    assert [row["step"] for row in found] == list(range(1, count + 1))
    for row in found:
        assert row["mismatch/kl"] < MISMATCH
        assert abs(row["mismatch/ratio_max"] - 1) < 1e-3
        assert row["mismatch/tail_frac"] == 0
        assert row["sync/bytes"] > 1e5
        assert row["optim/grad_norm"] > 0
