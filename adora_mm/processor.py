"""From a problem to model inputs: tokens with image placeholders expanded, and pixel patches.

transformers' combined processors need torchvision for a video part that nobody here uses, so this
is a thin processor over the model's tokenizer and the PIL image processor. PIL and torchvision
resize differently (up to 0.015 in normalised pixels): every part of a run goes through this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoConfig, AutoTokenizer

from adora_mm.data import image_size, open_image
from adora_mm.pictures import count_tokens, load_image_processor, patches_of
from adora_mm.prompts import VISION_MARKERS, PromptError, build_messages, image_sizes
from adora_mm.types import Problem

TEMPLATE_DATE = "26 Jul 2024"
"""What templates that date their system header get: the default of Llama 3.1's own template. With
today's date a run resumed after midnight, or measured again, would be asked something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One encoded problem; the pixels are held once, however many rollouts it gets."""

    problem_id: str
    token_ids: tuple[int, ...]
    """Prompt tokens with one placeholder per image feature."""
    unexpanded_ids: tuple[int, ...]
    """The same with one placeholder per image: the form that vLLM takes."""
    pixel_values: torch.Tensor | None
    """[patches, channels * temporal * patch * patch], float32; None without images."""
    image_grid_thw: torch.Tensor | None
    """[images, 3]: patches in time, height and width."""


class Processor:
    """Tokenizer, chat template and image processor of one model folder or hub name.

    `min_pixels` and `max_pixels` bound the resized image; None keeps the model's own limits.
    """

    def __init__(
        self,
        model_path: str | Path,
        *,
        system_prompt: str = "",
        min_pixels: int | None = None,
        max_pixels: int | None = None,
        max_prompt_tokens: int | None = None,
        max_image_megapixels: float = 64.0,
    ) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(str(model_path), trust_remote_code=False)
        self.system_prompt = system_prompt
        self.max_prompt_tokens = max_prompt_tokens
        self.max_image_megapixels = max_image_megapixels
        self.pad_token_id = _pad_token_id(self.tokenizer, model_path)
        config = AutoConfig.from_pretrained(str(model_path), trust_remote_code=False)
        self.image_token_id: int | None = config.to_dict().get("image_token_id")
        self.image_processor: Any = None
        if self.image_token_id is not None:
            self.image_processor = load_image_processor(model_path, min_pixels, max_pixels)
        known = self.tokenizer.get_vocab()
        self.banned_token_ids = tuple(known[m] for m in VISION_MARKERS if m in known)
        """Tokens that a policy must never sample: they announce an image that is not there."""

    def encode(self, problem: Problem) -> Prompt:
        """Encode one problem, decoding its images now.

        Raises PromptError (over-long, or images for a text model) and ImageError (unreadable).
        """
        images = [
            open_image(path, max_megapixels=self.max_image_megapixels, problem_id=problem.id)
            for path in problem.images
        ]
        return self.encode_images(problem, images)

    def encode_images(self, problem: Problem, images: Sequence[Image.Image]) -> Prompt:
        """Encode with pictures that are already decoded, in order."""
        messages = build_messages(problem, num_images=len(images), system=self.system_prompt)
        unexpanded = self._tokenize(messages)
        pixels = grid = None
        token_ids = list(unexpanded)
        if images:
            if self.image_processor is None:
                raise PromptError(f"problem {problem.id} has an image; this is a text-only model")
            wanted = image_sizes(problem, len(images))
            features = patches_of(self.image_processor, images, wanted, problem.id)
            pixels, grid = features["pixel_values"], features["image_grid_thw"]
            token_ids = self._expand(unexpanded, grid, problem.id)
        self._check_limit(problem.id, len(token_ids))
        return Prompt(
            problem_id=problem.id,
            token_ids=tuple(token_ids),
            unexpanded_ids=tuple(unexpanded),
            pixel_values=pixels,
            image_grid_thw=grid,
        )

    def check_length(self, problem: Problem) -> int:
        """Tokens of the problem's prompt, from the images' headers alone.

        Raises PromptError like `encode`: over-long, images for a text model, stray markers.
        """
        sizes = [
            image_size(path, max_megapixels=self.max_image_megapixels) for path in problem.images
        ]
        messages = build_messages(problem, num_images=len(sizes), system=self.system_prompt)
        count = len(self._tokenize(messages))
        for size, wanted in zip(sizes, image_sizes(problem, len(sizes)), strict=True):
            if self.image_processor is None:
                raise PromptError(f"problem {problem.id} has an image; this is a text-only model")
            count += count_tokens(self.image_processor, size, wanted, problem.id) - 1
        self._check_limit(problem.id, count)
        return count

    def decode(self, token_ids: Sequence[int]) -> str:
        return self.tokenizer.decode(list(token_ids), skip_special_tokens=True)

    def save(self, folder: Path) -> None:
        """Write tokenizer and image processor beside a saved model, so that it loads as one."""
        self.tokenizer.save_pretrained(folder)
        if self.image_processor is not None:
            self.image_processor.save_pretrained(folder)

    def _tokenize(self, messages: Sequence[dict[str, Any]]) -> list[int]:
        """The chat template's tokens; the template alone says where a sequence begins."""
        text = self.tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, date_string=TEMPLATE_DATE
        )
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _check_limit(self, problem_id: str, count: int) -> None:
        limit = self.max_prompt_tokens
        if limit is not None and count > limit:
            raise PromptError(
                f"problem {problem_id}: prompt of {count} tokens is over "
                f"data.max_prompt_tokens={limit}; raise it or lower data.max_pixels"
            )

    def _expand(self, token_ids: Sequence[int], grid: torch.Tensor, problem_id: str) -> list[int]:
        merge = self.image_processor.merge_size**2
        counts = [int(row.prod()) // merge for row in grid]
        places = [i for i, token in enumerate(token_ids) if token == self.image_token_id]
        if len(places) != len(counts):
            raise PromptError(
                f"problem {problem_id}: the chat template gives {len(places)} image places "
                f"for {len(counts)} images"
            )
        expanded: list[int] = []
        start = 0
        for place, count in zip(places, counts, strict=True):
            expanded += token_ids[start:place]
            expanded += [token_ids[place]] * count
            start = place + 1
        return expanded + list(token_ids[start:])


def _pad_token_id(tokenizer: Any, model_path: str | Path) -> int:
    """The padding token; where a tokenizer names none (Llama 3), the end of a turn.

    Padding is masked wherever it stands, so any token would do. Raises ValueError for a tokenizer
    without a chat template or without either token: that of a base model.
    """
    pad: int | None = tokenizer.pad_token_id
    if pad is None:
        pad = tokenizer.eos_token_id
    if pad is None or not tokenizer.chat_template:
        lacks = "chat template" if not tokenizer.chat_template else "eos_token"
        raise ValueError(
            f"{model_path}: its tokenizer has no {lacks}; use an instruction-tuned model, or add "
            "it to tokenizer_config.json"
        )
    return pad
