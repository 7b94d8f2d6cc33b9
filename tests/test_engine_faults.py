"""Faults inside an update, at every ZeRO stage: what was skipped or redone leaves no trace."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_worker import GROUP_SIZE, fixed_groups
from torch import Tensor

from adora_mm import distributed
from adora_mm import engine as engine_module
from adora_mm.batching import Minibatch
from adora_mm.config import EngineConfig, LossConfig, PolicyConfig, TrainConfig
from adora_mm.engine import Engine
from adora_mm.faults import SKIPPED
from adora_mm.losses import LossInputs, LossOutput
from adora_mm.microbatch_memory import MemoryFault
from adora_mm.processor import Processor
from adora_mm.step import minibatches_of
from data_prep.tiny_model import build_model, build_tokenizer, save_folder

STAGES = (0, 1, 2, 3)
LOSS = LossConfig(kl_coef=0.0)


@pytest.fixture(scope="module")
def model(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faults") / "model"
    tokenizer = build_tokenizer(["Find x. 47+68=115."], vocab_size=300)
    tiny = build_model(
        tokenizer, hidden_size=64, num_layers=2, vision_hidden_size=64, vision_depth=1
    )
    save_folder(folder, tiny, tokenizer)
    return folder


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def make(model: Path, said: list[str]) -> Callable[[int], Engine]:
    _, _, device = distributed.start(threads=1)

    def build(stage: int) -> Engine:
        return Engine(
            model,
            policy=PolicyConfig(path=str(model)),
            train=TrainConfig(total_steps=1, learning_rate=1e-2, groups_per_microbatch=3),
            engine=EngineConfig(zero_stage=stage),
            loss=LOSS,
            temperature=1.0,
            banned_token_ids=(),
            max_response_tokens=16,
            group_size=GROUP_SIZE,
            total_updates=10,
            device=device,
            say=said.append,
        )

    return build


@pytest.fixture(scope="module")
def batch(model: Path) -> Minibatch:
    """Two micro-batches of three groups."""
    processor = Processor(model)
    (minibatch,) = minibatches_of(
        fixed_groups(processor),
        LOSS,
        TrainConfig(total_steps=1, groups_per_microbatch=3),
        num_minibatches=1,
        batching="prefix",
        pad=processor.pad_token_id,
    )
    return minibatch


def weights(engine: Engine) -> dict[str, Tensor]:
    return {name: weight.clone() for name, weight in engine.named_weights()}


def difference(a: dict[str, Tensor], b: dict[str, Tensor]) -> float:
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def update(engine: Engine, batch: Minibatch) -> dict[str, float]:
    return engine.update(engine.add_logprobs(batch))


@pytest.mark.parametrize("fault", ["loss", "gradient"])
@pytest.mark.parametrize("stage", STAGES)
def test_a_step_that_is_not_finite_is_not_taken_and_leaves_nothing_behind(
    make: Callable[[int], Engine],
    batch: Minibatch,
    stage: int,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, engine = make(stage), make(stage)
    update(plain, batch)
    before = weights(engine)
    with monkeypatch.context() as patch:
        patch.setattr(engine_module, "policy_loss", poisoned(fault))
        metrics = update(engine, batch)
    assert metrics[SKIPPED] == 1
    assert engine.updates == 0
    assert difference(weights(engine), before) == 0
    assert update(engine, batch)[SKIPPED] == 0
    assert engine.updates == 1
    assert difference(weights(engine), weights(plain)) == 0
    assert difference(weights(engine), before) > 1e-3


def poisoned(fault: str) -> Callable[..., LossOutput]:
    """The policy loss, not a number in its first call: the loss itself, or its gradient alone."""
    calls: list[int] = []

    def loss(inputs: LossInputs, config: LossConfig) -> LossOutput:
        output = policy_loss(inputs, config)
        calls.append(1)
        if len(calls) > 1:
            return output
        if fault == "loss":
            return LossOutput(loss=output.loss * math.nan, metrics=output.metrics)
        zero = (inputs.logprobs_BT.sum() * 0).sqrt() * 0  # 0, with an infinite slope times zero
        return LossOutput(loss=output.loss + zero, metrics=output.metrics)

    return loss


policy_loss = engine_module.policy_loss


def no_room(engine: Engine, monkeypatch: pytest.MonkeyPatch, where: str, times: int) -> None:
    """Out of memory in the second micro-batch, in its forward or in the middle of its backward."""
    calls: list[int] = []

    def fail(*_: Any) -> None:
        calls.append(1)
        if 2 <= len(calls) < 2 + times:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nMore.")

    if where == "backward":
        layer = engine.model.model.language_model.layers[0]
        layer.register_full_backward_hook(fail)
        return

    def loss(inputs: LossInputs, config: LossConfig) -> LossOutput:
        fail()
        return policy_loss(inputs, config)

    monkeypatch.setattr(engine_module, "policy_loss", loss)


@pytest.mark.parametrize("where", ["forward", "backward"])
@pytest.mark.parametrize("stage", STAGES)
def test_out_of_memory_halves_the_micro_batches_once(
    make: Callable[[int], Engine],
    batch: Minibatch,
    stage: int,
    where: str,
    said: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plain, engine = make(stage), make(stage)
    update(plain, batch)
    no_room(engine, monkeypatch, where, times=1)
    assert update(engine, batch)[SKIPPED] == 0
    assert difference(weights(engine), weights(plain)) < 2e-4
    assert len(said) == 1
    assert "micro-batch of 9 rollouts" in said[0]
    assert "Tried to allocate 2.00 GiB" in said[0]
    assert "More" not in said[0]
    update(engine, batch)
    update(plain, batch)
    assert difference(weights(engine), weights(plain)) < 4e-4
    assert len(said) == 1


def test_halves_that_do_not_fit_stop_the_run_with_the_way_on(
    make: Callable[[int], Engine], batch: Minibatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = make(0)
    no_room(engine, monkeypatch, "forward", times=9)
    told = r"after halving .* 5 rollouts .*groups_per_microbatch or train\.max_tokens_per_microb"
    with pytest.raises(MemoryFault, match=told):
        update(engine, batch)
