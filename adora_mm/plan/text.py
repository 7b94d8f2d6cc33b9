"""A plan in words."""

from __future__ import annotations

from collections.abc import Iterator

from adora_mm.config import RunConfig
from adora_mm.plan.command import Outlook
from adora_mm.plan.gpus import GIB
from adora_mm.plan.steps import describe


def describe_outlook(outlook: Outlook, config: RunConfig) -> str:
    """Steps, parameters, memory by phase, verdict, time with its assumptions."""
    return "\n".join(
        [
            *_steps(outlook, config),
            "",
            *_parameters(outlook),
            "",
            *_memory(outlook),
            "",
            *_time(outlook),
        ]
    )


def headline(outlook: Outlook) -> str:
    """Memory and time in one line, as recipes have it in their header."""
    memory = outlook.memory
    text = f"peak {_gib(memory.peak_bytes)}"
    if outlook.gpu is not None:
        text += f" of {outlook.gpu.memory_gib:.0f} GiB"
    text += f" ({memory.peak})"
    if outlook.time is not None:
        text += f", about {outlook.time.total_s:.0f} s a step"
    if outlook.hours is not None:
        text += f", {outlook.hours:.0f} h"
    return text


def _steps(outlook: Outlook, config: RunConfig) -> Iterator[str]:
    if outlook.plan is not None:
        yield f"{outlook.name}: {describe(outlook.plan, config)}"
    else:
        yield (
            f"{outlook.name}: {config.rollout.prompts_per_step} prompts x "
            f"{config.rollout.group_size} rollouts a step; how many steps "
            f"train.episodes={config.train.episodes:g} are depends on the data, not there yet "
            "(--problems N)"
        )


def _parameters(outlook: Outlook) -> Iterator[str]:
    memory = outlook.memory
    yield f"parameters ({outlook.source}): {memory.parameters:,}, trained {memory.trained:,}"
    for part in memory.parts:
        state = "trained" if part.trained == part.total else "frozen"
        if 0 < part.trained < part.total:
            state = f"{part.trained:,} of them trained"
        yield f"  {part.name:<16} {part.total:>14,}  {state}"


def _memory(outlook: Outlook) -> Iterator[str]:
    memory, states, gpu = outlook.memory, outlook.memory.states, outlook.gpu
    rows = memory.rows
    unit = "GPU" if gpu else "process"
    yield f"memory per {unit} on {outlook.gpus} (at the longest prompts and responses):"
    lines = [
        ("weights", states.weights),
        ("gradients", states.gradients),
        ("optimizer", states.optimizer),
        ("gradient bucket", states.bucket),
        ("gathered layers", states.gathered),
        ("reference", memory.reference),
        ("activations", memory.activations.total),
    ]
    for name, size in lines:
        if size:
            yield f"  {name:<16} {_gib(size):>10}"
    where = "" if memory.engine.where == "trainer" else ", on GPUs of their own"
    yield f"  {'rollout weights':<16} {_gib(memory.engine.weights):>10}{where}"
    yield f"  {'rollout cache':<16} {_gib(memory.engine.cache):>10}{where}"
    yield (
        f"  (activations: {rows.groups} x {rows.rollouts} rollouts, {rows.tokens:,} tokens, "
        f"{rows.batching})"
    )
    if states.host:
        yield f"  in host memory, per process: {_gib(states.host)}"
    phases = ", ".join(f"{name} {_gib(size)}" for name, size in memory.phases.items())
    yield f"  by phase: {phases}; the peak is {memory.peak}"
    yield from _verdict(outlook)


def _verdict(outlook: Outlook) -> Iterator[str]:
    gpu = outlook.gpu
    if gpu is None:
        yield "  no GPU given: --gpu h100 (or --gpu-gb 48) and --gpus 8 say whether it fits"
        return
    peak = _gib(outlook.memory.peak_bytes)
    if outlook.fits:
        yield f"  fits {gpu.name} with {gpu.memory_gib:.0f} GiB: {peak}, a tenth stays free"
        return
    yield f"  DOES NOT FIT {gpu.name} with {gpu.memory_gib:.0f} GiB: {peak}, a tenth must stay free"
    for place, (words, size) in enumerate(outlook.remedies):
        yield f"    {'with' if place == 0 else 'and'} {words}: {_gib(size)}"


def _time(outlook: Outlook) -> Iterator[str]:
    time, lengths, assumed, gpu = outlook.time, outlook.lengths, outlook.assumed, outlook.gpu
    if time is None or gpu is None:
        yield "time: not estimated; give --gpu, or --gpu-gb, --tflops and --bandwidth"
        return
    hours = "" if outlook.hours is None else f", {outlook.hours:.1f} h in all"
    yield (
        f"time (an estimate, not measured): {time.total_s:.0f} s a step{hours}: rollout "
        f"{time.rollout_s:.0f} s, scoring {time.scoring_s:.0f} s, update {time.update_s:.0f} s, "
        f"optimizer in host memory {time.optimizer_s:.0f} s"
    )
    yield (
        f"  assumed: {outlook.gpus} x {gpu.tflops:g} TFLOP/s at an MFU of {assumed.mfu:g}, "
        f"{gpu.bandwidth_tbs:g} TB/s at {assumed.bandwidth_share:g} in decoding, host memory "
        f"{assumed.host_gbs:g} GB/s per GPU; mean prompt {lengths.prompt:,} tokens, mean response "
        f"{lengths.response:,} (--mfu, --bandwidth-share, --prompt-tokens, --response-tokens)"
    )
    yield "  left out: evaluation, waiting for the longest response, communication, loading"


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB" if size < 10 * GIB else f"{size / GIB:.1f} GiB"
