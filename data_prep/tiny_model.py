"""A Qwen2.5-VL small enough for two CPU cores: transformers' own class, only the sizes differ.

The tokenizer is a byte-level BPE trained on the generator's own text, with Qwen's special tokens,
digit-by-digit numbers and Qwen's chat layout (without the default system message, which would cost
a tiny model a third of its prompt). Images pass through the Qwen2-VL image processor (PIL).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import torch
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessorPil,
)

END_OF_TEXT, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_TOKENS = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
PATCH = 14
MERGED_PATCH = 2 * PATCH
# The splitting rule of Qwen's tokenizers: contractions, words, single digits, punctuation, spaces.
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_tokenizer(corpus: Iterable[str], *, vocab_size: int = 512) -> Qwen2Tokenizer:
    """Train the byte-level BPE and add Qwen's special tokens and chat template."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    raw.train_from_iterator(corpus, trainer)
    vocab = raw.get_vocab()
    merges = _merges(raw)
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        unk_token=END_OF_TEXT,
        eos_token=TURN_END,
        pad_token=END_OF_TEXT,
        extra_special_tokens=[TURN_START, *VISION_TOKENS],
        model_max_length=4096,
        padding_side="left",
    )
    tokenizer.add_tokens([AddedToken(t, normalized=False) for t in ("<think>", "</think>")])
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def _merges(raw: Tokenizer) -> list[tuple[str, str]]:
    merges = json.loads(raw.to_str())["model"]["merges"]
    return [(left, right) for left, right in merges]


def build_model(
    tokenizer: Qwen2Tokenizer,
    *,
    hidden_size: int = 128,
    num_layers: int = 4,
    vision_hidden_size: int = 128,
    vision_depth: int = 3,
    seed: int = 0,
) -> Qwen2_5_VLForConditionalGeneration:
    """Randomly initialised Qwen2.5-VL; about 1.9 million parameters at the defaults."""
    token_id = tokenizer.convert_tokens_to_ids
    vocab_size = -(-len(tokenizer) // 64) * 64
    heads = hidden_size // 32
    half = hidden_size // heads // 2
    height = half * 3 // 8  # Qwen2.5-VL splits its 64 rotary pairs 16 : 24 : 24
    text_config = {
        "vocab_size": vocab_size,
        "hidden_size": hidden_size,
        "intermediate_size": 3 * hidden_size,
        "num_hidden_layers": num_layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads // 2,
        "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default",
            "mrope_section": [half - 2 * height, height, height],
            "rope_theta": 10000.0,
        },
        "bos_token_id": None,
        "eos_token_id": token_id(TURN_END),
        "pad_token_id": token_id(END_OF_TEXT),
    }
    vision_config = {
        "depth": vision_depth,
        "hidden_size": vision_hidden_size,
        "intermediate_size": 2 * vision_hidden_size,
        "num_heads": vision_hidden_size // 32,
        "out_hidden_size": hidden_size,
        "patch_size": PATCH,
        # Tiny pictures need no windows; one window per picture also keeps attention in few calls.
        "window_size": 8 * MERGED_PATCH,
        "fullatt_block_indexes": list(range(vision_depth)),
    }
    config = Qwen2_5_VLConfig(
        text_config=text_config,
        vision_config=vision_config,
        tie_word_embeddings=True,
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
    )
    torch.manual_seed(seed)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = [token_id(TURN_END), token_id(END_OF_TEXT)]
    model.generation_config.pad_token_id = token_id(END_OF_TEXT)
    return model


def build_image_processor(*, max_pixels: int = 64 * MERGED_PATCH**2) -> Qwen2VLImageProcessorPil:
    """The Qwen2-VL image processor with limits that suit tiny pictures (4 to 64 image tokens)."""
    return Qwen2VLImageProcessorPil(
        min_pixels=4 * MERGED_PATCH**2,
        max_pixels=max_pixels,
        patch_size=PATCH,
        merge_size=2,
        temporal_patch_size=2,
    )


def save_folder(
    folder: Path, model: Qwen2_5_VLForConditionalGeneration, tokenizer: Qwen2Tokenizer
) -> None:
    """Write an ordinary HF folder: weights, config, tokenizer, chat template, image processor."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    build_image_processor().save_pretrained(folder)
