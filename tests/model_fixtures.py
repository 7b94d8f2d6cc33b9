"""Tiny models of every supported family, and the naive references that the model layer must match.

The models are random but not small in their weights: with the usual deviation of 0.02
attention is nearly uniform, and wrong positions or swapped pictures would hardly show. Tests get
them from the fixture `tiny_model`.

A reference takes one prompt at a time through transformers' own combined processor and lets the
model find its positions by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from PIL import Image, ImageDraw
from tiny_llama import STOPS as LLAMA_STOPS
from tiny_llama import build_llama, build_llama_tokenizer
from torch import Tensor
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLProcessor,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
)

from adora_mm.checkpoint import save_policy
from adora_mm.config import LoraConfig, PolicyConfig
from adora_mm.lora import add_adapters, plain_weights
from adora_mm.models import load_policy
from adora_mm.processor import TEMPLATE_DATE, Processor, Prompt
from adora_mm.prompts import build_messages
from adora_mm.types import Problem
from data_prep.tiny_model import build_image_processor, build_model, build_tokenizer

VISION_KINDS = ("qwen2_5_vl", "qwen3_vl")
TEXT_KINDS = ("qwen2", "qwen3", "llama")
KINDS = (*VISION_KINDS, *TEXT_KINDS)
STOPS = dict.fromkeys(KINDS, ("<|im_end|>", "<|endoftext|>")) | {"llama": LLAMA_STOPS}
"""Tokens that end a response, the end of a turn first."""
HIDDEN = 64
CORPUS = (
    "In triangle ABC the angle at A is 47 degrees and the angle at B is 68 degrees. Find angle C.",
    "What is the area of the shaded region? 180-115=65. The answer is \\boxed{65}",
    "user assistant system You are a helpful assistant. Choices: (A) 1 (B) 2 (C) 3 (D) 4",
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A problem with decoded pictures; the pictures never touch the disk."""

    problem: Problem
    images: tuple[Image.Image, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """One saved model folder and the ways into it."""

    kind: str
    folder: Path
    cases: tuple[Case, ...] = field(repr=False)
    """Prompts of different lengths with 0, 1 and 2 pictures (none for the text models)."""

    @property
    def has_vision(self) -> bool:
        return self.kind in VISION_KINDS

    @property
    def stops(self) -> tuple[str, ...]:
        return STOPS[self.kind]

    @cached_property
    def processor(self) -> Processor:
        return Processor(self.folder)

    @cached_property
    def prompts(self) -> list[Prompt]:
        return [self.processor.encode_images(c.problem, c.images) for c in self.cases]

    def load(self, batching: str = "padded", *, adapters: bool = False) -> Any:
        """A fresh model that a test may change; its adapters are random, not zero."""
        model: Any = load_policy(self.folder, batching=batching).eval()
        if adapters:
            lora = LoraConfig(rank=4, vision=self.has_vision)
            add_adapters(model, PolicyConfig(lora=lora), seed=0)
            generator = torch.Generator().manual_seed(0)
            for name, weight in model.named_parameters():
                if ".lora_B." in name:
                    weight.data.normal_(0, 0.1, generator=generator)
        return model

    def reference_inputs(self, case: Case) -> dict[str, Tensor]:
        """What transformers' own processor makes of one prompt."""
        tokenizer = self.processor.tokenizer
        messages = build_messages(case.problem, num_images=len(case.images))
        if not self.has_vision:
            return dict(
                tokenizer.apply_chat_template(
                    messages,
                    add_generation_prompt=True,
                    return_tensors="pt",
                    return_dict=True,
                    date_string=TEMPLATE_DATE,
                )
            )
        text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        combined: Any = (PicturesOnly25 if self.kind == "qwen2_5_vl" else PicturesOnly3)(
            image_processor=self.processor.image_processor,
            tokenizer=tokenizer,
            video_processor=None,
            chat_template=tokenizer.chat_template,
        )
        images = list(case.images) or None
        return dict(
            combined(images=images, text=text, return_tensors="pt", return_mm_token_type_ids=True)
        )

    def reference_logits(
        self, model: Any, case: Case, response: Sequence[int], **overrides: Tensor
    ) -> Tensor:
        """Logits that predict each response token and the one after it: [len(response) + 1, V]."""
        inputs = self.reference_inputs(case)
        length = inputs["input_ids"].shape[1]
        for name, value in {"input_ids": response, "attention_mask": [1] * len(response)}.items():
            tail = torch.tensor([list(value)], dtype=torch.long)
            inputs[name] = torch.cat([inputs[name], tail], dim=1)
        if self.has_vision:
            types = inputs["mm_token_type_ids"]
            inputs["mm_token_type_ids"] = torch.cat(
                [types, types.new_zeros(1, len(response))], dim=1
            )
        return model(**inputs, **overrides).logits[0, length - 1 :]


class PicturesOnly25(Qwen2_5_VLProcessor):
    """transformers' processor without its video part, which needs torchvision."""

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> type:
        return type(argument)


class PicturesOnly3(Qwen3VLProcessor):
    """The same for Qwen3-VL."""

    def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> type:
        return type(argument)


def picture(width: int, height: int, seed: int) -> Image.Image:
    """White paper with a few lines and a filled polygon."""
    generator = torch.Generator().manual_seed(seed)

    def point() -> tuple[int, int]:
        x, y = torch.rand(2, generator=generator).tolist()
        return int(x * width), int(y * height)

    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    draw.polygon([point(), point(), point()], fill=(200, 40 * seed % 255, 90))
    for _ in range(3):
        draw.line([point(), point()], fill="black", width=2)
    return image


def case(name: str, question: str, *images: Image.Image) -> Case:
    return Case(problem=Problem(id=name, question=question, answer="1"), images=images)


def mixed_cases() -> tuple[Case, ...]:
    return (
        case("none", "Find angle C."),
        case("wide", "What is the area?", picture(170, 60, 1)),
        case("two", "Compare both triangles.", picture(60, 60, 2), picture(90, 150, 3)),
        case(
            "long", "In triangle ABC the angle at A is 47 degrees. Find x. " * 2, picture(84, 84, 4)
        ),
        case("words", "The answer is 65 or 68, which one is it, and why not 115? " * 3),
    )


def text_cases() -> tuple[Case, ...]:
    return tuple(Case(problem=case.problem) for case in mixed_cases())


def reference_scores(
    logits_TV: Tensor, response: Sequence[int], *, temperature: float, banned: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Log-prob and entropy of each response token, computed token by token over what is allowed."""
    allowed = [token for token in range(logits_TV.shape[1]) if token not in set(banned)]
    logprobs, entropies = [], []
    for logits, token in zip(logits_TV, response, strict=False):
        distribution = (logits[allowed] / temperature).log_softmax(-1)
        logprobs.append(distribution[allowed.index(token)])
        entropies.append(-(distribution.exp() * distribution).sum())
    return torch.stack(logprobs), torch.stack(entropies)


def random_response(tiny: Tiny, length: int, seed: int) -> list[int]:
    """Ordinary tokens, ending with the end of the turn."""
    generator = torch.Generator().manual_seed(seed)
    ordinary = min(tiny.processor.tokenizer.all_special_ids)  # special tokens have the last ids
    tokens = torch.randint(0, ordinary, (length - 1,), generator=generator).tolist()
    return [*tokens, tiny.processor.tokenizer.eos_token_id]


class TinyModels:
    """The tiny model of each kind, built at its first use and shared by all tests of a session."""

    def __init__(self, make_folder: Callable[[str], Path]) -> None:
        self._make_folder = make_folder
        self._built: dict[str, Tiny] = {}

    def __call__(self, kind: str) -> Tiny:
        if kind not in self._built:
            folder = self._make_folder(kind)
            save_tiny(kind, folder)
            cases = mixed_cases() if kind in VISION_KINDS else text_cases()
            self._built[kind] = Tiny(kind=kind, folder=folder, cases=cases)
        return self._built[kind]


def save_tiny(kind: str, folder: Path, *, seed: int = 0) -> None:
    """Write one tiny model as an ordinary HF folder."""
    build = build_llama_tokenizer if kind == "llama" else build_tokenizer
    tokenizer = build(CORPUS * 20, vocab_size=320)
    torch.manual_seed(seed)
    model = MODELS[kind](tokenizer)
    spread_weights(model, seed)
    model.generation_config.eos_token_id = tokenizer.convert_tokens_to_ids(list(STOPS[kind]))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if kind in VISION_KINDS:
        patch = model.config.vision_config.patch_size
        images = build_image_processor() if patch == 14 else _image_processor(patch)
        images.save_pretrained(folder)


def save_as_checkpoint(tiny: Tiny, model: Any, folder: Path) -> None:
    """Save a policy as a checkpoint does; the engine's part is to gather the weights."""
    engine: Any = SimpleNamespace(
        model=model, named_weights=partial(plain_weights, model, partitioned=False)
    )
    save_policy(folder, engine, tiny.processor)


def spread_weights(model: Any, seed: int) -> None:
    """Give every layer activations of order one and attention clear preferences."""
    generator = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        if "embed_tokens" in name:
            scale = 0.17
        elif weight.dim() > 1:
            scale = 1.2 / math.sqrt(weight[0].numel())
        elif "norm" in name:
            weight.data.mul_(1.1)
            continue
        else:
            scale = 0.1
        weight.data.normal_(0, scale, generator=generator)


def _qwen2_5_vl(tokenizer: Qwen2Tokenizer) -> Any:
    model = build_model(
        tokenizer, hidden_size=HIDDEN, num_layers=2, vision_hidden_size=64, vision_depth=2
    )
    vision = model.config.vision_config
    vision.window_size, vision.fullatt_block_indexes = 56, [1]  # windows, as the real models have
    return model


def _qwen3_vl(tokenizer: Qwen2Tokenizer) -> Any:
    token_id = tokenizer.convert_tokens_to_ids
    text = _text_sizes(tokenizer) | {"head_dim": 32}
    text["rope_parameters"] = {
        "rope_type": "default",
        "mrope_section": [6, 5, 5],
        "mrope_interleaved": True,
        "rope_theta": 10000.0,
    }
    vision = {
        "depth": 3,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "out_hidden_size": HIDDEN,
        "patch_size": 16,
        "num_position_embeddings": 64,
        "deepstack_visual_indexes": [0, 1],
    }
    return Qwen3VLForConditionalGeneration(
        Qwen3VLConfig(
            text_config=text,
            vision_config=vision,
            tie_word_embeddings=False,
            image_token_id=token_id("<|image_pad|>"),
            video_token_id=token_id("<|video_pad|>"),
            vision_start_token_id=token_id("<|vision_start|>"),
            vision_end_token_id=token_id("<|vision_end|>"),
        )
    )


def _qwen2(tokenizer: Qwen2Tokenizer) -> Any:
    return Qwen2ForCausalLM(Qwen2Config(**_text_sizes(tokenizer), tie_word_embeddings=True))


def _qwen3(tokenizer: Qwen2Tokenizer) -> Any:
    sizes = _text_sizes(tokenizer) | {"head_dim": 32}
    return Qwen3ForCausalLM(Qwen3Config(**sizes, tie_word_embeddings=False))


def _llama(tokenizer: PreTrainedTokenizerFast) -> Any:
    return build_llama(tokenizer, _text_sizes(tokenizer) | {"head_dim": 32})


MODELS: dict[str, Callable[[Any], Any]] = {
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "llama": _llama,
}


def _text_sizes(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    return {
        "vocab_size": -(-len(tokenizer) // 64) * 64,
        "hidden_size": HIDDEN,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "bos_token_id": None,
        "eos_token_id": tokenizer.convert_tokens_to_ids("<|im_end|>"),
        "pad_token_id": tokenizer.convert_tokens_to_ids("<|endoftext|>"),
    }


def _image_processor(patch: int) -> Qwen2VLImageProcessorPil:
    return Qwen2VLImageProcessorPil(
        min_pixels=4 * (2 * patch) ** 2,
        max_pixels=64 * (2 * patch) ** 2,
        patch_size=patch,
        merge_size=2,
        temporal_patch_size=2,
    )
