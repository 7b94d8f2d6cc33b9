"""What a rank holds between micro-batches: weights, gradients, optimizer state, buffers; in bytes.

The rules are those of DeepSpeed 0.19 as `engine.py` sets it up (torch's AdamW, gradients summed in
the policy's dtype, no overlap of communication below stage 3). With T trained parameters, w bytes
each, on N ranks:

    stage   weights       gradients          master      moments
    0       w all         w T                -           8 T
    1       w all         w T, and w T / N   4 T / N     8 T / N
    2       w all         2 w T / N          4 T / N     8 T / N
    3       w all / N     w T / N            4 T / N *   8 T / N

    * in float32 without offload the partitions are the master copy

`benchmarks/plan_memory.py` compares with what was allocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adora_mm.config import EngineConfig, PolicyConfig

BUCKET_ELEMENTS = 500_000_000
"""DeepSpeed's `reduce_bucket_size`: allocated whole, however small the model."""
LIVE_ELEMENTS = 1_000_000_000
"""`stage3_max_live_parameters`: gathered weights at once, at most about this many."""
PREFETCH_ELEMENTS = 50_000_000
SUB_GROUP_ELEMENTS = 1_000_000_000
"""`sub_group_size`: stage 3 updates this many elements at a time."""
MASTER, MOMENTS = 4, 8
"""Bytes of a trained parameter in AdamW's master copy and in its two moments, fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Bytes on one rank's device."""

    weights: int
    gradients: int
    """While an update runs."""
    optimizer: int
    """Master weights and moments, kept all the time."""
    bucket: int
    """Of gradients on their way to other ranks."""
    gathered: int
    """ZeRO-3: whole weights of the layers at work."""
    step: int
    """More at the optimizer step, when activations are gone."""
    idle: int
    """Of `gradients` and `bucket`, what is kept between updates."""
    host: int
    """Optimizer state and parameters in host memory instead."""

    @property
    def kept(self) -> int:
        """Between updates."""
        return self.weights + self.optimizer + self.idle


def states_of(
    groups: Sequence[Sequence[int]],
    frozen: int,
    *,
    policy: PolicyConfig,
    engine: EngineConfig,
    ranks: int,
    gpu: bool,
) -> States:
    """Bytes on one of `ranks`, for optimizer groups of trained parameters and `frozen` others.

    `gpu`: AdamW works on whole lists of tensors and needs one copy of a moment; on CPUs two of a
    single tensor.
    """
    width = 2 if policy.dtype == "bfloat16" else 4
    trained = sum(map(sum, groups))
    stage = engine.zero_stage
    if stage == 0:
        largest = max((size for group in groups for size in group), default=0)
        temporary = 4 * max(map(sum, groups)) if gpu else 8 * largest
        return States(
            weights=width * (trained + frozen), gradients=width * trained,
            optimizer=MOMENTS * trained, bucket=0, gathered=0, step=temporary, idle=0, host=0,
        )  # fmt: skip
    shares = [_share(group, stage, ranks) for group in groups]
    share = sum(shares)
    zero = dict(engine.extra.get("zero_optimization", {}))
    bucket = width * int(zero.get("reduce_bucket_size", BUCKET_ELEMENTS))
    part = min(max(shares, default=0), SUB_GROUP_ELEMENTS if stage == 3 else max(shares, default=0))
    own_copy = stage < 3 or width == 2 or engine.offload_optimizer
    optimizer = share * (MOMENTS + (MASTER if own_copy else 0))
    step = (4 if width == 2 or stage < 3 else 0) * part + (4 if gpu else 8) * part
    host = 0
    if engine.offload_optimizer:
        host, optimizer, step = optimizer + 4 * share, 0, 0
    if stage < 3:
        weights = width * (trained + frozen)
        gradients = width * share * (1 if engine.offload_optimizer else 2 if stage == 2 else 1)
        gradients += width * trained if stage == 1 else 0
        return States(
            weights=weights, gradients=gradients, optimizer=optimizer, bucket=bucket, gathered=0,
            step=step, idle=0, host=host,
        )  # fmt: skip
    everything = trained + frozen
    weights = width * -(-everything // ranks)
    live = int(zero.get("stage3_max_live_parameters", LIVE_ELEMENTS)) + PREFETCH_ELEMENTS
    gradients = width * share
    idle = bucket + gradients
    if engine.offload_params:
        host, weights = host + weights, 0
    if engine.offload_optimizer:
        host, gradients, idle = host + gradients, 0, bucket
    return States(
        weights=weights, gradients=gradients, optimizer=optimizer, bucket=bucket,
        gathered=width * min(everything, live) if ranks > 1 or engine.offload_params else 0,
        step=step, idle=idle, host=host,
    )  # fmt: skip


def _share(group: Sequence[int], stage: int, ranks: int) -> int:
    """Elements of an optimizer group on one rank, with DeepSpeed's padding."""
    if stage == 3:
        return sum(-(-size // ranks) for size in group)
    aligned = 2 * ranks  # NCCL's 4 bytes in elements of 2
    return -(-sum(group) // aligned) * aligned // ranks
