"""AdamW's state under DeepSpeed, by parameter name: independent of ranks and ZeRO stage.

DeepSpeed's own checkpoints store each rank's flat partition, so they load on the same number of
ranks and the same stage only. Here every parameter's fp32 master copy and both moments are gathered
whole, one parameter at a time, and scattered again on loading.

Reading uses DeepSpeed's public `safe_get_full_*`. Writing has to reach inside: the public setters
refuse parameters that do not divide evenly over the ranks, and a new optimizer has no moments yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

MOMENTS = ("exp_avg", "exp_avg_sq")
KEYS = ("fp32", *MOMENTS)


def read_state(engine: Any, stage: int) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield (name, {fp32, exp_avg, exp_avg_sq}) for every trained parameter, fp32 on the CPU.

    Collective: every rank must iterate to the end. `engine` is DeepSpeed's.
    """
    from deepspeed.utils import safe_get_full_fp32_param, safe_get_full_optimizer_state

    if stage in (1, 2):
        _link_moments(engine.optimizer)
    for name, parameter in _trained(engine):
        if stage == 0:
            state = engine.optimizer.state.get(parameter, {})
            found = {key: state.get(key, torch.zeros_like(parameter)) for key in MOMENTS}
            found["fp32"] = parameter.detach()
        else:
            found = {key: safe_get_full_optimizer_state(parameter, key) for key in MOMENTS}
            found["fp32"] = safe_get_full_fp32_param(parameter)
        yield name, {key: tensor.detach().cpu().contiguous() for key, tensor in found.items()}


def write_state(
    engine: Any, stage: int, lookup: Callable[[str, str], Tensor], *, updates: int
) -> None:
    """Set weights and moments of every trained parameter from `lookup(name, key)`.

    `updates` is the number of optimizer steps behind the state (Adam's bias correction).
    """
    write = {0: _write_plain, 1: _write_flat, 2: _write_flat, 3: _write_partitioned}[stage]
    write(engine, lookup, updates)


def _trained(engine: Any) -> Iterator[tuple[str, Any]]:
    for name, parameter in engine.module.model.named_parameters():
        if parameter.requires_grad:
            yield name, parameter


def _fresh(like: Tensor, updates: int) -> dict[str, Tensor]:
    moments = {key: torch.zeros_like(like) for key in MOMENTS}
    return {"step": torch.tensor(float(updates)), **moments}


def _link_moments(zero: Any) -> None:
    """Let parameters find their slices of the flat moments.

    DeepSpeed does this once, after the first group's step: with two groups (here: with and without
    weight decay) the second is then linked to nothing, for good.
    """
    zero._hp_optimizer_states_linked = False
    zero._lazy_init_hp_params_optimizer_state()


@torch.no_grad()
def _write_plain(engine: Any, lookup: Callable[[str, str], Tensor], updates: int) -> None:
    for name, parameter in _trained(engine):
        state = engine.optimizer.state[parameter]
        state.update(_fresh(parameter, updates))
        parameter.copy_(lookup(name, "fp32"))
        for key in MOMENTS:
            state[key].copy_(lookup(name, key))


@torch.no_grad()
def _write_flat(engine: Any, lookup: Callable[[str, str], Tensor], updates: int) -> None:
    from deepspeed.utils import safe_set_full_fp32_param, safe_set_full_optimizer_state

    zero = engine.optimizer
    for flat in zero.single_partition_of_fp32_groups:
        zero.optimizer.state[flat] = _fresh(flat, updates)
    _link_moments(zero)
    for name, parameter in _trained(engine):
        master = lookup(name, "fp32").to(parameter.device)
        parameter.copy_(master)
        safe_set_full_fp32_param(parameter, master)
        for key in MOMENTS:
            value = lookup(name, key).to(parameter.device)
            safe_set_full_optimizer_state(parameter, value, key)


@torch.no_grad()
def _write_partitioned(engine: Any, lookup: Callable[[str, str], Tensor], updates: int) -> None:
    zero = engine.optimizer
    for flat in zero.fp32_partitioned_groups_flat:
        zero.optimizer.state[flat] = _fresh(flat, updates)
    for name, parameter in _trained(engine):
        for key in KEYS:
            part, _ = zero._get_fp32_opt_state_partition(
                parameter,
                release_swap_buffers=False,
                optim_state_key=None if key == "fp32" else key,
            )
            own = _own_part(lookup(name, key), part.numel())
            part.copy_(own)
            if key == "fp32":
                parameter.ds_tensor.copy_(own)


def _own_part(value: Tensor, numel: int) -> Tensor:
    """This rank's slice of a flattened tensor, padded with zeros as ZeRO-3 pads it."""
    flat = value.flatten()
    padded = torch.nn.functional.pad(flat, (0, numel * dist.get_world_size() - flat.numel()))
    return padded.narrow(0, numel * dist.get_rank(), numel)
