"""Low-rank adapters (LoRA, Hu et al. 2021, https://arxiv.org/abs/2106.09685) on a policy.

A linear layer with weight W computes (W + alpha / rank * B A) x; only A and B are trained. peft
puts them into the model in place, so the model is called as before. It can be seen in three ways:
as it is trained, without its adapters (the starting policy, which is the reference of the KL term),
and as a plain HF model with the adapters merged (what rollout engines and checkpoints take).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from adora_mm.config import LoraConfig, PolicyConfig
from adora_mm.rollout.weight_sync import GATHER_BYTES, buckets

ADAPTER = "default"
"""peft's name of the one adapter; its parameters are `<layer>.lora_A.default.weight` and B's."""


def add_adapters(model: Any, policy: PolicyConfig, *, seed: int) -> None:
    """Put new adapters into `model` and freeze everything else.

    B is zero, so the model computes what it did; A is drawn from `seed` alone. Raises ValueError
    when peft is missing or a target fits no layer.
    """
    assert policy.lora is not None
    names = target_names(model, policy.lora, language=not policy.freeze_language)
    try:
        import peft
    except ImportError:
        raise ValueError(
            "policy.lora needs the package peft; pip install 'adora-mm[lora]'"
        ) from None
    config = peft.LoraConfig(
        r=policy.lora.rank,
        lora_alpha=policy.lora.alpha,
        target_modules=names,
        task_type="CAUSAL_LM",
        base_model_name_or_path=policy.path,
    )
    with torch.random.fork_rng(devices=[]):  # models are loaded in host memory
        torch.default_generator.manual_seed(seed)
        peft.inject_adapter_in_model(config, model, ADAPTER)


def target_names(model: Any, lora: LoraConfig, *, language: bool) -> list[str]:
    """Full names of the linear layers that get an adapter.

    In the language part those with a last name in `lora.targets`; in the vision tower all of them.
    The head is never one: it may share its weight with the embedding.
    """
    linear = [name for name, m in model.model.named_modules() if isinstance(m, nn.Linear)]
    in_tower = [name for name in linear if name.startswith("visual.")]
    if lora.vision and not in_tower:
        raise ValueError("policy.lora.vision=true, but this model has no vision tower")
    found = in_tower if lora.vision else []
    if language:
        rest = [name for name in linear if name not in in_tower]
        for target in lora.targets:
            fitting = [name for name in rest if name.rpartition(".")[2] == target]
            if not fitting:
                known = sorted({name.rpartition(".")[2] for name in rest})
                raise ValueError(
                    f"policy.lora.targets: the language model has no linear layer {target!r}; "
                    f"it has {', '.join(known)}"
                )
            found = [*found, *fitting]
    return [f"model.{name}" for name in found]


@contextmanager
def adapters_off(model: nn.Module) -> Iterator[None]:
    """The model computes as the base does, exactly.

    The adapters still run, times zero: under ZeRO-3 the order of layers must not change.
    """
    layers: list[Any] = [module for module in model.modules() if _is_adapted(module)]
    scalings = [layer.scaling[ADAPTER] for layer in layers]
    for layer in layers:
        layer.scaling[ADAPTER] = 0.0
    try:
        yield
    finally:
        for layer, scaling in zip(layers, scalings, strict=True):
            layer.scaling[ADAPTER] = scaling


def plain_weights(model: nn.Module, *, partitioned: bool) -> Iterator[tuple[str, Tensor]]:
    """Every parameter under its name without adapters, these merged into a copy; one at a time.

    A model without adapters yields its own parameters. A merged weight is summed in fp32 and
    rounded once to the base's precision. `partitioned` gathers them first (ZeRO-3; collective), in
    buckets: a rank holds at most GATHER_BYTES beside its shards, or the largest parameter, and the
    adapters of these.
    """
    import deepspeed

    plain = ((name, p) for name, p in model.named_parameters() if ".lora_" not in name)
    for bucket in buckets(plain, GATHER_BYTES):
        layers = [_layer_of(model, name) for name, _ in bucket]
        factors = [
            factor.weight
            for layer in layers
            if layer is not None
            for factor in (layer.lora_A[ADAPTER], layer.lora_B[ADAPTER])
        ]
        parts = [parameter for _, parameter in bucket] + factors
        with deepspeed.zero.GatheredParameters(parts, enabled=partitioned):
            for (name, parameter), layer in zip(bucket, layers, strict=True):
                weight = parameter.detach() if layer is None else _merged(layer)
                yield name.replace(".base_layer.", "."), weight


def adapter_weights(model: nn.Module, *, partitioned: bool) -> Iterator[tuple[str, Tensor]]:
    """The adapters' weights under the names that peft's own files have (collective)."""
    import deepspeed

    for name, parameter in model.named_parameters():
        if ".lora_" in name:
            with deepspeed.zero.GatheredParameters([parameter], enabled=partitioned):
                yield f"base_model.model.{name.replace(f'.{ADAPTER}.', '.')}", parameter.detach()


def save_adapter(
    folder: Path, model: Any, weights: Iterable[tuple[str, Tensor]], *, writes: bool
) -> None:
    """Write adapter_config.json and adapter_model.safetensors, which peft and vLLM load.

    Collective for gathered weights; the rank that `writes` makes the folder.
    """
    kept = {name: weight.cpu().clone() for name, weight in weights if writes}
    if not writes:
        return
    adapted = [name for name, module in model.named_modules() if _is_adapted(module)]
    config = model.peft_config[ADAPTER].to_dict() | {
        "inference_mode": True,
        "target_modules": adapted,  # peft has shortened them to suffixes, as a set
    }
    plain = {key: sorted(v) if isinstance(v, set) else v for key, v in config.items()}
    folder.mkdir()
    text = json.dumps(plain, indent=1, sort_keys=True)
    (folder / "adapter_config.json").write_text(text + "\n", encoding="utf-8")
    save_file(kept, folder / "adapter_model.safetensors", metadata={"format": "pt"})


def _layer_of(model: nn.Module, name: str) -> Any | None:
    """The adapted layer whose weight has this name; None for all other parameters."""
    owner = name.removesuffix(".base_layer.weight")
    return None if owner == name else model.get_submodule(owner)


@torch.no_grad()
def _merged(layer: Any) -> Tensor:
    base = layer.base_layer.weight
    a, b = layer.lora_A[ADAPTER].weight.float(), layer.lora_B[ADAPTER].weight.float()
    merged: Tensor = (base.float() + layer.scaling[ADAPTER] * (b @ a)).to(base.dtype)
    return merged


def _is_adapted(module: nn.Module) -> bool:
    from peft.tuners.lora import LoraLayer

    return isinstance(module, LoraLayer)
