"""`adora plan`: reads the arguments, plans, prints text or JSON."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from adora_mm.batching import rank_share
from adora_mm.config import RunConfig, load_config
from adora_mm.data import load_problems
from adora_mm.families import refuse_unsupported
from adora_mm.plan.blueprint import policy_config
from adora_mm.plan.gpus import PRESETS, Gpu, visible_gpu
from adora_mm.plan.memory import Memory, plan_memory, remedies
from adora_mm.plan.speed import Assumptions, StepTime, step_time
from adora_mm.plan.steps import Plan, make_plan
from adora_mm.plan.workload import Lengths, expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """Everything that `adora plan` says, before it is put into words."""

    name: str
    source: str
    """Where the policy's shapes come from."""
    plan: Plan | None
    """None: the number of problems is not known."""
    memory: Memory
    gpu: Gpu | None
    gpus: int
    lengths: Lengths
    """Means that the time is estimated with."""
    time: StepTime | None
    assumed: Assumptions
    remedies: tuple[tuple[str, int], ...]

    @property
    def fits(self) -> bool | None:
        return None if self.gpu is None else self.memory.fits(self.gpu.memory_gib)

    @property
    def hours(self) -> float | None:
        if self.time is None or self.plan is None:
            return None
        return self.plan.total_steps * self.time.total_s / 3600


def main(words: Sequence[str]) -> int:
    """Print a plan; returns 0, also for one that does not fit."""
    arguments = _parser().parse_intermixed_args(list(words))
    outlook, config = outlook_of(arguments)
    if arguments.json:
        print(json.dumps(as_json(outlook), indent=1))
    else:
        from adora_mm.plan.text import describe_outlook

        print(describe_outlook(outlook, config))
    return 0


def headline_of(words: Sequence[str]) -> str:
    """Memory and time in one line, for the words after `adora plan`; recipes hold it."""
    from adora_mm.plan.text import headline

    return headline(outlook_of(_parser().parse_intermixed_args(list(words)))[0])


def outlook_of(arguments: argparse.Namespace) -> tuple[Outlook, RunConfig]:
    """What the command's arguments ask for. Raises ValueError."""
    config = load_config(arguments.recipe, arguments.overrides)
    _check_amounts(arguments)
    gpu, gpus = _gpus(arguments)
    outlook = look_ahead(
        config,
        gpu=gpu,
        gpus=gpus,
        problems=arguments.problems,
        prompt=arguments.prompt_tokens,
        response=arguments.response_tokens,
        assumed=_assumed(arguments),
    )
    return outlook, config


def look_ahead(
    config: RunConfig,
    *,
    gpu: Gpu | None,
    gpus: int,
    problems: int | None = None,
    prompt: int | None = None,
    response: int | None = None,
    assumed: Assumptions | None = None,
) -> Outlook:
    """The plan of a recipe on `gpus` GPUs (`gpu` None: processes on CPUs). Raises ValueError."""
    assumed = assumed or Assumptions()
    _check_ranks(config, gpus)
    model_config, source = policy_config(config.policy.path)
    refuse_unsupported(model_config, config.policy.path)
    memory_gib = gpu.memory_gib if gpu else None
    memory = plan_memory(config, model_config, ranks=gpus, gpu_gib=memory_gib)
    lengths = expected(config, model_config, prompt=prompt, response=response)
    time = None
    if gpu is not None and gpu.tflops and gpu.bandwidth_tbs:
        time = step_time(config, model_config, memory, lengths, gpu=gpu, gpus=gpus, assumed=assumed)
    helps: list[tuple[str, int]] = []
    if memory_gib is not None and not memory.fits(memory_gib):
        helps = remedies(config, model_config, memory, ranks=gpus, gpu_gib=memory_gib)
    count = problems or count_problems(config)
    return Outlook(
        name=config.name,
        source=source,
        plan=_plan(config, count),
        memory=memory,
        gpu=gpu,
        gpus=gpus,
        lengths=lengths,
        time=time,
        assumed=assumed,
        remedies=tuple(helps),
    )


def count_problems(config: RunConfig) -> int | None:
    """Training problems: in the data folders, or that the generator would make; None: unknown."""
    folders = [config.data.train] if isinstance(config.data.train, str) else config.data.train
    wanted, total = config.data.generate, 0
    for name in folders:
        folder, _, split = name.rpartition("@") if "@" in name else (name, "", "")
        if Path(folder).exists():
            total += len(load_problems(name))
        elif wanted is not None and wanted.folder == folder:
            total += wanted.counts.get(split, 0) if split else sum(wanted.counts.values())
        else:
            return None
    limit = config.data.train_limit
    return total if limit is None else min(total, limit)


