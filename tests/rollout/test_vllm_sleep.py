"""When the engine in the training process sleeps, wakes and fails, with a stand-in for vLLM's.

On CPUs vLLM does not sleep, so this shows the order of calls; what they free needs a GPU.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from model_fixtures import TinyModels

from adora_mm.config import VllmConfig
from adora_mm.faults import RunFault
from adora_mm.rollout import Sampling, vllm
from adora_mm.rollout.vllm import VllmBackend
from adora_mm.rollout.watched import WatchedBackend
from adora_mm.rollout.weight_sync import Fingerprints, WeightSyncError


class StandIn:
    """As much of `vllm.LLM` as an update needs; it holds what it is sent, or what it is told to."""

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.calls: list[Any] = []
        self.held: dict[str, torch.Tensor] = {}
        self.ignored: set[str] = set()
        self.llm_engine = self.engine_core = self

    def sleep(self, level: int) -> None:
        self.calls.append(("sleep", level))

    def wake_up(self, tags: list[str]) -> None:
        self.calls.append(("wake", *tags))

    def update_weight_version(self, version: str) -> None:
        self.calls.append(("version", version))

    def generate(self, inputs: list[Any], params: list[Any], use_tqdm: bool) -> list[Any]:
        self.calls.append("generate")
        raise RuntimeError("CUDA out of memory")

    def reset_prefix_cache(self) -> None:
        self.calls.append("forget prompts")

    def reset_mm_cache(self) -> None:
        self.calls.append("forget pictures")

    def reset_encoder_cache(self) -> None:
        self.calls.append("forget features")

    def collective_rpc(self, method: str, args: tuple[Any, ...]) -> list[Any]:
        if method == "adora_parameters":
            return [self.names]
        if method == "adora_fingerprints":
            found = Fingerprints(torch.float32)
            for name, weight in self.held.items():
                found.add(name, weight)
            return [found.blocks]
        self.calls.append("load")
        for name, weight in args[0]:
            if name not in self.ignored:
                self.held[name] = weight.clone()
        return [self.names]


def made(
    monkeypatch: pytest.MonkeyPatch, tiny_model: TinyModels, device: str, **options: Any
) -> tuple[VllmBackend, StandIn, dict[str, torch.Tensor]]:
    tiny = tiny_model("qwen2")
    weights = dict(tiny.load().named_parameters())
    engine = StandIn(list(weights))
    monkeypatch.setattr(vllm, "start_engine", lambda *_, **__: engine)
    backend = VllmBackend(
        tiny.folder,
        tiny.processor,
        dtype=torch.float32,
        device=torch.device(device),
        config=VllmConfig(**options),
        max_model_len=64,
    )
    return backend, engine, weights


FORGET = ["forget prompts", "forget pictures", "forget features"]


def test_levels_follow_the_phases_of_a_step(
    monkeypatch: pytest.MonkeyPatch, tiny_model: TinyModels
) -> None:
    backend, engine, weights = made(monkeypatch, tiny_model, "cuda")
    assert engine.calls == [("version", "0"), ("sleep", 1)], "asleep while the trainer loads"
    engine.calls.clear()
    backend.wake()
    backend.sleep(weights_follow=True)
    backend.update_weights(weights.items(), version=1)
    backend.wake()
    backend.sleep()
    assert engine.calls == [
        ("wake", "weights", "kv_cache"),
        ("sleep", 2),
        ("wake", "weights"), "load", *FORGET, ("version", "1"),
        ("wake", "kv_cache"),
        ("sleep", 1),
    ]  # fmt: skip


def test_dropped_weights_are_never_sampled_from(
    monkeypatch: pytest.MonkeyPatch, tiny_model: TinyModels
) -> None:
    backend, _, _ = made(monkeypatch, tiny_model, "cuda")
    backend.wake()
    backend.sleep(weights_follow=True)
    with pytest.raises(RuntimeError, match="dropped its weights and none came"):
        backend.wake()


@pytest.mark.parametrize(("device", "sleep"), [("cpu", True), ("cuda", False)])
def test_an_engine_that_cannot_or_must_not_sleep_stays_awake(
    monkeypatch: pytest.MonkeyPatch, tiny_model: TinyModels, device: str, sleep: bool
) -> None:
    backend, engine, _ = made(monkeypatch, tiny_model, device, sleep=sleep)
    backend.wake()
    backend.sleep(weights_follow=True)
    backend.wake()
    assert engine.calls == [("version", "0")]


def test_an_engine_that_ignores_a_weight_stops_the_run_at_the_first_update(
    monkeypatch: pytest.MonkeyPatch, tiny_model: TinyModels
) -> None:
    backend, engine, weights = made(monkeypatch, tiny_model, "cpu")
    engine.held = {name: weight.detach().clone() for name, weight in weights.items()}
    engine.ignored = {"model.layers.1.mlp.up_proj.weight"}
    new = {name: weight.detach() + 1 for name, weight in weights.items()}
    with pytest.raises(WeightSyncError, match=r"1 of 4 blocks differ \(language/1\)"):
        backend.update_weights(new.items(), version=1)


def test_an_engine_that_fails_is_not_asked_again(
    monkeypatch: pytest.MonkeyPatch, tiny_model: TinyModels, tmp_path: Path
) -> None:
    """Half-done requests stay in it, and ranks that share it count calls."""
    monkeypatch.setitem(sys.modules, "vllm", SimpleNamespace(SamplingParams=dict))
    backend, engine, _ = made(monkeypatch, tiny_model, "cpu")
    watched = WatchedBackend(
        backend, timeout_s=60, retries=3, folder=tmp_path, say=print, leave=pytest.fail
    )
    prompts = tiny_model("qwen2").prompts
    with pytest.raises(RunFault, match=r"vLLM failed \(RuntimeError: CUDA out of memory\); go on"):
        watched.generate(prompts, Sampling(num_completions=1, max_new_tokens=4, temperature=0.0))
    assert engine.calls.count("generate") == 1
