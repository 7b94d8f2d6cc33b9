"""One training step of a group, forward and backward: shared prompts against padded rows and TRL.

    python benchmarks/training_step.py [--cells 8x256x64 4x64x64 ...] [--unequal] [--dtype TYPE]

A cell is ROLLOUTSxIMAGE_TOKENSxRESPONSE_TOKENS. In each, the same weights see the same prompt,
picture, responses and advantages, one group per micro-batch, with the same loss (PPO clip, mean
over tokens) and the entropy, which all sides report:

    prefix, packed, padded   our scorer and loss (`train.batching`)
    trl                      `GRPOTrainer._compute_loss` of an installed TRL, on its batch layout

Optimizer and rollout are left out: they are the same work whatever the batching. Times are medians
over interleaved repeats in one process, in seconds of processor time, since the machine may have
other work (one thread, so that they are wall seconds on an idle core). Memory is the peak above the
loaded models in a process of its own. Gradients must agree with the padded ones, or the program
stops. CPU; `--dtype bfloat16` holds weights and activations of all sides in bf16.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adora_mm import distributed
from adora_mm.batching import TOKEN_COSTS, MicroBatch, TrainGroup, collate_groups
from adora_mm.config import LossConfig
from adora_mm.losses import LossInputs, policy_loss
from adora_mm.models import DTYPES, ResponseScorer, load_policy
from adora_mm.processor import Prompt
from adora_mm.types import Completion
from data_prep.tiny_model import build_model, build_tokenizer, save_folder

CELLS = ("4x256x64", "8x256x64", "16x256x64", "8x64x64", "8x256x256", "8x1024x64", "8x0x64")
VOCABULARY = 8192
TEXT_TOKENS = 60
METHODS = ("prefix", "packed", "padded", "trl")
GRADIENT_TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05}
"""By which share of their norm gradients may differ; bf16 rounds each product to three digits."""

Step = Callable[[], None]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cells", nargs="+", default=CELLS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument(
        "--unequal", action="store_true", help="lengths from a quarter to the whole"
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cell-s", type=float, default=60, help="stop a cell's repeats here")
    parser.add_argument("--dtype", default="float32", choices=GRADIENT_TOLERANCE)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    methods = [m for m in arguments.methods if m != "trl" or find_spec("trl")]
    if methods != list(arguments.methods):
        print("trl is not installed: our own batchings only")
    with tempfile.TemporaryDirectory() as folder:
        model_folder = Path(folder)
        parameters = make_model(model_folder)
        print(f"{describe(parameters)}; {arguments.dtype}")
        bench = Bench(model_folder, methods, arguments.dtype)
        rows = []
        for cell in arguments.cells:
            batch, tokens = bench.use_cell(cell, unequal=arguments.unequal)
            row = {"cell": cell, "response_tokens": batch.num_tokens, "tokens": tokens}
            row["seconds"] = alone(bench.time_all, arguments.repeats, arguments.cell_s)
            row["peak_mb"] = {method: alone(bench.peak_mb, method) for method in methods}
            rows.append(row)
            print_row(row)
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"machine": describe(parameters), "dtype": arguments.dtype, "rows": rows})
        )
    return 0


# ------------------------------------------------------------------- model, prompt, rollouts


def make_model(folder: Path) -> int:
    """A random Qwen2.5-VL of 8 million parameters; returns their number."""
    tokenizer = build_tokenizer(["Find x. 47+68=115."], vocab_size=300)
    model = build_model(
        tokenizer, hidden_size=256, num_layers=6, vision_hidden_size=128, vision_depth=4
    )
    model.resize_token_embeddings(VOCABULARY)
    save_folder(folder, model, tokenizer)
    return int(model.num_parameters())


def make_group(config: Any, cell: str, *, unequal: bool) -> TrainGroup:
    """One prompt with a square picture and random responses."""
    rollouts, image_tokens, length = map(int, cell.split("x"))
    generator = torch.Generator().manual_seed(0)
    side = 2 * round(image_tokens**0.5)
    assert side * side == 4 * image_tokens, "image tokens must be a square number"

    def words(count: int) -> list[int]:
        return torch.randint(0, 250, (count,), generator=generator).tolist()

    picture = []
    if image_tokens:
        picture = [config.image_token_id] * image_tokens
        picture = [config.vision_start_token_id, *picture, config.vision_end_token_id]
    shortest = length // 4 if unequal else length
    lengths = torch.randint(shortest, length + 1, (rollouts,), generator=generator).tolist()
    return TrainGroup(
        prompt=Prompt(
            problem_id="benchmark",
            token_ids=(*words(TEXT_TOKENS // 2), *picture, *words(TEXT_TOKENS // 2)),
            unexpanded_ids=(),
            pixel_values=torch.randn(side * side, 1176, generator=generator) if side else None,
            image_grid_thw=torch.tensor([[1, side, side]]) if side else None,
        ),
        completions=tuple(
            Completion(
                token_ids=tuple(words(n)), text="", finish_reason="stop", logprobs=(-8.0,) * n
            )
            for n in lengths
        ),
        advantages=tuple(torch.randn(rollouts, generator=generator).tolist()),
        counted=(True,) * rollouts,
    )


# --------------------------------------------------------------------------------- the steps


class Bench:
    """The models, loaded once; measurements run in forked children and leave no trace."""

    def __init__(self, folder: Path, methods: list[str], dtype: str) -> None:
        self.dtype = dtype
        self.models: dict[str, Any] = {
            method: load_policy(
                folder, dtype=DTYPES[dtype], batching="padded" if method == "trl" else method
            ).train()
            for method in methods
        }
        self.config = next(iter(self.models.values())).config
        self.trainer = make_trl_trainer(folder, self.models["trl"]) if "trl" in methods else None

    def use_cell(self, cell: str, *, unequal: bool) -> tuple[MicroBatch, dict[str, int]]:
        group = make_group(self.config, cell, unequal=unequal)
        batch = collate_groups([group], pad=0)
        self.steps = {method: self._step(method, batch) for method in self.models}
        tokens = {name: cost([group]) for name, cost in TOKEN_COSTS.items()}
        return batch, tokens

    def time_all(self, repeats: int, limit_s: float) -> dict[str, float]:
        """Median seconds of each method; the first round warms up and compares gradients."""
        distributed.keep_freed_memory()
        self._compare_gradients()
        seconds: dict[str, list[float]] = {method: [] for method in self.steps}
        started = time.monotonic()
        for done in range(repeats):
            if done >= 2 and time.monotonic() - started > limit_s:
                break
            for method, step in self.steps.items():
                begin = time.process_time()
                step()
                seconds[method].append(time.process_time() - begin)
        return {method: statistics.median(values) for method, values in seconds.items()}

    def peak_mb(self, method: str) -> float:
        """Peak memory of one step above what the loaded models take."""
        before = memory_kb("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # peak := now
        self.steps[method]()
        return (memory_kb("VmHWM") - before) / 1024

    def _step(self, method: str, batch: MicroBatch) -> Step:
        model = self.models[method]
        if method == "trl":
            inputs = trl_inputs(batch, self.config)

            def step() -> None:
                model.zero_grad(set_to_none=True)
                self.trainer._compute_loss(model, inputs).backward()

            return step
        scorer = ResponseScorer(model, temperature=1.0, banned_token_ids=(), batching=method)

        def step() -> None:
            model.zero_grad(set_to_none=True)
            logprobs_BT, entropy_BT = scorer(
                batch.prompts,
                batch.response_ids_BT,
                batch.response_mask_BT,
                batch.prompt_of_row,
                batch.response_ids_BT.numel(),
            )
            inputs = LossInputs(
                logprobs_BT=logprobs_BT,
                old_logprobs_BT=logprobs_BT.detach(),
                ref_logprobs_BT=None,
                rollout_logprobs_BT=batch.rollout_logprobs_BT,
                advantages_B=batch.advantages_B,
                mask_BT=batch.loss_mask_BT,
                entropy_BT=entropy_BT.detach(),
                num_tokens=batch.num_tokens,
                scored_tokens=batch.num_tokens,
                num_sequences=batch.num_sequences,
            )
            policy_loss(inputs, LossConfig()).loss.backward()

        return step

    def _compare_gradients(self) -> None:
        gradients: dict[str, dict[str, Tensor]] = {}
        for method, step in self.steps.items():
            step()
            gradients[method] = {
                name: p.grad
                for name, p in self.models[method].named_parameters()
                if p.grad is not None
            }
        expected = gradients.get("padded")
        for method, found in gradients.items() if expected else ():
            # Without pictures ours gives the vision tower a gradient of zero, TRL gives it none.
            gap = sum(
                (found.get(n, torch.zeros_like(g)) - g).float().square().sum().item()
                for n, g in expected.items()
            )
            error = (gap / sum(g.float().square().sum().item() for g in expected.values())) ** 0.5
            if error > GRADIENT_TOLERANCE[self.dtype]:
                raise SystemExit(f"{method}: gradients are {error:.1e} away from padded ones")


def make_trl_trainer(folder: Path, model: Any) -> Any:
    os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
    from datasets import Dataset
    from transformers import AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer

    settings = GRPOConfig(
        output_dir=str(folder / "trl"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        per_device_train_batch_size=8,
        num_generations=8,
        beta=0.0,
        loss_type="dapo",
    )
    trainer = GRPOTrainer(
        model=model,
        args=settings,
        reward_funcs=lambda completions, **_: [0.0] * len(completions),
        train_dataset=Dataset.from_list([{"prompt": "x"}]),
        processing_class=AutoTokenizer.from_pretrained(str(folder)),
    )
    trainer.current_gradient_accumulation_steps = 1
    return trainer


def trl_inputs(batch: MicroBatch, config: Any) -> dict[str, Any]:
    """The group as TRL lays it out: the prompt and its picture once per rollout."""
    prompts, rows = batch.prompts, torch.tensor(batch.prompt_of_row)
    inputs: dict[str, Any] = {
        "prompt_ids": prompts.ids_PT[rows],
        "prompt_mask": prompts.mask_PT[rows],
        "completion_ids": batch.response_ids_BT,
        "completion_mask": batch.response_mask_BT.long(),
        "advantages": batch.advantages_B,
        "num_items_in_batch": torch.tensor(batch.num_tokens),
    }
    if prompts.pixel_values is not None and prompts.image_grid_thw is not None:
        whole = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        inputs |= {
            "pixel_values": prompts.pixel_values.repeat(len(rows), 1),
            "image_grid_thw": prompts.image_grid_thw.repeat(len(rows), 1),
            "num_images": [1] * len(rows),
            "mm_token_type_ids": (whole == config.image_token_id).int(),
        }
    return inputs


# --------------------------------------------------------------------------- measuring, output


def alone(measure: Callable[..., Any], *arguments: Any) -> Any:
    """The result of a measurement in a forked process."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sender.send(measure(*arguments)))
    child.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        raise SystemExit("a measurement failed; its message is above") from None
    finally:
        child.join()


def memory_kb(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def print_row(row: dict[str, Any]) -> None:
    slowest = row["seconds"].get("trl")
    print(f"\n{row['cell']}: {row['response_tokens']} response tokens, {row['tokens']} in all")
    for method, seconds in row["seconds"].items():
        gain = f", {slowest / seconds:.2f} x TRL" if slowest else ""
        padded = row["seconds"].get("padded")
        gain += f", {padded / seconds:.2f} x padded" if padded else ""
        print(
            f"  {method:7s} {seconds:7.3f} s, {row['response_tokens'] / seconds:7.0f} response "
            f"tokens/s{gain}, peak {row['peak_mb'][method]:.0f} MB",
            flush=True,
        )


def describe(parameters: int) -> str:
    packages = ("torch", "transformers") + (("trl",) if find_spec("trl") else ())
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{parameters:,} parameters; {platform.processor() or platform.machine()}; {versions}"


if __name__ == "__main__":
    raise SystemExit(main())
