"""Pictures: can they be opened, are they blank, how many tokens they cost, and which are alike.

The fingerprint is a difference hash (dHash, Krawetz 2013). The picture is first cut to its content,
so that margins do not count, then shrunk to 17 x 16 grey cells; two bits a cell say whether it gets
darker or lighter to the right. Most of a diagram is paper, where neither bit is set, so two prints
are compared by the Jaccard index of their set bits, not by the number of different bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageChops

from adora_mm.data import ImageError, open_image

HASH_CELLS = 16
ALIKE = 0.7
"""Likeness of copies: all but 1 of 300 copies of 60 real pictures reach it (half and 1.7 times the
size, JPEG at 60 and 30, other margins), and 4 of 41,000 pairs of different ones (grids)."""
SAME = 0.85
"""Likeness that no pair of different real pictures reached."""
LEAST_STEP = 6
"""Grey levels (of 255) from which two neighbouring cells count as different."""
BOX = Image.Resampling.BOX
BLANK_RANGE = 12
"""A picture whose darkest and lightest pixels are closer than this shows nothing."""
PAPER_TOLERANCE = 48
"""Grey levels by which content differs from the paper's corner pixel."""

COMPARED_AT_ONCE = 2_000_000
"""Pairs of fingerprints held in memory."""
QWEN_MIN_PIXELS, QWEN_MAX_PIXELS = 4 * 28 * 28, 16384 * 28 * 28
"""Limits of the published Qwen2.5-VL image processor."""
CELL_PX = 28
"""Side of the square that becomes one token: a patch of 14 px, merged 2 x 2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is known of one picture file."""

    path: Path
    width: int = 0
    height: int = 0
    fault: str = ""
    """Why it cannot be used; then nothing else is known."""
    blank: bool = False
    bits: bytes = b""
    """The fingerprint; empty for unusable and blank pictures."""


def look_at(path: Path) -> Picture:
    """Decode one file; never raises because of it."""
    try:
        image = open_image(path)
    except ImageError as error:
        return Picture(path=path, fault=str(error))
    grey = image.convert("L")
    low, high = grey.getextrema()
    blank = int(high) - int(low) < BLANK_RANGE  # type: ignore[arg-type]
    return Picture(
        path=path,
        width=image.width,
        height=image.height,
        blank=blank,
        bits=b"" if blank else fingerprint_of(grey),
    )


def fingerprint_of(grey: Image.Image) -> bytes:
    """The 512 bits of a grey picture: where it gets darker to the right, and where lighter."""
    cells = np.asarray(_content(grey).resize((HASH_CELLS + 1, HASH_CELLS), BOX), dtype=np.int16)
    steps = cells[:, 1:] - cells[:, :-1]
    signs = np.concatenate([(steps < -LEAST_STEP).ravel(), (steps > LEAST_STEP).ravel()])
    return np.packbits(signs).tobytes()


def _content(grey: Image.Image) -> Image.Image:
    """The part of a picture that is not paper (the grey of its first pixel)."""
    paper = Image.new("L", grey.size, int(grey.getpixel((0, 0))))  # type: ignore[arg-type]
    ink = ImageChops.difference(grey, paper).point(lambda v: 255 if v > PAPER_TOLERANCE else 0)
    return grey.crop(ink.getbbox() or (0, 0, *grey.size))


def alike(
    prints: Sequence[bytes], others: Sequence[bytes] | None = None, *, least: float = ALIKE
) -> Iterator[tuple[int, int, float]]:
    """(i, j, likeness) of fingerprints that are so much alike: pairs i < j, or across two lists.

    All pairs are compared, in blocks: 10,000 pictures take 50 million comparisons.
    """
    left = _as_words(prints)
    right = left if others is None else _as_words(others)
    rows = max(1, COMPARED_AT_ONCE // max(1, len(right)))
    right_sizes = np.bitwise_count(right).sum(axis=1, dtype=np.int32)
    for start in range(0, len(left), rows):
        block = left[start : start + rows]
        shared = np.zeros((len(block), len(right)), dtype=np.int32)
        for word in range(block.shape[1]):
            shared += np.bitwise_count(block[:, word, None] & right[None, :, word])
        sizes = np.bitwise_count(block).sum(axis=1, dtype=np.int32)
        either = sizes[:, None] + right_sizes[None, :] - shared
        likeness = shared / np.maximum(either, 1)
        for row, column in zip(*np.nonzero(likeness >= least), strict=True):
            i, j = start + int(row), int(column)
            if others is not None or i < j:
                yield i, j, float(likeness[row, column])


def _as_words(prints: Sequence[bytes]) -> np.ndarray:
    words = HASH_CELLS * HASH_CELLS * 2 // 64
    return np.frombuffer(b"".join(prints), dtype=np.uint64).reshape(len(prints), words)


def resized(width: int, height: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """The size that a Qwen-VL image processor gives a picture: multiples of 28 px within limits.

    The rule of the published processors (`smart_resize` in transformers), which keep the ratio of
    the sides as well as multiples of 28 allow.
    """
    w, h = (max(CELL_PX, round(side / CELL_PX) * CELL_PX) for side in (width, height))
    if w * h > max_pixels:
        scale = math.sqrt(width * height / max_pixels)
        w, h = (max(CELL_PX, int(s / scale / CELL_PX) * CELL_PX) for s in (width, height))
    elif w * h < min_pixels:
        scale = math.sqrt(min_pixels / (width * height))
        w, h = (math.ceil(side * scale / CELL_PX) * CELL_PX for side in (width, height))
    return w, h


def image_tokens(width: int, height: int, min_pixels: int, max_pixels: int) -> int:
    """Prompt tokens of one picture in a Qwen-VL model under a recipe's pixel limits."""
    w, h = resized(width, height, min_pixels, max_pixels)
    return (w // CELL_PX) * (h // CELL_PX)
