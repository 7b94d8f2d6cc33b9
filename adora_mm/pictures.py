"""The image processor of a model, and the size that each picture gets.

A run bounds the pixels of a resized picture; a problem's messages may say otherwise for one picture
(`data/messages.py`). Sizes are those of `qwen_vl_utils.fetch_image` and of transformers' Qwen2-VL
processor: whole merged patches, the ratio of the sides kept as far as they allow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from transformers import AutoImageProcessor
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from adora_mm.prompts import PromptError

RESIZED_TOKENS = (4, 16384)
"""Bounds of a picture whose size its messages fix, as `qwen_vl_utils` has them."""


def load_image_processor(
    model_path: str | Path, min_pixels: int | None, max_pixels: int | None
) -> Any:
    """The model's image processor (PIL) with its pixel limits replaced where they are given."""
    processor = AutoImageProcessor.from_pretrained(
        str(model_path), backend="pil", trust_remote_code=False
    )
    size = dict(processor.size)
    size["shortest_edge"] = min_pixels or size["shortest_edge"]
    size["longest_edge"] = max_pixels or size["longest_edge"]
    if size["shortest_edge"] > size["longest_edge"]:
        raise ValueError(
            f"data.min_pixels={size['shortest_edge']} is over data.max_pixels="
            f"{size['longest_edge']}; lower the first or raise the second"
        )
    processor.size = size
    return processor


def patches_of(
    settings: Any,
    images: Sequence[Image.Image],
    sizes: Sequence[Mapping[str, int]],
    problem_id: str,
) -> Any:
    """`pixel_values` and `image_grid_thw` of pictures.

    `settings` is the image processor, `sizes` what messages say of each picture. Raises PromptError
    for a size over the run's limit.
    """
    if not any(sizes):
        return settings(images=list(images), return_tensors="pt")
    resized = [
        image.resize(resized_to(settings, image.size, wanted, problem_id), settings.resample)
        for image, wanted in zip(images, sizes, strict=True)
    ]
    return settings(images=resized, do_resize=False, return_tensors="pt")


def count_tokens(
    settings: Any, size: tuple[int, int], wanted: Mapping[str, int], problem_id: str
) -> int:
    """Placeholders of a picture of `size` (width, height in px)."""
    width, height = resized_to(settings, size, wanted, problem_id)
    return width * height // _unit(settings) ** 2


def resized_to(
    settings: Any, size: tuple[int, int], wanted: Mapping[str, int], problem_id: str = ""
) -> tuple[int, int]:
    """Width and height in px after resizing; what a picture itself asks for goes before the run's.

    Raises PromptError when that is more pixels than the run allows: its memory was chosen for them.
    """
    unit, limit = _unit(settings), settings.size["longest_edge"]
    width, height = size
    most = wanted.get("max_pixels", limit)
    least = wanted.get("min_pixels", min(settings.size["shortest_edge"], most))
    if "resized_width" in wanted:
        width, height = wanted["resized_width"], wanted["resized_height"]
        least, most = (tokens * unit**2 for tokens in RESIZED_TOKENS)
    height, width = smart_resize(height, width, unit, min_pixels=least, max_pixels=max(least, most))
    if wanted and width * height > limit:
        raise PromptError(
            f"problem {problem_id}: an image is to be {width}x{height} px, over the "
            f"run's limit of {limit} px^2; raise data.max_pixels or ask for less in its messages"
        )
    return width, height


def _unit(settings: Any) -> int:
    """Side of a merged patch in px."""
    return int(settings.patch_size * settings.merge_size)
