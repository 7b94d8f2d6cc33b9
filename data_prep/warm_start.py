"""Warm start of the tiny policy: supervised learning on generated problems and their solutions.

Each example is one picture with one of three answers, all ending in `\\boxed{}`:

    full     47 68. 47+68=115. 180-115=65. \\boxed{65}    reads the picture, then computes
    brief    180-115=65. \\boxed{65}                      writes the last step only
    direct   \\boxed{65}                                  answers at once

Training starts on full solutions, whose many digits teach the eyes, and ends on a mixture in which
direct answers are common. So the policy knows a reliable long way and a quick unreliable one and
mostly takes the quick one: what reinforcement learning has to find out is which one pays.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from adora_mm.models import PromptBatch, ResponseScorer
from adora_mm.processor import Processor
from adora_mm.types import Problem

FORMS = ("full", "brief", "direct")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A picture and its three answers, encoded once and drawn from many times."""

    prompt_ids: tuple[int, ...]
    pixels: np.ndarray
    """[height, width, 3] uint8."""
    responses: dict[str, tuple[int, ...]]
    """Form -> tokens, with the end of turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """Settings of the supervised run."""

    steps: int = 6000
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    full_only_until: float = 0.7
    """Share of the steps that trains on full solutions alone."""
    mixture: tuple[float, float, float] = (0.3, 0.1, 0.6)
    """Shares of full, brief and direct answers after that."""
    shift_px: int = 4
    """Pictures are moved by up to this many pixels: cheap new views of the same drawing."""
    seed: int = 0


def solution_text(problem: Problem, form: str) -> str:
    """The answer in one of FORMS, from the problem's own givens and steps."""
    box = f"\\boxed{{{problem.answer}}}"
    if form == "direct":
        return box
    steps = list(problem.metadata["steps"])
    if form == "brief":
        return f"{steps[-1]}. {box}"
    read = " ".join(value for _, value in problem.metadata["givens"])
    return " ".join(f"{line}." for line in (read, *steps)) + f" {box}"


def encode_example(processor: Processor, problem: Problem, image: Any) -> Example:
    """Encode one drawn problem; the picture must already have the size that the model sees."""
    prompt = processor.encode_images(problem, [image])
    end = processor.tokenizer.eos_token_id
    responses = {
        form: (*processor.tokenizer(solution_text(problem, form))["input_ids"], end)
        for form in FORMS
    }
    pixels = np.asarray(image.convert("RGB"), dtype=np.uint8)
    return Example(prompt_ids=prompt.token_ids, pixels=pixels, responses=responses)


def patchify(images_BHWC: np.ndarray, image_processor: Any) -> tuple[Tensor, Tensor]:
    """What the Qwen2-VL image processor makes of equal pictures that need no resizing, in one go.

    Returns patches [B * h * w, C * T * p * p] and the grid [B, 3] (a test compares the two).
    """
    patch, merge = image_processor.patch_size, image_processor.merge_size
    repeat = image_processor.temporal_patch_size
    mean = torch.tensor(image_processor.image_mean) * 255
    std = torch.tensor(image_processor.image_std) * 255
    pixels = (torch.from_numpy(images_BHWC).float() - mean) / std
    batch, height, width, channels = pixels.shape
    rows, columns = height // patch, width // patch
    pixels = pixels.permute(0, 3, 1, 2).reshape(
        batch, channels, rows // merge, merge, patch, columns // merge, merge, patch
    )
    patches = pixels.permute(0, 2, 5, 3, 6, 1, 4, 7)[..., None, :, :]
    patches = patches.expand(*patches.shape[:6], repeat, patch, patch)
    grid = torch.tensor([[1, rows, columns]] * batch)
    return patches.reshape(batch * rows * columns, -1), grid


def train(
    model: Any,
    processor: Processor,
    examples: Sequence[Example],
    settings: WarmStart,
    *,
    report: Callable[[int, float, float], None],
) -> None:
    """Run the supervised steps in place; `report(step, loss, seconds per step)` every 50."""
    rng = random.Random(settings.seed)
    scorer = ResponseScorer(model, temperature=1.0, banned_token_ids=())
    decay = [p for p in model.parameters() if p.dim() > 1]
    plain = [p for p in model.parameters() if p.dim() <= 1]
    groups = [
        {"params": decay, "weight_decay": settings.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))
    model.train()
    started, total = time.monotonic(), 0.0
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings)
        batch = rng.choices(examples, k=settings.batch_size)
        weights = (1.0, 0.0, 0.0)
        if step >= settings.full_only_until * settings.steps:
            weights = settings.mixture
        forms = rng.choices(FORMS, weights=weights, k=len(batch))
        loss = _loss(scorer, processor, batch, forms, settings.shift_px, rng)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        total += loss.item()
        if (step + 1) % 50 == 0:
            report(step + 1, total / 50, (time.monotonic() - started) / 50)
            started, total = time.monotonic(), 0.0
    model.eval()


def _schedule(step: int, settings: WarmStart) -> float:
    """Linear warm-up, then a cosine to 2 %."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def _loss(
    scorer: ResponseScorer,
    processor: Processor,
    batch: Sequence[Example],
    forms: Sequence[str],
    shift_px: int,
    rng: random.Random,
) -> Tensor:
    """Mean over examples of the mean negative log-prob of their tokens.

    The mean is per example first, so that long solutions do not drown the direct answers.
    """
    pad = processor.pad_token_id
    images = np.stack([_shift(example.pixels, shift_px, rng) for example in batch])
    patches, grid = patchify(images, processor.image_processor)
    ids_PT, mask_PT = _pad_left([example.prompt_ids for example in batch], pad)
    responses = [example.responses[form] for example, form in zip(batch, forms, strict=True)]
    longest = max(len(response) for response in responses)
    response_BT = torch.full((len(batch), longest), pad)
    mask_BT = torch.zeros(len(batch), longest)
    for row, response in enumerate(responses):
        response_BT[row, : len(response)] = torch.tensor(response)
        mask_BT[row, : len(response)] = 1
    prompts = PromptBatch(
        ids_PT=ids_PT,
        mask_PT=mask_PT,
        pixel_values=patches,
        image_grid_thw=grid,
        images_per_prompt=(1,) * len(batch),
    )
    logprobs_BT, _ = scorer(prompts, response_BT, mask_BT, range(len(batch)), longest)
    return -(logprobs_BT.sum(-1) / mask_BT.sum(-1)).mean()


def _pad_left(sequences: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    longest = max(len(sequence) for sequence in sequences)
    ids = torch.full((len(sequences), longest), pad)
    mask = torch.zeros(len(sequences), longest, dtype=torch.long)
    for row, sequence in enumerate(sequences):
        ids[row, longest - len(sequence) :] = torch.tensor(sequence)
        mask[row, longest - len(sequence) :] = 1
    return ids, mask


def _shift(pixels: np.ndarray, limit: int, rng: random.Random) -> np.ndarray:
    """Move a picture by up to `limit` pixels; the border repeats its edge (white paper)."""
    if limit == 0:
        return pixels
    down, right = rng.randint(-limit, limit), rng.randint(-limit, limit)
    padded = np.pad(pixels, ((limit, limit), (limit, limit), (0, 0)), mode="edge")
    height, width = pixels.shape[:2]
    return padded[limit + down : limit + down + height, limit + right : limit + right + width]
