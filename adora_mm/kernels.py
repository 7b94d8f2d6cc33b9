"""Kernels of other packages, by choice: flash-attention, Liger's norms and MLPs.

Both need a CUDA GPU and a package that is not installed with this one. `check_kernels` says so in
one line before anything is loaded. Where the tests run there is no GPU: what they hold is the names
and arguments that are used here, not the kernels' numbers.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from adora_mm.config import PolicyConfig

PACKAGES = {
    "flash_attention_2": ("flash_attn", "flash-attn --no-build-isolation"),
    "flash_attention_3": ("flash_attn_interface", "flash-attn-3"),
    "kernels-community/flash-attn2": ("kernels", "kernels"),
    "kernels-community/flash-attn3": ("kernels", "kernels"),
}
"""`policy.attention` -> the module that it needs, and what pip calls it. The last two are compiled
kernels that transformers fetches from the hub."""


LIGER_ARGUMENTS = {
    "rope": False,
    "cross_entropy": False,
    "fused_linear_cross_entropy": False,
    "rms_norm": True,
    "swiglu": True,
}


def check_kernels(policy: PolicyConfig, device: torch.device) -> None:
    """Raise ValueError when the recipe asks for kernels that cannot run here."""
    if policy.attention in PACKAGES:
        module, package = PACKAGES[policy.attention]
        _check(f"policy.attention={policy.attention}", "sdpa", module, package, device)
    if policy.liger:
        _check("policy.liger=true", "false", "liger_kernel", "liger-kernel", device)


def _check(key: str, instead: str, module: str, package: str, device: torch.device) -> None:
    if device.type != "cuda":
        raise ValueError(f"{key} needs a CUDA GPU, this run is on {device.type}; set {instead}")
    if find_spec(module) is None:
        raise ValueError(f"{key} needs a package: pip install {package}; or set {instead}")


def apply_liger(model: Any) -> None:
    """Replace the forward of a model's norms and MLPs by Liger's, which keep their weights.

    Its rotary embedding is left out, since Liger replaces that for every model of the process, and
    its fused losses as well: log-probs are computed in `logprobs.py`.
    """
    from liger_kernel.transformers import monkey_patch

    patch = monkey_patch.MODEL_TYPE_TO_APPLY_LIGER_FN[model.config.model_type]
    patch(model=model, **LIGER_ARGUMENTS)
