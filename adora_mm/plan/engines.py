"""The rollout engine's memory on a GPU: its weights, keys and values of running sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adora_mm.config import RunConfig
from adora_mm.plan.gpus import GIB
from adora_mm.plan.workload import Lengths

DRAW_BYTES = 4 + 8 + 8
"""Of every logit when the transformers backend draws a token: fp32, and twice float64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutEngine:
    """Bytes on each GPU where an engine is, and how much it does at once."""

    where: str
    """trainer: on the trainer's GPUs. servers: on others."""
    weights: int
    cache: int
    """Keys, values, and what drawing tokens needs."""
    asleep: int
    """What stays on the trainer's GPU while it trains."""
    most_sequences: int
    """Completions that may be sampled at once; the cache may hold fewer."""
    gpus: int
    """GPUs of one engine."""


def token_bytes(model_config: Any, width: int) -> int:
    """Keys and values of one token in all layers."""
    text = model_config.get_text_config()
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    return int(2 * text.num_hidden_layers * text.num_key_value_heads * size * width)


def engine_of(
    config: RunConfig,
    model_config: Any,
    parameters: int,
    lengths: Lengths,
    *,
    ranks: int,
    gpu_gib: float | None,
) -> RolloutEngine:
    """The engine of a recipe; `parameters` without adapters, which come merged.

    Where vLLM's cache is a share of the GPU (`gpu_memory_utilization`) and none is given, it is
    taken to be empty.
    """
    rollout = config.rollout
    width = 2 if config.policy.dtype == "bfloat16" else 4
    if not rollout.backend.startswith("vllm"):
        share = -(-rollout.prompts_per_step // ranks) * rollout.group_size
        rows = min(share, max(rollout.max_rows, rollout.group_size))
        logits = rows * model_config.get_text_config().vocab_size * (width + DRAW_BYTES)
        per_sequence = token_bytes(model_config, width) * (lengths.prompt + lengths.response)
        return RolloutEngine(
            where="trainer", weights=width * parameters, cache=rows * per_sequence + logits,
            asleep=width * parameters, most_sequences=rows, gpus=1,
        )  # fmt: skip
    vllm = rollout.vllm
    servers = rollout.backend == "vllm_server"
    gpus = vllm.tensor_parallel_size
    weights = width * parameters // gpus
    cache = 0
    if vllm.kv_cache_gb is not None:
        cache = int(vllm.kv_cache_gb * GIB)
    elif gpu_gib is not None:
        cache = max(0, int(vllm.gpu_memory_utilization * gpu_gib * GIB) - weights)
    asleep = 0 if servers or vllm.sleep else weights + cache
    return RolloutEngine(
        where="servers" if servers else "trainer", weights=weights, cache=cache, asleep=asleep,
        most_sequences=vllm.max_sequences, gpus=gpus,
    )  # fmt: skip
