"""The policy's section of a recipe: which model, in what precision, and which part is trained."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from adora_mm.config.base import Section


class LoraConfig(Section):
    """Adapters of low rank on linear layers, which alone are trained (`lora.py`).

    There is no dropout: log-probs of the update must be those of the policy that was sampled.
    """

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    """The adapters count times alpha / rank."""
    targets: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        min_length=1,
    )
    """Last names of the layers of the language part that get one."""
    vision: bool = False
    """Also on every linear layer of the vision tower."""


class PolicyConfig(Section):
    path: str = "embedded"
    """HF folder or hub name; `embedded` is the tiny Qwen2.5-VL that ships with the package."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    attention: Literal[
        "sdpa",
        "eager",
        "flash_attention_2",
        "flash_attention_3",
        "kernels-community/flash-attn2",
        "kernels-community/flash-attn3",
    ] = "sdpa"
    """All but sdpa and flash_attention_2 compute padded rows; see docs/models.md."""
    liger: bool = False
    """Norms and MLPs by the kernels of the package liger-kernel (CUDA)."""
    gradient_checkpointing: bool = False
    freeze_vision: bool = False
    freeze_language: bool = False
    """Train the vision tower alone (its merger included)."""
    lora: LoraConfig | None = None
    """Train adapters instead of the weights; None trains the weights."""

    @model_validator(mode="after")
    def _something_is_trained(self) -> Self:
        if self.freeze_vision and self.freeze_language:
            raise ValueError(
                "policy.freeze_vision and policy.freeze_language leave nothing to train; "
                "set one of them to false"
            )
        if self.lora is None:
            return self
        if self.freeze_vision and self.lora.vision:
            raise ValueError(
                "policy.freeze_vision=true and policy.lora.vision=true exclude each other"
            )
        if self.freeze_language and not self.lora.vision:
            raise ValueError("policy.freeze_language=true needs policy.lora.vision=true with LoRA")
        return self