def as_json(outlook: Outlook) -> dict[str, Any]:
    """The same as plain values; bytes and seconds."""
    memory = outlook.memory
    return asdict(outlook) | {
        "fits": outlook.fits,
        "hours": outlook.hours,
        "peak_phase": memory.peak,
        "peak_bytes": memory.peak_bytes,
        "parameters": memory.parameters,
        "trained": memory.trained,
        "step_s": outlook.time.total_s if outlook.time else None,
        "remedies": [{"change": words, "peak_bytes": size} for words, size in outlook.remedies],
    }


def _check_ranks(config: RunConfig, ranks: int) -> None:
    """Raise ValueError for what a run on so many processes would refuse at its start."""
    rollout, minibatch = config.rollout, config.train.prompts_per_minibatch
    rank_share(rollout.prompts_per_step, minibatch, rank=0, world_size=ranks)
    size = rollout.vllm.tensor_parallel_size
    if rollout.backend == "vllm" and ranks % size:
        raise ValueError(
            f"rollout.vllm.tensor_parallel_size={size} does not divide --gpus {ranks}; with "
            "rollout.backend=vllm every engine takes that many"
        )


def _plan(config: RunConfig, problems: int | None) -> Plan | None:
    if problems is None and config.train.total_steps is None:
        return None
    return make_plan(config, problems or 0)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="adora plan", description="What a run will do, need and take, before it is started."
    )
    parser.add_argument("recipe", help="a recipe's name or path")
    parser.add_argument("overrides", nargs="*", metavar="key=value")
    parser.add_argument("--gpu", choices=sorted(PRESETS), help="default: those of this machine")
    parser.add_argument("--gpu-gb", type=float, help="memory of a GPU (GiB)")
    parser.add_argument("--gpus", type=int, help="GPUs, that is training processes, in all")
    parser.add_argument("--tflops", type=float, help="a GPU's dense bf16 rate")
    parser.add_argument("--bandwidth", type=float, help="a GPU's memory bandwidth, TB/s")
    usual = Assumptions()
    parser.add_argument("--mfu", type=float, default=usual.mfu, help="share of the rate reached")
    parser.add_argument(
        "--bandwidth-share", type=float, default=usual.bandwidth_share, help="of it, in decoding"
    )
    parser.add_argument("--problems", type=int, help="training problems, where none are there yet")
    parser.add_argument("--prompt-tokens", type=int, help="mean prompt, pictures included")
    parser.add_argument("--response-tokens", type=int, help="mean response")
    parser.add_argument("--json", action="store_true")
    return parser


def _check_amounts(arguments: argparse.Namespace) -> None:
    for name in ("gpu_gb", "tflops", "bandwidth", "problems", "prompt_tokens", "response_tokens"):
        value = getattr(arguments, name)
        if value is not None and not 0 < value < float("inf"):
            raise ValueError(f"--{name.replace('_', '-')} {value}: must be above 0")


def _assumed(arguments: argparse.Namespace) -> Assumptions:
    for name in ("mfu", "bandwidth_share"):
        if not 0 < getattr(arguments, name) <= 1:
            raise ValueError(f"--{name.replace('_', '-')} is a share, above 0 and at most 1")
    return Assumptions(mfu=arguments.mfu, bandwidth_share=arguments.bandwidth_share)


def _gpus(arguments: argparse.Namespace) -> tuple[Gpu | None, int]:
    """The GPU that is planned for and their number: as asked for, else this machine's."""
    gpu, count = visible_gpu()
    if arguments.gpu:
        gpu = PRESETS[arguments.gpu]
    if arguments.gpu_gb:
        gpu = replace(gpu or Gpu(name="GPU", memory_gib=0), memory_gib=arguments.gpu_gb)
    if gpu and arguments.tflops:
        gpu = replace(gpu, tflops=arguments.tflops)
    if gpu and arguments.bandwidth:
        gpu = replace(gpu, bandwidth_tbs=arguments.bandwidth)
    number = arguments.gpus if arguments.gpus is not None else max(count, 1)
    if number < 1:
        raise ValueError(f"--gpus {number}: at least 1")
    return gpu, number
