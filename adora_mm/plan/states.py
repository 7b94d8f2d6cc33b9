"""What a rank holds between micro-batches: weights, gradients, optimizer state, buffers; in bytes.

The rules are those of DeepSpeed 0.19 as `engine.py` sets it up (torch's AdamW, gradients summed in
the policy's dtype, no overlap of communication below stage 3). With T trained parameters of w bytes
on N ranks:

    stage   weights       gradients    master      moments     at the optimizer step
    0       w all         w T          -           8 T         gradients
    1       w all         w T          4 T / N     8 T / N     w T / N, and 4 T / N in fp32
    2       w all         w T / N      4 T / N     8 T / N     the same
    3       w all / N     w T / N      4 T / N *   8 T / N     the same

    * on GPUs in float32 without offload the partitions are the master copy

and AdamW's temporaries. `benchmarks/plan_memory.py` compares with what was allocated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adora_mm.config import EngineConfig, PolicyConfig

BUCKET_ELEMENTS = 500_000_000
"""DeepSpeed's `reduce_bucket_size`: allocated whole, however small the model."""
LIVE_ELEMENTS = 1_000_000_000
"""`stage3_max_live_parameters`: gathered weights at once, at most about this many."""
PREFETCH_ELEMENTS = 50_000_000
PERSISTENT_ELEMENTS = 100_000
"""`stage3_param_persistence_threshold`: weights up to this size stay whole once they were."""
SUB_GROUP_ELEMENTS = 1_000_000_000
"""`sub_group_size`: stage 3 updates this many elements at a time."""
MASTER, MOMENTS = 4, 8
"""Bytes of a trained parameter in AdamW's master copy and in its two moments, fp32."""


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """Bytes on one rank's device."""

    weights: int
    gradients: int
    """During forward and backward passes, from earlier micro-batches."""
    optimizer: int
    """Master weights and moments, kept all the time."""
    bucket: int
    """Of gradients on their way to other ranks."""
    gathered: int
    """ZeRO-3: whole weights of the layers at work."""
    step: int
    """At the optimizer step beside weights and optimizer, when activations are gone."""
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
    frozen: Sequence[int],
    *,
    policy: PolicyConfig,
    engine: EngineConfig,
    ranks: int,
    gpu: bool,
) -> States:
    """Bytes on one of `ranks`: sizes of trained parameters by optimizer group, and of frozen ones.

    `gpu`: AdamW works on whole lists of tensors and needs one copy of a moment; on CPUs two of a
    single tensor.
    """
    width = 2 if policy.dtype == "bfloat16" else 4
    if engine.zero_stage == 0:
        return _unshared(groups, frozen, width=width, gpu=gpu)
    stage = engine.zero_stage
    shares = [_share(group, stage, ranks) for group in groups]
    share, part = sum(shares), max(shares)
    zero: dict[str, Any] = dict(engine.extra.get("zero_optimization", {}))
    bucket = width * int(zero.get("reduce_bucket_size", BUCKET_ELEMENTS))
    if stage == 3:
        part = min(part, SUB_GROUP_ELEMENTS)
    own_copy = stage < 3 or width == 2 or engine.offload_optimizer or not gpu
    optimizer = share * (MOMENTS + (MASTER if own_copy else 0))
    step = width * share + (MASTER + (4 if gpu else 8)) * part
    host = 0
    if engine.offload_optimizer:
        host, optimizer, step = optimizer + MASTER * share, 0, width * share
    sizes = [*(size for group in groups for size in group), *frozen]
    if stage < 3:
        trained = sum(map(sum, groups))
        return States(
            weights=width * sum(sizes), gradients=width * (trained if stage == 1 else share),
            optimizer=optimizer, bucket=bucket, gathered=0, step=step, idle=0, host=host,
        )  # fmt: skip
    weights, gathered = _gathered(sizes, zero, engine, width=width, ranks=ranks)
    if engine.offload_params:
        host, weights = host + weights, 0
    gradients = width * share
    idle, step = bucket + gradients, bucket + step
    if engine.offload_optimizer:
        host, gradients, idle, step = host + gradients, 0, bucket, bucket
    return States(
        weights=weights, gradients=gradients, optimizer=optimizer, bucket=bucket,
        gathered=gathered, step=step, idle=idle, host=host,
    )  # fmt: skip


def _unshared(
    groups: Sequence[Sequence[int]], frozen: Sequence[int], *, width: int, gpu: bool
) -> States:
    """Stage 0: every rank has everything."""
    trained = sum(map(sum, groups))
    largest = max(size for group in groups for size in group)
    temporary = 4 * max(map(sum, groups)) if gpu else 8 * largest
    return States(
        weights=width * (trained + sum(frozen)), gradients=width * trained,
        optimizer=MOMENTS * trained, bucket=0, gathered=0, step=width * trained + temporary,
        idle=0, host=0,
    )  # fmt: skip


def _gathered(
    sizes: Sequence[int], zero: dict[str, Any], engine: EngineConfig, *, width: int, ranks: int
) -> tuple[int, int]:
    """Stage 3: a rank's share of the weights with those that stay whole; what comes for work."""
    share = width * sum(-(-size // ranks) for size in sizes)
    if ranks == 1 and not engine.offload_params:
        return share, 0
    threshold = int(zero.get("stage3_param_persistence_threshold", PERSISTENT_ELEMENTS))
    whole = width * sum(size for size in sizes if size <= threshold)
    live = int(zero.get("stage3_max_live_parameters", LIVE_ELEMENTS)) + PREFETCH_ELEMENTS
    return share + whole, width * min(sum(sizes), live) - min(whole, width * live)


def _share(group: Sequence[int], stage: int, ranks: int) -> int:
    """Elements of an optimizer group on one rank, with DeepSpeed's padding."""
    if stage == 3:
        return sum(-(-size // ranks) for size in group)
    aligned = 2 * ranks  # NCCL's 4 bytes in elements of 2
    return -(-sum(group) // aligned) * aligned // ranks
