"""What both vLLM backends send and check: sampling fields, pictures, prompts, answers.

vLLM gets the prompt with one placeholder per image and expands it by itself; the expansion must be
the trainer's own, token by token. It also processes pictures by itself, with another library than
the trainer does, which resizes differently (`processor.py`). So it gets the pictures as the trainer
has already resized them, taken back from the pixel patches: resizing leaves them as they are, and
both engines see the same pixels (within 1e-6 after normalisation).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import GenerationConfig

from adora_mm.config import VllmConfig
from adora_mm.faults import RunFault
from adora_mm.processor import Processor, Prompt
from adora_mm.rollout.sampling import Sampling
from adora_mm.rollout.transformers import stop_tokens
from adora_mm.types import Completion, FinishReason

BAN = -100.0
"""Added to the logits of banned tokens; the largest that vLLM takes."""

FINISHED: Mapping[str, FinishReason] = {"stop": "stop", "length": "length", "abort": "abort"}

WORKER_EXTENSION = "adora_mm.rollout.vllm_worker.WeightReceiver"


class StaleAnswer(RunFault):
    """A completion of other weights than those that the trainer sent last."""


def sampling_fields(
    prompt: Prompt, sampling: Sampling, *, banned: Sequence[int], stop: Sequence[int]
) -> dict[str, Any]:
    """Fields of vLLM's SamplingParams for one prompt and all its completions.

    Responses end at `stop` alone, the trainer's own rule. Completion i of a request draws from seed
    + i, so a completion depends on (seed, problem, i) and on rounding, not on its batch. Raises
    ValueError for top_p < 1: vLLM's log-probs are those after the cut, the trainer's before it.
    """
    if sampling.top_p < 1:
        raise ValueError(
            f"rollout.top_p={sampling.top_p:g} does not work with vLLM: its log-probs would be of "
            "another distribution than the trainer's; use 1, or rollout.backend=transformers"
        )
    greedy = sampling.temperature == 0
    return {
        "n": 1 if greedy else sampling.num_completions,
        "temperature": sampling.temperature,
        "seed": request_seed(sampling.seed, prompt.problem_id),
        "max_tokens": sampling.max_new_tokens,
        "logprobs": 0,
        "ignore_eos": True,
        "stop_token_ids": list(stop),
        "logit_bias": dict.fromkeys(banned, BAN),
        "detokenize": False,
    }


def engine_arguments(
    processor: Processor, config: VllmConfig, *, dtype: torch.dtype, max_model_len: int
) -> dict[str, Any]:
    """Arguments that engines in this process and servers have in common."""
    arguments: dict[str, Any] = {
        "dtype": str(dtype).removeprefix("torch."),
        "max_model_len": max_model_len,
        "max_num_seqs": config.max_sequences,
        "gpu_memory_utilization": config.gpu_memory_utilization,
        "enforce_eager": config.enforce_eager,
        "enable_prefix_caching": config.prefix_caching,
        "logprobs_mode": "processed_logprobs",
        # Not the model's own top_k or penalties: the trainer scores the plain distribution.
        "generation_config": "vllm",
        "seed": 0,
    }
    if not torch.cuda.is_available():
        # vLLM 0.32 on CPUs ends itself when a seeded prompt is computed in two parts ("CPU
        # Generator does not use offset"): every prompt goes in whole, with room for many at once.
        arguments |= {
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(8192, 4 * max_model_len),
        }
    if config.kv_cache_gb is not None:
        arguments["kv_cache_memory_bytes"] = int(config.kv_cache_gb * 2**30)
    if processor.image_processor is not None:
        settings = processor.image_processor
        arguments["limit_mm_per_prompt"] = {"image": config.max_images, "video": 0}
        # Pictures come resized: the model's own limits, which the run may have replaced, must not
        # resize them again.
        arguments["mm_processor_kwargs"] = {
            "min_pixels": (settings.patch_size * settings.merge_size) ** 2,
            "max_pixels": settings.size["longest_edge"],
        }
    return arguments


def stop_token_ids(model_path: str | Path) -> tuple[int, ...]:
    """What ends a response, the same as for the other backends."""
    config = GenerationConfig.from_pretrained(str(model_path), trust_remote_code=False)
    return tuple(sorted(stop_tokens(config)))


def request_seed(seed: int | str, problem_id: str) -> int:
    """A number below 2**62 that depends on both alone."""
    digest = hashlib.blake2b(f"{seed}/{problem_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 2


def pictures(prompt: Prompt, processor: Processor) -> list[Image.Image]:
    """The prompt's pictures as the trainer sees them, resized and 8 bits per channel."""
    if prompt.pixel_values is None or prompt.image_grid_thw is None:
        return []
    counts = prompt.image_grid_thw.prod(dim=-1).tolist()
    parts = prompt.pixel_values.split(counts)
    return [
        _picture(part, grid.tolist(), processor.image_processor)
        for part, grid in zip(parts, prompt.image_grid_thw, strict=True)
    ]


def _picture(patches: torch.Tensor, grid: Sequence[int], settings: Any) -> Image.Image:
    """Undo the image processor: patches in windows of merge x merge back to rows and columns."""
    _, rows, columns = grid
    merge, size, time = settings.merge_size, settings.patch_size, settings.temporal_patch_size
    windows = patches.reshape(rows // merge, columns // merge, merge, merge, -1, time, size, size)
    still = windows.select(5, 0)  # a picture stands still: all its times are the same
    image_HWC = still.permute(0, 2, 5, 1, 3, 6, 4).reshape(rows * size, columns * size, -1)
    mean, std = torch.tensor(settings.image_mean), torch.tensor(settings.image_std)
    levels = ((image_HWC * std + mean) / settings.rescale_factor).round().clamp(0, 255)
    return Image.fromarray(np.ascontiguousarray(levels.to(torch.uint8).numpy()))


def check_prompt(prompt: Prompt, token_ids: Sequence[int]) -> None:
    """Raises ValueError when vLLM expanded the prompt otherwise than the trainer."""
    if tuple(token_ids) != prompt.token_ids:
        raise ValueError(
            f"problem {prompt.problem_id}: vLLM made {len(token_ids)} prompt tokens where the "
            f"trainer makes {len(prompt.token_ids)}, or other ones; both must load the same model "
            "folder (policy.path)"
        )


def check_version(found: Sequence[str], expected: str, *, where: str) -> None:
    """Raises StaleAnswer unless all tokens of an answer come from the expected weights."""
    if set(found) != {expected}:
        raise StaleAnswer(
            f"{where} answered with weights {', '.join(sorted(set(found))) or 'of no version'}, "
            f"not {expected}; go on from the last checkpoint with --resume"
        )


def completion_of(
    processor: Processor, token_ids: Sequence[int], logprobs: Sequence[float], finish_reason: str
) -> Completion:
    """Raises RuntimeError for an answer that vLLM itself calls failed."""
    if finish_reason not in FINISHED:
        raise RuntimeError(f"vLLM ended a completion with {finish_reason}")
    return Completion(
        token_ids=tuple(token_ids),
        text=processor.decode(token_ids),
        finish_reason=FINISHED[finish_reason],
        logprobs=tuple(logprobs),
    )


def group_of(completions: Sequence[Completion], sampling: Sampling) -> list[Completion]:
    """All completions of a prompt; a greedy one was asked for once and stands for all."""
    copies = sampling.num_completions // len(completions)
    return list(completions) * copies
