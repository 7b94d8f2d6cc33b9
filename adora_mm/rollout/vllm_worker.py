"""What a vLLM worker gets from us: it takes weights, and says which ones it holds.

vLLM imports this module in each worker before it loads the model (`worker_extension_cls`) and adds
the class below to the worker's own. A CPU build of vLLM packs matrices into another layout when it
has loaded them and drops the originals; an update would then fail or, with tied embeddings, be
ignored without a word. Importing this module leaves them as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from adora_mm.rollout.weight_sync import Fingerprints


def keep_weights_as_they_are() -> None:
    """Switch the packing of matrices off, on CPUs."""
    from vllm.model_executor.layers import utils as layers
    from vllm.platforms import current_platform

    def plain(layer: Any, remove_weight: bool) -> None:
        layer.cpu_linear = nn.functional.linear

    if current_platform.is_cpu():
        layers.dispatch_cpu_unquantized_gemm = plain


keep_weights_as_they_are()


class WeightReceiver:
    """Methods of a vLLM worker, called by `collective_rpc`; their names must not be vLLM's."""

    get_model: Any
    model_config: Any

    def adora_load(self, named: Iterable[tuple[str, Tensor]]) -> list[str]:
        """Take parameters under their HF names; the engine's names of those that were set."""
        return sorted(self.get_model().load_weights(named))

    def adora_load_file(self, path: str) -> list[str]:
        """The same from a safetensors file on a disk that both sides see."""
        return self.adora_load(load_file(path).items())

    def adora_parameters(self) -> list[str]:
        """The engine's names of all parameters; tied ones once."""
        return [name for name, _ in self.get_model().named_parameters()]

    def adora_fingerprints(self) -> dict[str, int]:
        dtype: torch.dtype = self.model_config.dtype
        fingerprints = Fingerprints(dtype)
        for name, weight in self.get_model().named_parameters():
            fingerprints.add(name, weight)
        return fingerprints.blocks
