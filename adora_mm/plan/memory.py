"""A GPU's memory in each phase of a step, which phase is the peak, and what would lower it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from adora_mm.config import RunConfig
from adora_mm.config.loading import merge
from adora_mm.lora import GATHER_BYTES
from adora_mm.optimizer import build_optimizer
from adora_mm.plan.blueprint import Part, blueprint, count_parts, trained_groups
from adora_mm.plan.dry_run import Activations, activations
from adora_mm.plan.engines import RolloutEngine, engine_of
from adora_mm.plan.gpus import GIB
from adora_mm.plan.states import States, states_of
from adora_mm.plan.workload import Rows, batching_of, longest, microbatch

ROOM = 0.9
"""Share of a GPU that may be planned: the rest is for the CUDA context, NCCL and fragments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Bytes on one GPU (or in one process), at the recipe's longest prompts and responses."""

    parts: tuple[Part, ...]
    states: States
    activations: Activations
    engine: RolloutEngine
    reference: int
    rows: Rows
    """The micro-batch that the activations are of."""
    phases: Mapping[str, int] = field(default_factory=dict)
    """Name of a phase -> bytes at its peak."""

    @property
    def peak(self) -> str:
        return max(self.phases, key=lambda name: self.phases[name])

    @property
    def peak_bytes(self) -> int:
        return self.phases[self.peak]

    @property
    def parameters(self) -> int:
        return sum(part.total for part in self.parts)

    @property
    def trained(self) -> int:
        return sum(part.trained for part in self.parts)

    def fits(self, gpu_gib: float) -> bool:
        """Whether the peak leaves a tenth of the GPU free, and the servers' GPUs as well."""
        engine = self.engine
        elsewhere = engine.weights + engine.cache if engine.where == "servers" else 0
        return max(self.peak_bytes, elsewhere) <= ROOM * gpu_gib * GIB


def plan_memory(
    config: RunConfig,
    model_config: Any,
    *,
    ranks: int,
    gpu_gib: float | None,
    like: Memory | None = None,
) -> Memory:
    """Work out the memory of a recipe on `ranks` GPUs; `gpu_gib` None: on a CPU.

    Activations are those of `like`, a plan for the same policy, where its micro-batch is the same.
    """
    gpu = gpu_gib is not None
    model = blueprint(model_config, config.policy)
    parts = count_parts(model)
    groups = list(trained_groups(build_optimizer(model, config.train)))
    total = sum(part.total for part in parts)
    plain = total - sum(part.total for part in parts if part.name == "adapters")
    frozen = [p.numel() for p in model.parameters() if not p.requires_grad]
    states = states_of(
        groups, frozen, policy=config.policy, engine=config.engine, ranks=ranks, gpu=gpu
    )
    batching = batching_of(config, model_config)
    lengths = longest(config, model_config)
    rows = microbatch(config, lengths, batching)
    engine = engine_of(config, model_config, plain, lengths, ranks=ranks, gpu_gib=gpu_gib)
    width = 2 if config.policy.dtype == "bfloat16" else 4
    reference = 0
    if config.loss.kl_coef > 0 and config.policy.lora is None:
        reference = -(-width * plain // (ranks if config.engine.zero_stage == 3 else 1))
    found = Memory(
        parts=parts,
        states=states,
        activations=(
            like.activations
            if like is not None and like.rows == rows
            else activations(config, model_config, rows, gpu=gpu)
        ),
        engine=engine,
        reference=reference,
        rows=rows,
    )
    largest = width * max(parameter.numel() for parameter in model.parameters())
    return _with_phases(found, gather=_gather(config, largest))


def _with_phases(found: Memory, *, gather: int) -> Memory:
    states, engine = found.states, found.engine
    here = engine.where == "trainer"
    kept = states.kept + found.reference
    working = states.weights + states.optimizer + found.reference + engine.asleep
    passes = states.gradients + states.bucket + states.gathered + found.activations.total
    phases = {
        "rollout": kept + (engine.weights + engine.cache if here else 0),
        "update": working + max(passes, states.step),
        "weight sync": kept + gather + (engine.weights if here else 0),
    }
    return Memory(
        parts=found.parts, states=states, activations=found.activations, engine=engine,
        reference=found.reference, rows=found.rows, phases=phases,
    )  # fmt: skip


def _gather(config: RunConfig, largest: int) -> int:
    """Whole weights on their way to the rollout engine: a bucket, or the largest of them."""
    if config.engine.zero_stage == 3 or config.policy.lora is not None:
        return max(GATHER_BYTES, largest)
    return 0


def remedies(
    config: RunConfig, model_config: Any, memory: Memory, *, ranks: int, gpu_gib: float
) -> list[tuple[str, int]]:
    """Changes of one key after another until it fits or nothing helps, with the peak after each.

    Each time the change that lowers the peak most, or else the other phases.
    """
    found: list[tuple[str, int]] = []
    while not memory.fits(gpu_gib):
        options = []
        for words, changed in _changes(config, memory.rows):
            like = memory if changed.policy == config.policy else None
            other = plan_memory(changed, model_config, ranks=ranks, gpu_gib=gpu_gib, like=like)
            options.append((_size(other), words, changed, other))
        best = min(options, key=lambda option: option[0], default=None)
        if best is None or best[0] >= _size(memory):
            break
        _, words, config, memory = best
        found.append((words, memory.peak_bytes))
    return found


def _size(memory: Memory) -> tuple[int, int]:
    return memory.peak_bytes, sum(memory.phases.values())


def _changes(config: RunConfig, rows: Rows) -> Iterator[tuple[str, RunConfig]]:
    engine, rollout = config.engine, config.rollout
    half = max(rows.lengths.prompt + rows.lengths.response, rows.tokens // 2)
    wanted: list[tuple[bool, str, dict[str, Any]]] = [
        (engine.zero_stage != 3, "engine.zero_stage=3", {"engine": {"zero_stage": 3}}),
        (
            not engine.offload_optimizer and engine.zero_stage > 0,
            "engine.offload_optimizer=true",
            {"engine": {"offload_optimizer": True}},
        ),
        (
            engine.zero_stage == 3 and not engine.offload_params,
            "engine.offload_params=true",
            {"engine": {"offload_params": True}},
        ),
        (
            not config.policy.gradient_checkpointing,
            "policy.gradient_checkpointing=true",
            {"policy": {"gradient_checkpointing": True}},
        ),
        (
            half < rows.tokens,
            f"train.max_tokens_per_microbatch={half}",
            {"train": {"max_tokens_per_microbatch": half}},
        ),
        (
            rollout.backend == "vllm" and rollout.vllm.kv_cache_gb is not None,
            f"rollout.vllm.kv_cache_gb={(rollout.vllm.kv_cache_gb or 0) / 2:g}",
            {"rollout": {"vllm": {"kv_cache_gb": (rollout.vllm.kv_cache_gb or 0) / 2}}},
        ),
        (
            not rollout.backend.startswith("vllm"),
            "rollout.backend=vllm rollout.vllm.kv_cache_gb=16",
            {"rollout": {"backend": "vllm", "vllm": {"kv_cache_gb": 16}}},
        ),
    ]
    for possible, words, change in wanted:
        if possible:
            try:
                yield words, RunConfig.model_validate(merge(config.model_dump(), change))
            except ValidationError:
                continue  # two keys would have to change together
