"""A whole RL step, rollouts, checks and update: `adora train` against TRL's GRPOTrainer.

    python benchmarks/whole_step.py [--image-px 140 448] [--prompts 8] [--rounds 3] [--json OUT]

Both sides train the embedded policy on the same generated problems, in fp32 with one thread: same
group size, prompts per step, rows per micro-batch, response cap, learning rate (low, so that
lengths stay), sampling at temperature 1, the same checker for rewards, no KL, and no evaluation or
checkpoint between. Each side runs in a process of its own, in turns; a figure is the median over
rounds of the mean seconds per step, the first step (warm-up) left out. Seconds are of the training
process's processor time, so that other work on the machine counts little; the checker's workers
are other processes on both sides and do not count.

TRL needs torchvision for its processor, which this project does not install: run this in an
environment that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from adora_mm import distributed

GROUP_SIZE = 8
GROUPS_PER_MICROBATCH = 4
MAX_NEW_TOKENS = 64
LEARNING_RATE = 1e-6
STEPS = 4
FAMILY = "triangle_angle_sum"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--image-px", type=int, nargs="+", default=[140, 448])
    parser.add_argument("--prompts", type=int, default=8, help="per step; a multiple of 4")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        SIDES[arguments.side](arguments.folder, arguments.prompts, arguments.image_px[0])
        return 0
    rows = []
    for pixels in arguments.image_px:
        found = compare(pixels, arguments.prompts, arguments.rounds)
        rows.append({"image_px": pixels, "prompts": arguments.prompts, **found})
        print(
            f"{pixels} px: adora {found['adora_s']:.2f} s, TRL {found['trl_s']:.2f} s per step of "
            f"{arguments.prompts} x {GROUP_SIZE} rollouts: {found['ratio']:.2f} x; mean response "
            f"{found['adora_tokens']:.1f} and {found['trl_tokens']:.1f} tokens",
            flush=True,
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows))
    return 0


def compare(pixels: int, prompts: int, rounds: int) -> dict[str, float]:
    """Medians over rounds of each side, and of their ratio within a round."""
    from data_prep.synthetic import write_synthetic

    found: dict[str, list[dict[str, float]]] = {name: [] for name in SIDES}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        count = {"train": prompts * (STEPS + 1), "val": 1}
        write_synthetic(
            folder / "data", counts=count, seed=0, families=[FAMILY], image_px=pixels,
            label_grid_px=14,
        )  # fmt: skip
        for number in range(rounds):
            for side in SIDES:
                work = folder / f"{side}-{number}"
                work.mkdir()
                (work / "data").symlink_to(folder / "data")
                found[side].append(run_side(side, work, prompts, pixels))
    ratios = [t["s"] / a["s"] for a, t in zip(found["adora"], found["trl"], strict=True)]
    medians = {
        f"{side}_{key}": statistics.median(row[key] for row in rows)
        for side, rows in found.items()
        for key in ("s", "tokens")
    }
    return medians | {"ratio": statistics.median(ratios)}


def run_side(side: str, work: Path, prompts: int, pixels: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--side", side, "--folder", str(work)]
    done = subprocess.run(
        [*command, "--prompts", str(prompts), "--image-px", str(pixels)],
        capture_output=True,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    result: dict[str, float] = json.loads((work / "result.json").read_text())
    return result


class StepTimes:
    """Processor seconds of this process between marks."""

    def __init__(self) -> None:
        self.marks: list[float] = []

    def mark(self) -> None:
        self.marks.append(time.process_time())

    def mean(self) -> float:
        """Mean seconds per step, without the first."""
        return (self.marks[-1] - self.marks[1]) / (len(self.marks) - 2)


def run_adora(folder: Path, prompts: int, pixels: int) -> None:
    from adora_mm import trainer
    from adora_mm.config import load_config
    from adora_mm.launch import train

    times = StepTimes()
    collect = trainer.Trainer.collect

    def marked(self: trainer.Trainer, step: int) -> Any:
        times.mark()  # a step begins with its rollouts
        return collect(self, step)

    trainer.Trainer.collect = marked  # type: ignore[method-assign]
    config = load_config(
        "geo3k_tiny",
        [
            "name=run", f"run_dir={folder}", f"data.train={folder}/data@train", "data.val=null",
            "data.generate=null", f"train.total_steps={STEPS + 1}",
            f"rollout.prompts_per_step={prompts}", f"rollout.group_size={GROUP_SIZE}",
            f"rollout.max_new_tokens={MAX_NEW_TOKENS}", f"train.prompts_per_minibatch={prompts}",
            f"train.groups_per_microbatch={GROUPS_PER_MICROBATCH}", "engine.threads=1",
            f"train.learning_rate={LEARNING_RATE}", "advantage.adora.enabled=false",
            "reward.format=0", "checkpoint.every_steps=0", "logging.report=false",
            "logging.tensorboard=false", f"data.max_pixels={pixels**2}",
            "data.max_prompt_tokens=1024",
        ],
    )  # fmt: skip
    run = train(config, resume=False, make_data=lambda: None)
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    lengths = [row["rollout/length_mean"] for row in rows[1:-1]]
    # The marks are at the beginnings: the last step only closes the one before.
    save(folder, times, statistics.mean(lengths))


def run_trl(folder: Path, prompts: int, pixels: int) -> None:
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from datasets import Dataset, Image
    from transformers import AutoProcessor, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from adora_mm.data import load_problems
    from adora_mm.models import load_policy, policy_path
    from adora_mm.processor import Processor
    from adora_mm.prompts import question_text
    from adora_mm.verify import CheckerPool

    distributed.keep_freed_memory()
    path = policy_path("embedded")
    problems = load_problems(f"{folder}/data@train")
    rows = [
        {
            "prompt": [{"role": "user", "content": question_text(problem)}],
            "image": str(problem.images[0]),
            "solution": problem.answer,
        }
        for problem in problems
    ]
    processor = AutoProcessor.from_pretrained(str(path))
    processor.image_processor.size["longest_edge"] = pixels**2
    banned = Processor(path).banned_token_ids
    times, lengths = StepTimes(), []

    class Marks(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.mark()

    with CheckerPool(workers=1) as pool:

        def reward(completions: list[Any], solution: list[str], **rest: Any) -> list[float]:
            lengths.append(statistics.mean(len(ids) for ids in rest["completion_ids"]))
            texts = [completion[0]["content"] for completion in completions]
            jobs = [(text, gold, None) for text, gold in zip(texts, solution, strict=True)]
            return [float(verdict.correct) for verdict in pool.check_many(jobs)]

        settings = GRPOConfig(
            output_dir=str(folder / "trl"),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
            disable_tqdm=True,
            max_steps=STEPS + 1,
            learning_rate=LEARNING_RATE,
            lr_scheduler_type="constant",
            per_device_train_batch_size=GROUPS_PER_MICROBATCH * GROUP_SIZE,
            gradient_accumulation_steps=prompts // GROUPS_PER_MICROBATCH,
            num_generations=GROUP_SIZE,
            max_completion_length=MAX_NEW_TOKENS,
            temperature=1.0,
            beta=0.0,
            loss_type="dapo",
            generation_kwargs={"suppress_tokens": list(banned)},
        )
        GRPOTrainer(
            model=load_policy(path),
            args=settings,
            reward_funcs=reward,
            train_dataset=Dataset.from_list(rows).cast_column("image", Image()),
            processing_class=processor,
            callbacks=[Marks()],
        ).train()
    save(folder, times, statistics.mean(lengths[1:-1]))


def save(folder: Path, times: StepTimes, tokens: float) -> None:
    (folder / "result.json").write_text(json.dumps({"s": times.mean(), "tokens": tokens}))


SIDES = {"adora": run_adora, "trl": run_trl}


if __name__ == "__main__":
    raise SystemExit(main())
