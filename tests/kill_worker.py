"""Kill a run with SIGKILL at a chosen point, resume it, and compare with one that was left alone.

    kill_worker.py FOLDER [--points N] [--seed S]

Every run is a forked child of this process, which has loaded the libraries once. A point is the
n-th call of something in the middle of a phase: a token drawn in a rollout, a batch of an
evaluation, a file of a checkpoint, an optimizer step, a row of metrics. Prints one line a point;
exit code 1 when any differs. The full run is in docs/troubleshooting.md.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepspeed  # noqa: F401 (loaded once, before the forks)
import torch
from run_fixtures import rows, train, write_run_folder
from safetensors.torch import load_file

from adora_mm import checkpoint, launch, validation
from adora_mm.engine import Engine
from adora_mm.metrics.jsonl import JsonlWriter
from adora_mm.rollout.transformers import TransformersBackend

STEPS = 3
# The entropy term moves the policy although a random one earns nothing.
RECIPE = """
policy: {{path: {root}/model}}
run_dir: {root}/runs
data: {{train: {root}/data@train, val: {root}/data@val, max_prompt_tokens: 300}}
rollout: {{prompts_per_step: 2, group_size: 2, max_new_tokens: 6}}
loss: {{entropy_coef: 0.1}}
train: {{total_steps: 3, prompts_per_minibatch: 1, groups_per_microbatch: 1, learning_rate: 1.0e-3}}
evaluation: {{every_steps: 1, samples: 0}}
checkpoint: {{every_steps: 1, keep_last: 1}}
logging: {{sample_every_steps: 1, report: false, tensorboard: false}}
engine: {{threads: 1}}
"""
POINTS: dict[str, tuple[Any, str, int]] = {
    "rollout": (TransformersBackend, "_advance", 20),
    "evaluation": (validation, "collect_groups", 4),
    "checkpoint": (checkpoint, "save_file", 3),
    "checkpoint-end": (checkpoint, "sync_tree", 3),
    "checkpoint-prune": (checkpoint.shutil, "rmtree", 8),
    "update": (Engine, "_step", 6),
    "records": (JsonlWriter, "write", 24),
}
"""Where a run is killed: owner, function, and about how often it is called in a run."""


def in_child(work: Callable[[], int]) -> int:
    """Run `work` in a fork; its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            code = work()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(owner: Any, name: str, count: int) -> None:
    """SIGKILL this process inside the `count`-th call."""
    original, calls = vars(owner)[name], []

    def counted(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == count:
            if name == "save_file":  # a file that is half there
                Path(args[1]).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **options)

    setattr(owner, name, counted)


def prepare(root: Path) -> int:
    write_run_folder(root, RECIPE, families=("triangle_angle_sum",), problems=6, held_out=2)
    return 0


def differences(root: Path, name: str) -> list[str]:
    """What a run left otherwise than the one that was left alone."""
    mine, whole = root / "runs" / name, root / "runs" / "whole"
    names = ("metrics", "groups", "evals", "outcomes", "samples/train", "samples/eval")
    files = [f"{name}.jsonl" for name in names]
    wrong = [file for file in files if (mine / file).read_bytes() != (whole / file).read_bytes()]
    last = f"checkpoints/step-{STEPS:06d}"
    a, b = (load_file(run / last / "policy/model.safetensors") for run in (mine, whole))
    wrong += [name for name in b if not torch.equal(a[name], b[name])]
    state = [json.loads((run / last / "trainer_state.json").read_text()) for run in (mine, whole)]
    return wrong + (["trainer_state.json"] if state[0] != state[1] else [])


def main_of_worker() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--points", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    root = arguments.folder.resolve()
    if in_child(lambda: prepare(root)) or in_child(lambda: train(root, "whole")):
        print("the run that is left alone failed")
        return 1
    assert all(row["optim/grad_norm"] > 0 for row in rows(root, "whole")), "nothing is learnt"
    rng, failed = random.Random(arguments.seed), 0
    for number in range(arguments.points):
        where = list(POINTS)[number % len(POINTS)]
        owner, function, calls = POINTS[where]
        count, name = rng.randint(1, calls), f"killed-{number}"

        def killed(owner: Any = owner, function: str = function, count: int = count) -> int:
            kill_at(owner, function, count)
            return train(root, name)  # noqa: B023 (called at once, in a fork)

        ended = in_child(killed)
        resumed = in_child(lambda: train(root, name, "resume=auto"))  # noqa: B023 (called at once)
        wrong = differences(root, name) if resumed == 0 else [f"exit code {resumed}"]
        was_killed = ended == -signal.SIGKILL
        failed += bool(wrong) or not was_killed
        print(f"{where} {count}: {'killed' if was_killed else f'ended {ended}'}, {wrong or 'same'}")
        sys.stdout.flush()
    return int(failed > 0)


if __name__ == "__main__":
    assert launch  # loaded before the forks
    sys.exit(main_of_worker())
