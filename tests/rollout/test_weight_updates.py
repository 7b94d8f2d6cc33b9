"""Weights of `TransformersBackend`: updates, refusals, sleep, and training on them afterwards."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from model_fixtures import KINDS, Tiny, TinyModels, save_tiny
from rollout_fixtures import tokens

from adora_mm.faults import NonFiniteError
from adora_mm.models import ResponseScorer, collate_prompts, load_policy
from adora_mm.rollout import Sampling, build_backend
from adora_mm.rollout.transformers import TransformersBackend

SAMPLING = Sampling(num_completions=2, max_new_tokens=12, temperature=0.9)


def backend_of(tiny: Tiny) -> TransformersBackend:
    return TransformersBackend(tiny.folder, tiny.processor)


@pytest.mark.parametrize("kind", KINDS)
def test_updated_weights_are_those_that_answer(
    tiny_model: TinyModels, kind: str, tmp_path: Path
) -> None:
    tiny = tiny_model(kind)
    save_tiny(kind, tmp_path, seed=1)
    backend = backend_of(tiny)
    before = backend.generate(tiny.prompts, SAMPLING)
    backend.update_weights(load_policy(tmp_path).named_parameters(), version=3)
    after = backend.generate(tiny.prompts, SAMPLING)
    fresh = TransformersBackend(tmp_path, tiny.processor).generate(tiny.prompts, SAMPLING)
    assert backend.version == 3
    assert after == fresh
    assert tokens(after) != tokens(before)


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3"])
def test_incomplete_or_foreign_weights_are_refused(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    backend = backend_of(tiny)
    weights = dict(tiny.load().named_parameters())
    name, weight = next(iter(weights.items()))
    with pytest.raises(ValueError, match=f"nothing came for .*{name}"):
        backend.update_weights([(n, w) for n, w in weights.items() if n != name], version=1)
    with pytest.raises(ValueError, match=r"no parameter module\.extra"):
        backend.update_weights([*weights.items(), ("module.extra", weight)], version=1)
    with pytest.raises(ValueError, match=f"{name} came with shape"):
        backend.update_weights((weights | {name: weight[:1]}).items(), version=1)
    assert backend.version == 0


def test_updates_are_copies(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2")
    backend = backend_of(tiny)
    trainer = tiny.load()
    backend.update_weights(trainer.named_parameters(), version=1)
    expected = backend.generate(tiny.prompts, SAMPLING)
    with torch.no_grad():
        for weight in trainer.parameters():
            weight.mul_(-1)
    assert backend.generate(tiny.prompts, SAMPLING) == expected


def test_sleep_and_wake_change_nothing(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    backend = build_backend("transformers", str(tiny.folder), tiny.processor, max_rows=64)
    expected = backend.generate(tiny.prompts, SAMPLING)
    backend.sleep()
    backend.wake()
    assert backend.generate(tiny.prompts, SAMPLING) == expected
    assert backend.generate([], SAMPLING) == []
    backend.close()


def test_weights_can_be_updated_and_trained_on_after_generation(tiny_model: TinyModels) -> None:
    """Inference mode must not leak into tensors that a later backward pass needs."""
    tiny = tiny_model("qwen2_5_vl")
    backend = backend_of(tiny)
    backend.generate(tiny.prompts, SAMPLING)
    scorer = ResponseScorer(backend.model, temperature=1.0, banned_token_ids=())
    batch = collate_prompts(tiny.prompts[:2], tiny.processor.pad_token_id)
    logprobs, _ = scorer(batch, torch.tensor([[5, 6]] * 2), torch.ones(2, 2), (0, 1), 4)
    logprobs.sum().backward()
    assert all(weight.grad is not None for weight in backend.model.parameters())


def test_broken_weights_are_told_before_they_answer(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2")
    backend = backend_of(tiny)
    broken = {name: weight * math.nan for name, weight in tiny.load().named_parameters()}
    backend.update_weights(broken.items(), version=1)
    with pytest.raises(NonFiniteError, match="logits are not finite"):
        backend.generate(tiny.prompts, SAMPLING)
