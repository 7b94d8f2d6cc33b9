"""First lessons for the eyes: which label stands in which cell of the picture.

A vision tower that starts from nothing learns to read digits very slowly when its only signal is
the loss of a text many layers away: after 600 steps of that alone nothing had been read. So it is
first trained by itself. Every merged patch (a cell of 28 x 28 pixels, one image token) has to say,
through a linear head that is thrown away afterwards, the characters of the label whose centre lies
in it, or that there is none.
"""

from __future__ import annotations

import random
import string
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from data_prep.tiny_model import MERGED_PATCH, PATCH

CHARACTERS = "\0" + string.digits + string.ascii_letters + "?"
MAX_CHARACTERS = 3
EMPTY_WEIGHT = 0.1
"""Most cells are empty; they count for a tenth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """A text in the picture and its centre, in pixels from the upper left corner."""

    text: str
    x: float
    y: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Perception:
    """Settings of the lessons."""

    steps: int = 400
    batch_size: int = 96
    learning_rate: float = 2e-3
    shift_px: int = PATCH
    """Pictures are moved by this much or not at all, up and down, left and right: cheap new views
    of the same drawing, in which labels keep their place on the grid of patches."""
    seed: int = 0


def cell_targets(labels: Sequence[Label], cells: int) -> np.ndarray:
    """Character numbers per cell, [cells * cells, MAX_CHARACTERS] in raster order; 0 is nothing.

    The degree sign is left out. Where two labels share a cell the number wins over the letter.
    """
    targets = np.zeros((cells * cells, MAX_CHARACTERS), dtype=np.int64)
    ordered = sorted(labels, key=lambda label: label.text[:1].isdigit())
    for label in ordered:
        column, row = int(label.x // MERGED_PATCH), int(label.y // MERGED_PATCH)
        if 0 <= column < cells and 0 <= row < cells:
            numbers = [CHARACTERS.index(c) for c in label.text if c in CHARACTERS]
            padded = (numbers + [0] * MAX_CHARACTERS)[:MAX_CHARACTERS]
            targets[row * cells + column] = padded
    return targets


def train_eyes(
    model: Any,
    patchify: Callable[[np.ndarray], tuple[Tensor, Tensor]],
    pictures: Sequence[np.ndarray],
    labels: Sequence[Sequence[Label]],
    settings: Perception,
    *,
    report: Callable[[int, float, float, float], None],
) -> None:
    """Train the vision tower in place.

    `report(step, loss, share of numbers read right, seconds per step)` every 50 steps.
    """
    rng = random.Random(settings.seed)
    torch.manual_seed(settings.seed)
    tower = model.model.visual
    head = nn.Linear(model.config.text_config.hidden_size, MAX_CHARACTERS * len(CHARACTERS))
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, betas=(0.9, 0.98))
    # OneCycleLR divides by `pct_start * total_steps - 1`, which is zero for ten steps.
    planned = max(settings.steps, 20)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=planned, pct_start=0.1
    )
    model.train()
    started, losses, right = time.monotonic(), 0.0, 0.0
    for step in range(1, settings.steps + 1):
        picked = rng.choices(range(len(pictures)), k=settings.batch_size)
        images, targets = _lesson(pictures, labels, picked, settings.shift_px, rng)
        patches, grid = patchify(images)
        features = torch.cat(model.model.get_image_features(patches, grid).pooler_output)
        logits = head(features).view(-1, MAX_CHARACTERS, len(CHARACTERS))
        loss = _loss(logits, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses, right = losses + loss.item(), right + _numbers_read(logits, targets)
        if step % 50 == 0:
            report(step, losses / 50, right / 50, (time.monotonic() - started) / 50)
            started, losses, right = time.monotonic(), 0.0, 0.0
    model.eval()


def shifted(pixels: np.ndarray, down: int, right: int, limit: int) -> np.ndarray:
    """A picture moved by up to `limit` pixels; the border repeats its edge (plain paper)."""
    padded = np.pad(pixels, ((limit, limit), (limit, limit), (0, 0)), mode="edge")
    height, width = pixels.shape[:2]
    return padded[limit - down : limit - down + height, limit - right : limit - right + width]


def _lesson(
    pictures: Sequence[np.ndarray],
    labels: Sequence[Sequence[Label]],
    picked: Sequence[int],
    limit: int,
    rng: random.Random,
) -> tuple[np.ndarray, Tensor]:
    images, targets = [], []
    for index in picked:
        down, right = (rng.choice((-limit, 0, limit)) for _ in range(2))
        images.append(shifted(pictures[index], down, right, limit))
        moved = [
            Label(text=label.text, x=label.x + right, y=label.y + down) for label in labels[index]
        ]
        targets.append(cell_targets(moved, len(pictures[index]) // MERGED_PATCH))
    return np.stack(images), torch.from_numpy(np.concatenate(targets))


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    each = cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(-1)
    weights = torch.where(targets[:, 0] > 0, 1.0, EMPTY_WEIGHT)
    return (each * weights).sum() / weights.sum()


def _numbers_read(logits: Tensor, targets: Tensor) -> float:
    """Share of the numbers (two or more digits) of which every digit is right."""
    numbers = (targets[:, 0] >= 1) & (targets[:, 0] <= 10) & (targets[:, 1] > 0)
    right = (logits.argmax(-1) == targets).all(-1)
    return float(right[numbers].float().mean())
