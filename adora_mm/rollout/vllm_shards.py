"""A model cut over several vLLM workers, seen so that every row counts once.

Fingerprints are sums over rows. Layers cut by rows add up as they are; layers cut by columns are
put together first; what every worker holds whole, the first one counts.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from vllm.distributed import get_tp_group
from vllm.model_executor.layers.linear import (
    ColumnParallelLinear,
    QKVParallelLinear,
    RowParallelLinear,
)
from vllm.model_executor.layers.vocab_parallel_embedding import VocabParallelEmbedding


def own_share(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """This worker's part of each parameter; collective among the workers of a server."""
    group = get_tp_group()
    first = group.rank_in_group == 0
    for name, weight in model.named_parameters():
        layer = model.get_submodule(name.rpartition(".")[0])
        if isinstance(layer, QKVParallelLinear) and layer.tp_size > 1:
            yield name, _without_copies(layer, weight)
        elif isinstance(layer, ColumnParallelLinear | VocabParallelEmbedding) and layer.tp_size > 1:
            yield name, weight
        elif isinstance(layer, RowParallelLinear) and layer.tp_size > 1 and weight.dim() > 1:
            whole = group.all_gather(weight.detach(), dim=1)
            if first:
                yield name, whole
        elif first:
            yield name, weight


def _without_copies(layer: QKVParallelLinear, weight: Tensor) -> Tensor:
    """With more workers than key and value heads, several hold the same ones: one counts them."""
    if layer.tp_rank % layer.num_kv_head_replicas == 0:
        return weight
    return torch.narrow(weight, 0, 0, layer.num_heads * layer.head_size)
