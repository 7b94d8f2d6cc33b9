"""Warm start of the tiny policy: supervised learning on generated problems and their solutions.

Each example is one picture with one of three answers, all ending in `\\boxed{}`:

    full     47 68. 47+68=115. 180-115=65. \\boxed{65}    reads the picture, then computes
    brief    180-115=65. \\boxed{65}                      writes the last step only
    direct   \\boxed{65}                                  answers at once

Training starts on full solutions and ends on a mixture in which direct answers are common. So the
policy knows a reliable long way and a quick unreliable one and mostly takes the quick one: what
reinforcement learning has to find out is which one pays.

The eyes have had lessons of their own (`perception.py`) and stay frozen for most of the run: the
features of all pictures are computed once, which leaves two thirds of a step's work undone. The
last steps train everything.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutputWithPooling

from adora_mm.models import PromptBatch, ResponseScorer, collate_prompts
from adora_mm.processor import Processor, Prompt
from adora_mm.types import Problem
from data_prep.perception import shifted
from data_prep.tiny_model import PATCH

FORMS = ("full", "brief", "direct")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A picture and its three answers, encoded once and drawn from many times."""

    prompt: Prompt
    """Without its pixels, which `pixels` holds in a quarter of the memory."""
    pixels: np.ndarray
    """[height, width, 3] uint8."""
    responses: dict[str, tuple[int, ...]]
    """Form -> tokens, with the end of turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmStart:
    """Settings of the supervised run."""

    steps: int = 2500
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    full_only_until: float = 0.7
    """Share of the steps that trains on full solutions alone."""
    mixture: tuple[float, float, float] = (0.3, 0.1, 0.6)
    """Shares of full, brief and direct answers after that."""
    eyes_open_from: float = 0.9
    """Share of the steps after which the vision tower trains too."""
    views: int = 3
    """Views of each picture, moved by `shift_px` or not at all, whose features are kept."""
    shift_px: int = PATCH
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


def encode_example(processor: Processor, problem: Problem, pixels: np.ndarray) -> Example:
    """Encode one drawn problem; the picture must already have the size that the model sees."""
    prompt = processor.encode_images(problem, [Image.fromarray(pixels)])
    end = processor.tokenizer.eos_token_id
    responses = {
        form: (*processor.tokenizer(solution_text(problem, form))["input_ids"], end)
        for form in FORMS
    }
    bare = replace(prompt, pixel_values=None, image_grid_thw=None)
    return Example(prompt=bare, pixels=pixels, responses=responses)


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
    scorer = KnownFeatures(model, temperature=1.0, banned_token_ids=())
    features = precompute_features(model, processor, examples, settings, rng)
    optimizer = _optimizer(model, settings)
    model.train()
    started, total = time.monotonic(), 0.0
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _schedule(step, settings)
        picked = rng.choices(range(len(examples)), k=settings.batch_size)
        batch = [examples[index] for index in picked]
        if step < settings.eyes_open_from * settings.steps:
            views = [rng.randrange(settings.views) for _ in picked]
            scorer.features_BTH = features[views, picked]
        else:
            scorer.features_BTH = see(model, processor, batch, settings.shift_px, rng)
        loss = _loss(scorer, batch, _forms(step, len(batch), settings, rng), processor.pad_token_id)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        total += loss.item()
        if (step + 1) % 50 == 0:
            report(step + 1, total / 50, (time.monotonic() - started) / 50)
            started, total = time.monotonic(), 0.0
    model.eval()


class KnownFeatures(ResponseScorer):
    """A scorer that is given the image features instead of computing them."""

    features_BTH: Tensor

    def _features(self, prompts: PromptBatch) -> tuple[Any, Tensor]:
        output = BaseModelOutputWithPooling(pooler_output=list(self.features_BTH))
        return output, torch.zeros(())


def see(
    model: Any,
    processor: Processor,
    batch: Sequence[Example],
    shift_px: int,
    rng: random.Random,
) -> Tensor:
    """Image features of a batch, [B, tokens, hidden], each picture moved a little."""
    moves = [tuple(rng.choice((-shift_px, 0, shift_px)) for _ in range(2)) for _ in batch]
    images = np.stack(
        [
            shifted(example.pixels, down, right, shift_px)
            for example, (down, right) in zip(batch, moves, strict=True)
        ]
    )
    patches, grid = patchify(images, processor.image_processor)
    return torch.stack(list(model.model.get_image_features(patches, grid).pooler_output))


@torch.no_grad()
def precompute_features(
    model: Any,
    processor: Processor,
    examples: Sequence[Example],
    settings: WarmStart,
    rng: random.Random,
) -> Tensor:
    """Features of some views of every picture, [views, examples, tokens, hidden]."""
    views = []
    for _ in range(settings.views):
        parts = [
            see(model, processor, examples[start : start + 128], settings.shift_px, rng)
            for start in range(0, len(examples), 128)
        ]
        views.append(torch.cat(parts))
    return torch.stack(views)


def _optimizer(model: Any, settings: WarmStart) -> torch.optim.Optimizer:
    groups = [
        {
            "params": [p for p in model.parameters() if p.dim() > 1],
            "weight_decay": settings.weight_decay,
        },
        {"params": [p for p in model.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.98))


def _forms(step: int, count: int, settings: WarmStart, rng: random.Random) -> list[str]:
    full_only = step < settings.full_only_until * settings.steps
    return rng.choices(FORMS, weights=(1, 0, 0) if full_only else settings.mixture, k=count)


def _schedule(step: int, settings: WarmStart) -> float:
    """Linear warm-up, then a cosine to 2 %."""
    if step < settings.warmup_steps:
        return (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress))


def _loss(
    scorer: KnownFeatures, batch: Sequence[Example], forms: Sequence[str], pad: int
) -> Tensor:
    """Mean over examples of the mean negative log-prob of their tokens.

    The mean is per example first, so that long solutions do not drown the direct answers.
    """
    responses = [example.responses[form] for example, form in zip(batch, forms, strict=True)]
    longest = max(len(response) for response in responses)
    response_BT = torch.full((len(batch), longest), pad)
    mask_BT = torch.zeros(len(batch), longest)
    for row, response in enumerate(responses):
        response_BT[row, : len(response)] = torch.tensor(response)
        mask_BT[row, : len(response)] = 1
    side = batch[0].pixels.shape[0] // PATCH
    prompts = replace(
        collate_prompts([example.prompt for example in batch], pad),
        image_grid_thw=torch.tensor([[1, side, side]] * len(batch)),
        images_per_prompt=(1,) * len(batch),
    )
    logprobs_BT, _ = scorer(prompts, response_BT, mask_BT, range(len(batch)), response_BT.numel())
    return -(logprobs_BT.sum(-1) / mask_BT.sum(-1)).mean()
