"""What a GPU can do, from its vendor's data sheet: memory, dense bf16 rate, memory bandwidth."""

from __future__ import annotations

from dataclasses import dataclass

import torch

GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU; rates are peaks. Unknown rates are None and give no time."""

    name: str
    memory_gib: float
    tflops: float | None = None
    """Dense bf16, 10^12 operations per second."""
    bandwidth_tbs: float | None = None
    """Of its memory, 10^12 bytes per second."""


PRESETS = {
    # NVIDIA's data sheets: L40S, A100 80GB SXM, H100 SXM, H200 SXM; rates without sparsity.
    # Of the L40S's 48 GB, error correction leaves 46,068 MiB (as nvidia-smi lists it).
    "l40s": Gpu(name="l40s", memory_gib=45, tflops=362, bandwidth_tbs=0.864),
    "a100": Gpu(name="a100", memory_gib=80, tflops=312, bandwidth_tbs=2.039),
    "h100": Gpu(name="h100", memory_gib=80, tflops=989, bandwidth_tbs=3.35),
    "h200": Gpu(name="h200", memory_gib=140, tflops=989, bandwidth_tbs=4.8),
}


def visible_gpu() -> tuple[Gpu | None, int]:
    """The first GPU of this machine and how many there are; None and 0 without one."""
    count = torch.cuda.device_count()
    if count == 0:
        return None, 0
    found = torch.cuda.get_device_properties(0)
    known = next((gpu for key, gpu in PRESETS.items() if key in found.name.lower()), None)
    return Gpu(
        name=found.name,
        memory_gib=found.total_memory / GIB,
        tflops=known.tflops if known else None,
        bandwidth_tbs=known.bandwidth_tbs if known else None,
    ), count
