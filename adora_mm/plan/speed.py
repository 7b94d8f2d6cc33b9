"""An estimate of a step's time: operations over the GPU's rate, decoding over its memory bandwidth.

    training   matrix products (2 per parameter and token, forward), attention, the vision tower;
               3 x forward for an update of all weights, 2 x where they are frozen, 1 more with
               gradient checkpointing; scoring of old and reference log-probs
    optimizer  with `engine.offload_optimizer`, AdamW's traffic in host memory
    rollout    prompts once; then each token of a batch reads weights and cached keys once, or takes
               the operations' time where that is more

Left out: waiting for the longest response, communication, loading, checking. Runs are slower
than this. How much is in the assumed shares (`Assumptions`), which are the user's to set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from adora_mm.config import RunConfig
from adora_mm.models import is_vision_config
from adora_mm.plan.engines import RolloutEngine, token_bytes
from adora_mm.plan.gpus import Gpu
from adora_mm.plan.memory import Memory
from adora_mm.plan.workload import Lengths

ADAM_BYTES = 44
"""Host memory traffic of torch's AdamW per parameter: master, gradient and moments read, three
written, and one temporary written and read twice (fp32)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumptions:
    """Shares of the peaks that are reached; not measured by us."""

    mfu: float = 0.35
    """Of the bf16 rate, in training and prefill."""
    bandwidth_share: float = 0.5
    """Of the memory bandwidth, in decoding."""
    host_gbs: float = 20.0
    """10^9 bytes per second of host memory for each GPU's optimizer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """Seconds of a training step on all GPUs together."""

    rollout_s: float
    scoring_s: float
    update_s: float
    optimizer_s: float
    overlapped: bool
    """Rollouts are made while the step before trains."""

    @property
    def total_s(self) -> float:
        training = self.scoring_s + self.update_s + self.optimizer_s
        if self.overlapped:
            return max(self.rollout_s, training)
        return self.rollout_s + training


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """Operations of one forward pass over a step's rollouts."""

    language: float
    head: float
    attention: float
    vision: float

    @property
    def total(self) -> float:
        return self.language + self.head + self.attention + self.vision


def forward_work(
    config: RunConfig, model_config: Any, memory: Memory, lengths: Lengths, *, prefill: bool = False
) -> Work:
    """Of all prompts and responses of a step; `prefill`: of the prompts alone, once each."""
    prompts, rollouts = config.rollout.prompts_per_step, config.rollout.group_size
    rollouts = 0 if prefill else rollouts
    copies = 1 if prefill or memory.rows.batching == "prefix" else rollouts
    text = model_config.get_text_config()
    heads = text.num_attention_heads
    width = heads * (getattr(text, "head_dim", None) or text.hidden_size // heads)
    sizes = {part.name: part.total for part in memory.parts}
    responses = prompts * rollouts * lengths.response
    tokens = prompts * copies * lengths.prompt + responses
    seen = prompts * copies * lengths.prompt**2 / 2
    seen += responses * (lengths.prompt + lengths.response / 2)
    vision = 0.0
    if is_vision_config(model_config):
        tower = model_config.vision_config
        patches = prompts * lengths.patches
        vision = 2.0 * patches * sizes["vision tower"]
        vision += 2.0 * patches / tower.spatial_merge_size**2 * sizes["projector"]
        vision += 4.0 * tower.hidden_size * patches * sum(_windows(tower, lengths.patches))
    return Work(
        language=2.0 * tokens * (sizes["language layers"] + sizes.get("adapters", 0)),
        head=2.0 * responses * text.vocab_size * text.hidden_size,
        attention=4.0 * seen * width * text.num_hidden_layers,
        vision=vision,
    )


def step_time(
    config: RunConfig,
    model_config: Any,
    memory: Memory,
    lengths: Lengths,
    *,
    gpu: Gpu,
    gpus: int,
    assumed: Assumptions,
) -> StepTime:
    """Seconds of one step. Raises ValueError when the GPU's rates are not known."""
    if gpu.tflops is None or gpu.bandwidth_tbs is None:
        raise ValueError("no time without the GPU's rates; give --tflops and --bandwidth")
    rate = gpus * gpu.tflops * 1e12 * assumed.mfu
    work = forward_work(config, model_config, memory, lengths)
    minibatches = config.rollout.prompts_per_step // config.train.prompts_per_minibatch
    scored = (minibatches - 1) / minibatches + (config.loss.kl_coef > 0)
    optimizer = 0.0
    if config.engine.offload_optimizer:
        each = ADAM_BYTES * memory.trained / gpus / (assumed.host_gbs * 1e9)
        optimizer = minibatches * each
    return StepTime(
        rollout_s=_rollout_s(config, model_config, memory, lengths, gpu, gpus, assumed),
        scoring_s=scored * work.total / rate,
        update_s=_passes(config, memory) * work.total / rate,
        optimizer_s=optimizer,
        overlapped=config.rollout.overlap == "one_step",
    )


def _passes(config: RunConfig, memory: Memory) -> float:
    """Forward passes that an update costs: forward, gradient of activations, and of weights."""
    share_trained = memory.trained / memory.parameters
    again = 1.0 if config.policy.gradient_checkpointing else 0.0
    return 2.0 + share_trained + again


def _windows(tower: Any, patches: int) -> Sequence[int]:
    """Patches that a patch attends to, in each layer of the vision tower."""
    everywhere = getattr(tower, "fullatt_block_indexes", None)
    if everywhere is None:
        return [patches] * tower.depth
    window = min(patches, (tower.window_size // tower.patch_size) ** 2)
    return [patches if layer in everywhere else window for layer in range(tower.depth)]


def _rollout_s(
    config: RunConfig,
    model_config: Any,
    memory: Memory,
    lengths: Lengths,
    gpu: Gpu,
    gpus: int,
    assumed: Assumptions,
) -> float:
    assert gpu.tflops is not None
    assert gpu.bandwidth_tbs is not None
    engine = memory.engine
    number = _engines(config, engine, gpus)
    rate = engine.gpus * gpu.tflops * 1e12 * assumed.mfu
    prefill = forward_work(config, model_config, memory, lengths, prefill=True).total
    sequences = -(-config.rollout.prompts_per_step * config.rollout.group_size // number)
    per_token = token_bytes(model_config, 2 if config.policy.dtype == "bfloat16" else 4)
    cached = lengths.prompt + lengths.response / 2
    fitting = int(engine.cache * engine.gpus / (cached * per_token)) or engine.most_sequences
    at_once = min(sequences, engine.most_sequences, fitting)
    read = engine.weights + at_once * cached * per_token / engine.gpus
    by_bandwidth = read / (gpu.bandwidth_tbs * 1e12 * assumed.bandwidth_share)
    by_rate = 2.0 * at_once * memory.parameters / rate
    tokens_in_turn = sequences / at_once * lengths.response
    return prefill / number / rate + tokens_in_turn * max(by_bandwidth, by_rate)


def _engines(config: RunConfig, engine: RolloutEngine, gpus: int) -> int:
    if engine.where == "trainer":
        return max(1, gpus // engine.gpus)
    return len(config.rollout.vllm.servers) or config.rollout.vllm.start_servers
