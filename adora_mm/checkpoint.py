"""Checkpoints: a policy that transformers loads, the optimizer by parameter name, the run's place.

    checkpoints/step-000040/
      policy/               HF model folder with tokenizer and image processor; adapters merged
      adapter/              with policy.lora: the adapters in peft's format
      optimizer/            safetensors, at most about 1 GiB each
      trainer_state.json    step, data position, counters
      COMPLETE              written last

A checkpoint is written under another name, fsynced and renamed, so a folder of that name is whole.
Random numbers are keyed by (seed, step, problem), so there is no generator state to keep.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from adora_mm import distributed
from adora_mm.engine import Engine
from adora_mm.faults import NonFiniteError
from adora_mm.files import sync, sync_tree
from adora_mm.lora import save_adapter
from adora_mm.optimizer_state import read_state, write_state
from adora_mm.processor import Processor

FORMAT_VERSION = 1
COMPLETE = "COMPLETE"
SHARD_BYTES = 2**30


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the folder and the remedy."""


def save_checkpoint(
    folder: Path, engine: Engine, processor: Processor, state: Mapping[str, Any]
) -> None:
    """Write a checkpoint; collective, rank 0 writes.

    Raises OSError when the disk is full; nothing is left behind then.
    """
    partial = folder.with_name(f".{folder.name}.partial")
    writes = distributed.is_first()
    try:
        if writes:
            shutil.rmtree(partial, ignore_errors=True)
            (partial / "optimizer").mkdir(parents=True)
        save_policy(partial / "policy", engine, processor)
        if engine.lora is not None:
            save_adapter(partial / "adapter", engine.model, engine.adapter_weights(), writes=writes)
        _save_optimizer(partial / "optimizer", engine, writes=writes)
        if writes:
            content = {"format": FORMAT_VERSION, "updates": engine.updates, "lora": _lora(engine)}
            content |= state
            text = json.dumps(content, indent=1, sort_keys=True)
            (partial / "trainer_state.json").write_text(text, encoding="utf-8")
            (partial / COMPLETE).write_text(f"{FORMAT_VERSION}\n", encoding="utf-8")
            sync_tree(partial)
            shutil.rmtree(folder, ignore_errors=True)
            os.replace(partial, folder)
            sync(folder.parent)
    except BaseException as error:
        if writes:
            shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, SafetensorError):
            raise OSError(f"{folder}: cannot be written ({error}); is the disk full?") from error
        raise
    distributed.barrier()


def save_policy(folder: Path, engine: Engine, processor: Processor) -> None:
    """Write the policy as an HF folder; collective, rank 0 writes.

    Raises NonFiniteError, on every rank, for a weight that is not finite.
    """
    weights: dict[str, Tensor] = {}
    for name, weight in engine.named_weights():
        if not torch.isfinite(weight).all():
            raise NonFiniteError(
                f"{folder.parent.name}: not saved, the weight {name} is not finite; start a new "
                "run with a lower train.learning_rate from policy.path=.../policy of an earlier one"
            )
        if distributed.is_first():
            weights[name] = weight.cpu().clone()
    if distributed.is_first():
        folder.mkdir(parents=True, exist_ok=True)
        engine.model.save_pretrained(folder, state_dict=weights)
        processor.save(folder)


def load_checkpoint(folder: Path, engine: Engine) -> dict[str, Any]:
    """Restore weights and optimizer, on any number of ranks and any ZeRO stage.

    Weights that are not trained stay as policy.path has them, so adapters are never merged twice.
    Returns the trainer's state. Raises CheckpointError for an incomplete folder.
    """
    state = read_trainer_state(folder)
    old, new = state.get("lora"), _lora(engine)
    if old != new:
        raise CheckpointError(
            f"{folder}: was written with {_difference(old, new)}, this run has "
            f"{_difference(new, old)}; resume with the same, or start anew from its policy/ folder"
        )
    try:
        shards = [safe_open(path, "pt") for path in sorted((folder / "optimizer").iterdir())]
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f"{folder}: damaged ({error}); use an earlier one") from error
    where = {key: shard for shard in shards for key in shard.keys()}  # noqa: SIM118 (not a dict)

    def lookup(name: str, key: str) -> Tensor:
        if f"{key}/{name}" not in where:
            raise CheckpointError(f"{folder}: has no {key} of {name}; it is of another model")
        tensor: Tensor = where[f"{key}/{name}"].get_tensor(f"{key}/{name}")
        return tensor

    write_state(engine.deepspeed, engine.zero_stage, lookup, updates=state["updates"])
    engine.updates = state["updates"]
    return state


