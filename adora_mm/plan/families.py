"""Shapes of the models that our recipes name, for plans where the model is not at hand.

The values are those of each model's published config.json; what does not change a shape is left
out. `tests/plan` builds every entry and compares its number of parameters with the published one.
Sources, read in public copies of the files:
- Qwen2.5-VL-3B: its config.json, printed in full in public repositories; 7B: its printed modules
  (hidden 3584, 28 layers, k and v of 512, MLP 18944, tower 1280 x 32); both have the same tower.
- Qwen3-VL-8B: torchtitan's `experiments/qwen3_vl` (language 4096 x 36, MLP 12288, 8 key heads,
  tower 1152 x 27, MLP 4304, deep features after 8, 16, 24); the tower is transformers' default.
- Qwen2.5-3B, 7B and Qwen3-4B, 8B: their config.json in sglang's profiling notes (LLM-Prof).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TOWER_2_5 = {
    "depth": 32,
    "hidden_size": 1280,
    "intermediate_size": 3420,
    "num_heads": 16,
    "patch_size": 14,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "window_size": 112,
    "fullatt_block_indexes": [7, 15, 23, 31],
}
_TOWER_3 = {
    "depth": 27,
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_heads": 16,
    "patch_size": 16,
    "spatial_merge_size": 2,
    "temporal_patch_size": 2,
    "num_position_embeddings": 2304,
    "deepstack_visual_indexes": [8, 16, 24],
}
_QWEN2_3B = {
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
}
_QWEN2_7B = {
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_hidden_layers": 28,
    "num_attention_heads": 28,
    "num_key_value_heads": 4,
    "vocab_size": 152064,
}
_QWEN3_4B = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
}
_QWEN3_8B = _QWEN3_4B | {"hidden_size": 4096, "intermediate_size": 12288}


def _vl(
    kind: str, text: Mapping[str, Any], tower: Mapping[str, Any], *, tied: bool
) -> dict[str, Any]:
    return {
        "model_type": kind,
        "text_config": {**text, "tie_word_embeddings": tied},
        "vision_config": {**tower, "out_hidden_size": text["hidden_size"]},
        "tie_word_embeddings": tied,
    }


def _text(kind: str, text: Mapping[str, Any], *, tied: bool) -> dict[str, Any]:
    return {"model_type": kind, **text, "tie_word_embeddings": tied}


KNOWN: Mapping[str, Mapping[str, Any]] = {
    "Qwen/Qwen2.5-VL-3B-Instruct": _vl("qwen2_5_vl", _QWEN2_3B, _TOWER_2_5, tied=True),
    "Qwen/Qwen2.5-VL-7B-Instruct": _vl("qwen2_5_vl", _QWEN2_7B, _TOWER_2_5, tied=False),
    "Qwen/Qwen3-VL-8B-Instruct": _vl("qwen3_vl", _QWEN3_8B, _TOWER_3, tied=False),
    "Qwen/Qwen2.5-3B-Instruct": _text("qwen2", _QWEN2_3B, tied=True),
    "Qwen/Qwen2.5-7B": _text("qwen2", _QWEN2_7B, tied=False),
    "Qwen/Qwen2.5-7B-Instruct": _text("qwen2", _QWEN2_7B, tied=False),
    "Qwen/Qwen3-4B": _text("qwen3", _QWEN3_4B, tied=True),
    "Qwen/Qwen3-8B": _text("qwen3", _QWEN3_8B, tied=False),
}
"""Hub name -> the parts of config.json that decide shapes."""
