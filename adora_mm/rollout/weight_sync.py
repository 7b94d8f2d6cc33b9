"""Moving weights from the trainer to an engine in another layout, and proof that they arrived.

Engines rename parameters and join some of them (q, k and v become one matrix). So the two sides are
compared by fingerprints that survive this: the sum, over all rows of a block's matrices, of a hash
of the row. Joining stacks rows, and a block's number stays in every name. Rows of zeros, with which
engines pad the vocabulary, count nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor

from adora_mm.faults import RunFault

HASH_ELEMENTS = 2**24
"""Elements hashed at once: 8 bytes each, so 128 MiB."""

GATHER_BYTES = 2**28
"""Bytes of whole parameters that a rank gathers at once under ZeRO-3."""

ALIGN_BYTES = 16
"""Parameters of a packed row begin at multiples, so that each can be viewed in its own dtype."""

Field = tuple[str, str, list[int], int]
"""Name, dtype, shape and first byte of a parameter in a packed row."""

_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.float16: torch.int16}


class WeightSyncError(RunFault):
    """The engine does not hold the trainer's weights after an update."""


class Fingerprints:
    """Fingerprints per block of parameters that pass by one at a time."""

    def __init__(self, dtype: torch.dtype) -> None:
        """`dtype` is the engine's; both sides are hashed in it."""
        self.dtype = dtype
        self.blocks: dict[str, int] = {}

    def add(self, name: str, weight: Tensor) -> None:
        key = block_of(name)
        total = self.blocks.get(key, 0) + row_hashes(weight.detach().to(self.dtype))
        self.blocks[key] = total % 2**64

    def watch(self, named: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
        """The same parameters, each added as it passes."""
        for name, weight in named:
            self.add(name, weight)
            yield name, weight


def block_of(name: str) -> str:
    """Where a parameter lies, in words that no engine changes: its tower and its numbers."""
    parts = name.split(".")
    tower = "vision" if "visual" in parts else "language"
    return "/".join([tower, *(part for part in parts if part.isdigit())])


def row_hashes(weight: Tensor) -> int:
    """Sum of the hashes of a parameter's rows; of a vector, of its elements."""
    rows = weight.reshape(weight.shape[0], -1) if weight.dim() > 1 else weight.reshape(-1, 1)
    bits = rows.contiguous().view(_BITS[weight.dtype])
    width = bits.shape[1]
    # Odd multipliers from a linear congruence (Knuth, MMIX); int64 products wrap around.
    steps = torch.arange(1, width + 1, device=bits.device, dtype=torch.int64)
    factors = (steps * 6364136223846793005 + 1442695040888963407) | 1
    total = 0
    for piece in bits.split(max(1, HASH_ELEMENTS // width)):
        sums = (piece.long() * factors).sum(-1)
        mixed = (sums ^ (sums >> 29)) * -4658895280553007687  # splitmix64's second multiplier
        total += int((mixed ^ (mixed >> 32)).sum())
    return total % 2**64


def compare(trainer: dict[str, int], engine: dict[str, int], *, where: str) -> None:
    """Raises WeightSyncError, naming the blocks that differ."""
    wrong = [key for key in trainer.keys() | engine.keys() if trainer.get(key) != engine.get(key)]
    if wrong:
        raise WeightSyncError(
            f"{where} does not hold the trainer's weights after the first update: "
            f"{len(wrong)} of {len(trainer)} blocks differ ({', '.join(sorted(wrong)[:3])}); this "
            "model needs rollout.backend=transformers, or another vLLM"
        )


def check_complete(loaded: Iterable[str], needed: Iterable[str], *, where: str) -> None:
    """Raises WeightSyncError when a parameter of the engine got nothing."""
    missing = sorted(set(needed) - set(loaded))
    if missing:
        raise WeightSyncError(
            f"{where} got no weights for {len(missing)} parameters, for instance {missing[0]}"
        )


def buckets(
    named: Iterable[tuple[str, Tensor]], limit_bytes: int
) -> Iterator[list[tuple[str, Tensor]]]:
    """Cut parameters into runs of at most `limit_bytes` when whole; a larger one stands alone."""
    bucket: list[tuple[str, Tensor]] = []
    held = 0
    for name, weight in named:
        size = whole_numel(weight) * weight.element_size()
        if bucket and held + size > limit_bytes:
            yield bucket
            bucket, held = [], 0
        bucket.append((name, weight))
        held += size
    if bucket:
        yield bucket


def pack(
    named: Iterable[tuple[str, Tensor]], limit_bytes: int, *, device: torch.device, pinned: bool
) -> Iterator[tuple[list[Field], Tensor]]:
    """Parameters laid one behind another in one row of bytes, of at most `limit_bytes`; one that is
    larger stands alone. The row is used again: it is good until the next one is asked for."""
    row = torch.empty(limit_bytes, dtype=torch.uint8, device=device, pin_memory=pinned)
    fields: list[Field] = []
    used = 0
    for name, weight in named:
        size = weight.nbytes
        if fields and used + size > limit_bytes:
            yield fields, row[:used]
            fields, used = [], 0
        if size > len(row):
            row = torch.empty(size, dtype=torch.uint8, device=device, pin_memory=pinned)
        place = row[used : used + size].view(weight.dtype).view(weight.shape)
        place.copy_(weight.detach())
        fields.append((name, str(weight.dtype).removeprefix("torch."), list(weight.shape), used))
        used += -(-size // ALIGN_BYTES) * ALIGN_BYTES
    if fields:
        yield fields, row[:used]


def unpack(fields: Iterable[Field], row: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The parameters of a packed row, as views of it."""
    for name, dtype_name, shape, start in fields:
        dtype: torch.dtype = getattr(torch, dtype_name)
        size = math.prod(shape) * dtype.itemsize
        yield name, row[start : start + size].view(dtype).view(shape)


def whole_numel(weight: Any) -> int:
    """Elements of a parameter, also of one that ZeRO-3 has partitioned."""
    return int(weight.ds_numel if hasattr(weight, "ds_numel") else weight.numel())


def add_shares(shares: Iterable[dict[str, int]]) -> dict[str, int]:
    """Fingerprints of a model whose rows lie on several workers."""
    total: dict[str, int] = {}
    for share in shares:
        for key, value in share.items():
            total[key] = (total.get(key, 0) + value) % 2**64
    return total


class Traffic:
    """Counts what passes by."""

    def __init__(self) -> None:
        self.bytes = 0

    def watch(self, named: Any) -> Iterator[tuple[str, Tensor]]:
        for name, weight in named:
            self.bytes += weight.nbytes
            yield name, weight
