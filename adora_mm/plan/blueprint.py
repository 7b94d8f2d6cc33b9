"""The policy of a recipe without its weights: a model on torch's meta device, from config.json.

Frozen parts and adapters are put in by the trainer's own functions, so what is counted here is what
a run would train.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from adora_mm.config import PolicyConfig
from adora_mm.hub import check_model
from adora_mm.lora import add_adapters
from adora_mm.models import DTYPES, is_vision_config, policy_path
from adora_mm.optimizer import freeze_parts
from adora_mm.plan.families import KNOWN

PARTS = ("vision tower", "projector", "embedding", "language layers", "head", "adapters")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Parameters of one part of the policy."""

    name: str
    total: int
    trained: int


def policy_config(path: str) -> tuple[Any, str]:
    """The transformers config of a recipe's `policy.path`, and where it came from.

    A folder, then the hub's cache, then the table of known models, then the hub. Raises ValueError
    when none of them has it.
    """
    place = policy_path(path)
    if not Path(place).expanduser().is_dir():
        try:
            cached = AutoConfig.from_pretrained(
                str(place), local_files_only=True, trust_remote_code=False
            )
            return cached, "its config.json in the hub's cache"
        except (OSError, ValueError):
            if path in KNOWN:
                known = dict(KNOWN[path])
                return AutoConfig.for_model(known.pop("model_type"), **known), "a built-in table"
    try:
        check_model(place)
    except ValueError as error:
        raise ValueError(f"{error} (plans know by heart: {', '.join(KNOWN)})") from None
    return AutoConfig.from_pretrained(str(place), trust_remote_code=False), "its config.json"


def shortened(config: Any, *, layers: int, vision_layers: int) -> Any:
    """The same model with fewer layers, which is enough to see what one layer takes."""
    short = deepcopy(config)
    text = short.get_text_config()
    text.num_hidden_layers = layers
    if getattr(text, "layer_types", None):
        text.layer_types = list(text.layer_types)[:layers]
    if is_vision_config(short):
        short.vision_config.depth = vision_layers
    return short


def blueprint(config: Any, policy: PolicyConfig) -> Any:
    """The model on the meta device, frozen parts and adapters done. Raises ValueError."""
    loader = AutoModelForImageTextToText if is_vision_config(config) else AutoModelForCausalLM
    with torch.device("meta"):
        model = loader.from_config(
            config, dtype=DTYPES[policy.dtype], attn_implementation="sdpa", trust_remote_code=False
        )
        freeze_parts(model, policy)
        if policy.lora is not None:
            add_adapters(model, policy, seed=0)
    return model


def count_parts(model: Any) -> tuple[Part, ...]:
    """Parameters by part, without the empty ones; a tied head counts as embedding."""
    total = dict.fromkeys(PARTS, 0)
    trained = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        part = _part_of(name)
        total[part] += parameter.numel()
        trained[part] += parameter.numel() * parameter.requires_grad
    return tuple(
        Part(name=name, total=total[name], trained=trained[name]) for name in PARTS if total[name]
    )


def trained_groups(optimizer: Any) -> Iterator[list[int]]:
    """Sizes of the trained parameters, by group of the trainer's optimizer."""
    for group in optimizer.param_groups:
        yield [parameter.numel() for parameter in group["params"]]


def _part_of(name: str) -> str:
    if ".lora_" in name:
        return "adapters"
    if name.startswith("model.visual."):
        return "projector" if "merger" in name else "vision tower"
    if name.startswith("lm_head."):
        return "head"
    return "embedding" if ".embed_tokens." in name else "language layers"
