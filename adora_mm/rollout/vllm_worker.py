"""What a vLLM worker gets from us: it takes weights, and says which ones it holds.

vLLM imports this module in each worker before it loads the model (`worker_extension_cls`) and adds
the class below to the worker's own. A CPU build of vLLM packs matrices into another layout when it
has loaded them and drops the originals; an update would then fail or, with tied embeddings, be
ignored without a word. Importing this module leaves them as they are.

Methods for servers take one text and return a table. What goes wrong is part of the table
(`telling`): if one worker of several raised, vLLM would read the others' answers as those to its
next question.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from adora_mm.rollout.vllm_shards import own_share
from adora_mm.rollout.weight_link import WeightLink, join_store
from adora_mm.rollout.weight_sync import Fingerprints, unpack


def keep_weights_as_they_are() -> None:
    """Switch the packing of matrices off, on CPUs."""
    from vllm.model_executor.layers import utils as layers
    from vllm.platforms import current_platform

    def plain(layer: Any, remove_weight: bool) -> None:
        layer.cpu_linear = nn.functional.linear

    if current_platform.is_cpu():
        layers.dispatch_cpu_unquantized_gemm = plain


keep_weights_as_they_are()


def telling(
    method: Callable[[Any, str], dict[str, Any]],
) -> Callable[[Any, str], dict[str, Any]]:
    """The method with whatever it raises as `error` in its table."""

    @functools.wraps(method)
    def told(self: Any, text: str) -> dict[str, Any]:
        try:
            return method(self, text)
        except Exception as error:  # vLLM's loaders assert, safetensors has errors of its own
            return {"error": f"{type(error).__name__}: {error}"}

    return told


class WeightReceiver:
    """Methods of a vLLM worker, called by `collective_rpc`; their names must not be vLLM's."""

    get_model: Any
    model_config: Any
    vllm_config: Any
    device: torch.device
    rank: int
    _adora_link: WeightLink | None = None

    def adora_load(self, named: Iterable[tuple[str, Tensor]]) -> list[str]:
        """Take parameters under their HF names; the engine's names of those that were set."""
        return sorted(self.get_model().load_weights(named))

    @telling
    def adora_load_file(self, path: str) -> dict[str, Any]:
        """The same from a safetensors file on a disk that both sides see."""
        return {"loaded": self.adora_load(load_file(path).items())}

    def adora_place(self) -> dict[str, Any]:
        """Where this worker computes, and the name of the link that it holds."""
        return {
            "device": self.device.type,
            "link": self._adora_link.name if self._adora_link else "",
            "engines": self.vllm_config.parallel_config.data_parallel_size,
        }

    @telling
    def adora_join(self, told: str) -> dict[str, Any]:
        """Make a link with the trainer (`vllm_transfer.py` says what is told)."""
        task = json.loads(told)
        if self._adora_link is not None:
            link, self._adora_link = self._adora_link, None
            link.close()
        store = join_store(task["host"], task["port"], timeout_s=task["timeout_s"])
        self._adora_link = WeightLink(
            store,
            task["name"],
            rank=self.rank + 1,
            size=task["size"],
            backend=task["backend"],
            device=self.device,
            timeout_s=task["timeout_s"],
        )
        return {}

    @telling
    def adora_receive(self, told: str) -> dict[str, Any]:
        """Take one packed row of parameters from the link."""
        task = json.loads(told)
        link = self._adora_link
        if link is None:
            return {"error": "it holds no link"}
        row = torch.empty(task["num_bytes"], dtype=torch.uint8, device=link.device)
        link.broadcast(row)
        return {"loaded": self.adora_load(unpack(task["fields"], row))}

    def adora_parameters(self) -> list[str]:
        """The engine's names of all parameters; tied ones once."""
        return [name for name, _ in self.get_model().named_parameters()]

    def adora_fingerprints(self) -> dict[str, int]:
        """Of this worker's share; those of all workers add up to the whole model's."""
        dtype: torch.dtype = self.model_config.dtype
        fingerprints = Fingerprints(dtype)
        for name, weight in own_share(self.get_model()):
            fingerprints.add(name, weight)
        return fingerprints.blocks
