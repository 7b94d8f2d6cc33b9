"""Throw away what backward passes have left, so that a step can be skipped or done again.

DeepSpeed does this only inside its own `step`, for gradients that overflow. Here it is needed
before a step (a loss that is not finite) and in the middle of a backward pass (out of memory), so
this reaches inside, as `optimizer_state.py` does.
"""

from __future__ import annotations

from typing import Any


def discard_gradients(engine: Any, stage: int) -> None:
    """Forget all accumulated gradients of a DeepSpeed engine, in its own buffers too."""
    engine.zero_grad()
    if stage == 0:
        return
    zero = engine.optimizer
    zero.zero_grad(set_to_none=True)
    for bucket in zero.ipg_buckets.values():
        if stage == 3:
            bucket.clear_params()
        else:
            bucket.clear()
    reduced = zero.params_already_reduced
    for key in list(reduced) if stage == 3 else range(len(reduced)):
        reduced[key] = False
    zero.averaged_gradients.clear()
    if stage == 3:
        zero.micro_step_id = 0  # the next gradient overwrites the partition instead of adding to it
    else:
        zero.all_grad_tensors.clear()
    zero.reset_cpu_buffers()
