"""Which models can be trained, and what is mended in those that need it.

A family is a model type of transformers. Text models go through what all of them have in common
(`model.model`, `lm_head`); vision-language models also through the positions and picture features
of Qwen's, so only those that were tested are taken.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import AutoConfig

VISION_FAMILIES = ("qwen2_5_vl", "qwen3_vl")
TEXT_FAMILIES = ("llama", "qwen2", "qwen3")
"""Tested ones; others are tried, with padded rows."""


def check_family(path: str | Path) -> None:
    """Raise ValueError for a model that cannot be trained, before any weight is loaded."""
    refuse_unsupported(AutoConfig.from_pretrained(str(path), trust_remote_code=False), path)


def refuse_unsupported(config: Any, path: str | Path) -> None:
    """The same for a configuration that is at hand.

    A mixture of experts is refused because transformers holds all experts of a layer in one tensor
    that has another name and form in model files, so neither vLLM nor LoRA would fit it.
    """
    settings = config.get_text_config().to_dict()
    reason = ""
    if any(settings.get(key) for key in ("num_experts", "num_local_experts", "n_routed_experts")):
        reason = "is a mixture of experts"
    elif config.to_dict().get("vision_config") and config.model_type not in VISION_FAMILIES:
        reason = f"is a vision-language model of type {config.model_type}"
    if reason:
        raise ValueError(
            f"policy.path={path}: {reason}; supported are {', '.join(VISION_FAMILIES)} with "
            f"pictures and {', '.join(TEXT_FAMILIES)} without (dense models)"
        )


def mend_generation_config(model: Any) -> None:
    """Make sampling settings savable that stand beside `do_sample: false`, as Llama 2's do.

    transformers loads them and refuses to save them, which would be at the first checkpoint. Raises
    ValueError now for what this does not mend.
    """
    try:
        model.generation_config.validate(strict=True)
    except ValueError:
        model.generation_config.do_sample = True
        model.generation_config.validate(strict=True)
