"""What a step's records cost: metrics, groups and samples of many long rollouts, each row on disk.

    python benchmarks/recording.py [--prompts N] [--rollouts N] [--tokens N] [--folder FOLDER]

Calls the trainer's own `Recorder` as a step does, with the samples that a recipe keeps and then
with every group, and prints median wall milliseconds (waiting for the disk is what is measured, so
not processor time). Pictures are named in the samples, not copied.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

import torch

from adora_mm.advantages import AdvantageResult
from adora_mm.config import RunConfig, load_config
from adora_mm.metrics.console import ConsoleLog
from adora_mm.recorder import Recorder
from adora_mm.run_folder import RunFolder
from adora_mm.step import advantages_of, facts_of, rollout_metrics
from adora_mm.types import Completion, Problem, Rollout, RolloutGroup, Verdict

CHARACTERS_PER_TOKEN = 4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--prompts", type=int, default=128)
    parser.add_argument("--rollouts", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=2048)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured")
    arguments = parser.parse_args()
    groups = make_groups(arguments.prompts, arguments.rollouts, arguments.tokens)
    config = load_config("geo3k_tiny", ["logging.sample_every_steps=1", "logging.tensorboard=true"])
    for kept in (config.logging.sample_groups, arguments.prompts):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
            times = record(config, groups, kept, arguments.steps, Path(folder))
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        print(
            f"{arguments.prompts} x {arguments.rollouts} rollouts of {arguments.tokens} tokens, "
            f"{kept} groups in the samples: {statistics.median(times) * 1000:.0f} ms a step "
            f"(longest {max(times) * 1000:.0f}), {size / arguments.steps / 1e6:.1f} MB"
        )
    return 0


def make_groups(prompts: int, rollouts: int, tokens: int) -> list[RolloutGroup]:
    """Groups with long random texts and ten pictures' worth of names."""
    rng = random.Random(0)
    words = ["angle", "therefore", "$x^2$", "triangle", "=", "\n", "△", "equals", "so", "60°"]

    def rollout() -> Rollout:
        text = " ".join(rng.choices(words, k=tokens))[: tokens * CHARACTERS_PER_TOKEN]
        right = rng.random() < 0.5
        return Rollout(
            completion=Completion(
                token_ids=tuple(rng.choices(range(150_000), k=tokens)),
                text=text,
                finish_reason="stop",
                logprobs=tuple(-rng.random() for _ in range(tokens)),
            ),
            verdict=Verdict(outcome="correct" if right else "incorrect", extracted="60", reason=""),
            reward=float(right),
            reward_parts={"accuracy": float(right), "format": 1.0},
        )

    return [
        RolloutGroup(
            problem=Problem(
                id=f"problem-{index}",
                question="Find x. " * 20,
                answer="60",
                images=(Path(f"data/geo3k/images/{index}.png"),),
            ),
            rollouts=tuple(rollout() for _ in range(rollouts)),
        )
        for index in range(prompts)
    ]


def record(
    config: RunConfig, groups: list[RolloutGroup], kept: int, steps: int, path: Path
) -> list[float]:
    """Seconds of each step's records."""
    folder = RunFolder(path)
    folder.update_info(started="now")
    logging = config.logging.model_copy(update={"sample_groups": kept})
    config = config.model_copy(update={"logging": logging})
    facts_PG = [facts_of(group, config.reward) for group in groups]
    result: AdvantageResult = advantages_of(facts_PG, config.advantage, step=1, seed=0)
    metrics = rollout_metrics(facts_PG) | result.metrics | {f"loss/{i}": 0.1 for i in range(30)}
    names = [group.problem.id for group in groups]
    recorder = Recorder(folder, config, ConsoleLog(enabled=False, total_steps=steps), after_step=-1)
    times = []
    for step in range(1, steps + 1):
        began = time.monotonic()
        recorder.train_samples(step, groups, range(len(groups)), result, policy_version=step - 1)
        recorder.groups(step, names, facts_PG, result)
        recorder.step(step, metrics, {"time/step_s": 1.0})
        times.append(time.monotonic() - began)
    recorder.close()
    return times


if __name__ == "__main__":
    torch.set_num_threads(1)
    raise SystemExit(main())
