"""Adapters: what is trained, the three views of an adapted policy, and what gets a clear line.

That shared rows equal single sequences with adapters too is in `test_models.py`, updates over
processes and ZeRO stages in `test_engine.py`, whole runs in `test_trainer.py`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from model_fixtures import KINDS, VISION_KINDS, Tiny, TinyModels, random_response
from peft import PeftModel
from torch import Tensor

from adora_mm.checkpoint import CheckpointError, load_checkpoint
from adora_mm.config import LoraConfig, PolicyConfig
from adora_mm.lora import (
    adapter_weights,
    adapters_off,
    add_adapters,
    plain_weights,
    save_adapter,
)
from adora_mm.models import ResponseScorer, collate_prompts, load_policy


@torch.no_grad()
def logprobs(tiny: Tiny, model: Any, batching: str = "padded") -> Tensor:
    """Of a response to each of the first three prompts (0, 1 and 2 pictures)."""
    scorer = ResponseScorer(model, temperature=1.0, banned_token_ids=(), batching=batching)
    prompts = collate_prompts(tiny.prompts[:3], tiny.processor.pad_token_id)
    ids_BT = torch.tensor([random_response(tiny, 8, seed) for seed in range(3)])
    scored: Tensor = scorer(prompts, ids_BT, torch.ones_like(ids_BT), (0, 1, 2), ids_BT.numel())[0]
    return scored


def adapted(tiny: Tiny, **settings: Any) -> Any:
    """A model with new adapters."""
    model = tiny.load()
    freeze = settings.pop("freeze_language", False)
    policy = PolicyConfig(lora=LoraConfig(**settings), freeze_language=freeze)
    add_adapters(model, policy, seed=0)
    return model


def trained(model: Any) -> list[str]:
    return [name for name, p in model.named_parameters() if p.requires_grad]


@pytest.mark.parametrize("kind", KINDS)
def test_new_adapters_change_nothing_and_are_all_that_is_trained(
    tiny_model: TinyModels, kind: str
) -> None:
    tiny = tiny_model(kind)
    model = adapted(tiny, rank=4, vision=tiny.has_vision)
    assert torch.equal(logprobs(tiny, model), logprobs(tiny, tiny.load()))
    adapters = [name for name, _ in model.named_parameters() if ".lora_" in name]
    assert trained(model) == adapters
    layers = len(model.get_decoder().layers)
    assert sum(".visual." not in name for name in adapters) == layers * 7 * 2
    assert any(".visual." in name for name in adapters) == tiny.has_vision


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_parts_get_adapters_by_choice(tiny_model: TinyModels, kind: str) -> None:
    """The tower has layers of the same last names as the language model."""
    tiny = tiny_model(kind)
    language = trained(adapted(tiny))
    assert language
    assert not any(".visual." in name for name in language)
    two = trained(adapted(tiny, targets=("q_proj", "up_proj")))
    assert len(two) == len(language) * 2 / 7
    tower = trained(adapted(tiny, vision=True, freeze_language=True))
    assert tower
    assert all(".visual." in name for name in tower)
    linear = [m for m in tiny.load().model.visual.modules() if isinstance(m, torch.nn.Linear)]
    assert len(tower) == 2 * len(linear)


def test_adapters_begin_the_same_for_the_same_seed(tiny_model: TinyModels) -> None:
    """Whatever was drawn before, and nothing after it is drawn otherwise."""

    def first(seed: int) -> Tensor:
        model = tiny_model("qwen2").load()
        state = torch.get_rng_state()
        add_adapters(model, PolicyConfig(lora=LoraConfig()), seed=seed)
        assert torch.equal(torch.get_rng_state(), state)
        torch.rand(1)
        weight: Tensor = model.model.layers[0].self_attn.q_proj.lora_A.default.weight
        return weight

    assert torch.equal(first(3), first(3))
    assert not torch.equal(first(3), first(4))


@pytest.mark.parametrize("kind", KINDS)
def test_without_its_adapters_it_is_the_starting_policy(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    model, reference = tiny.load("prefix", adapters=True), tiny.load("prefix")
    with_adapters = logprobs(tiny, model, "prefix")
    assert (with_adapters - logprobs(tiny, reference, "prefix")).abs().max() > 0.05
    with adapters_off(model):
        assert torch.equal(logprobs(tiny, model, "prefix"), logprobs(tiny, reference, "prefix"))
    assert torch.equal(logprobs(tiny, model, "prefix"), with_adapters)


@pytest.mark.parametrize("kind", KINDS)
def test_the_merged_model_is_plain_and_computes_the_same(
    tiny_model: TinyModels, kind: str, tmp_path: Path
) -> None:
    tiny = tiny_model(kind)
    model, base = tiny.load(adapters=True), dict(tiny.load().named_parameters())
    merged = dict(plain_weights(model, partitioned=False))
    assert merged.keys() == base.keys()
    model.save_pretrained(tmp_path, state_dict=merged)
    untouched = [n for n, p in base.items() if torch.equal(merged[n], p)]
    assert 0 < len(untouched) < len(base)
    for name, parameter in model.named_parameters():  # the policy itself was not merged
        if ".lora_" not in name:
            assert torch.equal(parameter, base[name.replace(".base_layer.", ".")]), name
    # In double precision, so that only what merging rounds is left.
    saved = load_policy(tmp_path).eval().double()
    torch.testing.assert_close(
        logprobs(tiny, saved), logprobs(tiny, model.double()), atol=5e-6, rtol=0
    )


@pytest.mark.parametrize("kind", ["qwen3_vl", "qwen2"])
def test_peft_loads_the_adapter_onto_the_base(
    tiny_model: TinyModels, kind: str, tmp_path: Path
) -> None:
    tiny = tiny_model(kind)
    model = tiny.load(adapters=True)
    weights = adapter_weights(model, partitioned=False)
    save_adapter(tmp_path / "adapter", model, weights, writes=True)
    theirs = PeftModel.from_pretrained(tiny.load(), str(tmp_path / "adapter")).eval()
    assert torch.equal(logprobs(tiny, theirs.base_model.model), logprobs(tiny, model))
    merged = dict(theirs.merge_and_unload().named_parameters())
    for name, weight in plain_weights(model, partitioned=False):
        torch.testing.assert_close(merged[name].detach(), weight, atol=1e-6, rtol=0)


def test_half_precision_is_rounded_once(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2")
    model = tiny.load(adapters=True)
    exact = dict(plain_weights(model, partitioned=False))
    model.bfloat16()
    layer = model.model.layers[0].self_attn.q_proj
    name = "model.layers.0.self_attn.q_proj.weight"
    merged = dict(plain_weights(model, partitioned=False))[name]
    a, b = layer.lora_A.default.weight.double(), layer.lora_B.default.weight.double()
    wanted = layer.base_layer.weight.double() + 8 * (b @ a)  # alpha 32 over rank 4
    assert merged.dtype == torch.bfloat16
    assert torch.equal(merged, wanted.bfloat16())
    assert (merged - exact[name]).abs().max() < 0.02


# -- what gets one line -------------------------------------------------------------------------


def test_a_target_that_fits_nothing_is_refused(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    with pytest.raises(ValueError, match=r"no linear layer 'qkv'; it has down_proj, gate_proj"):
        adapted(tiny, targets=("q_proj", "qkv"))  # the tower's name for it
    with pytest.raises(ValueError, match="no linear layer 'lm_head'"):
        adapted(tiny, targets=("lm_head",))


def test_a_text_model_has_no_tower_to_adapt(tiny_model: TinyModels) -> None:
    with pytest.raises(ValueError, match=r"policy.lora.vision=true, but .* no vision tower"):
        adapted(tiny_model("qwen2"), vision=True)


def test_without_peft_it_says_what_to_install(
    tiny_model: TinyModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ValueError, match=r"pip install 'adora-mm\[lora\]'"):
        adapted(tiny_model("qwen2"))


@pytest.mark.parametrize(
    ("written", "wanted", "line"),
    [
        ({"rank": 8}, {"rank": 4}, "with policy.lora.rank=8, this run has policy.lora.rank=4;"),
        (None, {"rank": 4}, "with policy.lora=null, this run has policy.lora.rank=4;"),
        ({"rank": 8}, None, "with policy.lora.rank=8, this run has policy.lora=null;"),
    ],
)
def test_a_checkpoint_of_other_adapters_is_refused(
    tmp_path: Path, written: Any, wanted: Any, line: str
) -> None:
    (tmp_path / "COMPLETE").write_text("1\n")
    lora = None if written is None else LoraConfig(**written).model_dump(mode="json")
    state = {"format": 1, "updates": 0, "lora": lora}
    (tmp_path / "trainer_state.json").write_text(json.dumps(state))
    engine: Any = SimpleNamespace(lora=None if wanted is None else LoraConfig(**wanted))
    with pytest.raises(CheckpointError, match=re.escape(line)):
        load_checkpoint(tmp_path, engine)