def read_trainer_state(folder: Path) -> dict[str, Any]:
    """The checkpoint's trainer_state.json.

    Raises CheckpointError when the folder is incomplete or of another format.
    """
    if not (folder / COMPLETE).is_file():
        raise CheckpointError(
            f"{folder}: not a complete checkpoint (no {COMPLETE} file); use an earlier one"
        )
    state: dict[str, Any] = json.loads((folder / "trainer_state.json").read_text("utf-8"))
    if state.get("format") != FORMAT_VERSION:
        raise CheckpointError(
            f"{folder}: has format {state.get('format')}, this version reads {FORMAT_VERSION}"
        )
    return state


def latest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint with the highest step below `folder`, if any."""
    complete = [path.parent for path in folder.glob(f"step-*/{COMPLETE}")]
    return max(complete, key=lambda path: path.name, default=None)


def checkpoint_path(folder: Path, step: int) -> Path:
    return folder / f"step-{step:06d}"


def best_checkpoint(folder: Path) -> tuple[Path, float] | None:
    """The complete checkpoint with the highest held-out accuracy, the latest of equals."""
    scored = _by_accuracy(folder)
    return scored[-1][::-1] if scored else None


def prune_checkpoints(folder: Path, *, keep_last: int, keep_best: int = 0) -> None:
    """Delete complete checkpoints but the newest ones and the best of the others."""
    complete = sorted(path.parent for path in folder.glob(f"step-*/{COMPLETE}"))
    kept = set(complete[-keep_last:])
    best = [path for _, path in reversed(_by_accuracy(folder))]
    kept |= set(best[:keep_best])
    for old in complete:
        if old not in kept:
            (old / COMPLETE).unlink()  # first: a half-deleted folder is not taken for whole
            shutil.rmtree(old)


def _by_accuracy(folder: Path) -> list[tuple[float, Path]]:
    """The complete checkpoints that were evaluated, the best last, the later of equals after."""
    complete = [path.parent for path in folder.glob(f"step-*/{COMPLETE}")]
    found = [(read_trainer_state(path).get("accuracy"), path) for path in complete]
    return sorted((accuracy, path) for accuracy, path in found if accuracy is not None)


def _save_optimizer(folder: Path, engine: Engine, *, writes: bool) -> None:
    shard: dict[str, Tensor] = {}
    count = size = 0
    for name, tensors in read_state(engine.deepspeed, engine.zero_stage):
        if not writes:
            continue
        shard |= {f"{key}/{name}": tensor for key, tensor in tensors.items()}
        size += sum(tensor.nbytes for tensor in tensors.values())
        if size >= SHARD_BYTES:
            save_file(shard, folder / f"{count:05d}.safetensors")
            shard, size, count = {}, 0, count + 1
    if shard:
        save_file(shard, folder / f"{count:05d}.safetensors")


def _lora(engine: Engine) -> dict[str, Any] | None:
    return None if engine.lora is None else engine.lora.model_dump(mode="json")


def _difference(lora: dict[str, Any] | None, other: dict[str, Any] | None) -> str:
    """What `lora` says that `other` does not."""
    if lora is None or other is None:
        return f"policy.lora.rank={lora['rank']}" if lora else "policy.lora=null"
    return " ".join(f"policy.lora.{k}={v}" for k, v in lora.items() if other.get(k) != v)
