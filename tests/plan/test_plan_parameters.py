"""Parameters by part: equal to the published totals, and to what a run loads and trains."""

from __future__ import annotations

import json
from typing import Any

import pytest
from model_fixtures import KINDS, TinyModels

from adora_mm.config import LoraConfig, PolicyConfig
from adora_mm.lora import add_adapters
from adora_mm.models import load_policy
from adora_mm.optimizer import freeze_parts
from adora_mm.plan.blueprint import blueprint, count_parts, policy_config
from adora_mm.plan.families import KNOWN

PUBLISHED = {
    "Qwen/Qwen2.5-VL-3B-Instruct": 3_754_622_976,
    "Qwen/Qwen2.5-VL-7B-Instruct": 8_292_166_656,
    "Qwen/Qwen3-VL-8B-Instruct": 8_767_123_696,
    "Qwen/Qwen2.5-3B-Instruct": 3_085_938_688,
    "Qwen/Qwen2.5-7B": 7_615_616_512,
    "Qwen/Qwen2.5-7B-Instruct": 7_615_616_512,
    "Qwen/Qwen3-4B": 4_022_468_096,
    "Qwen/Qwen3-8B": 8_190_735_360,
}
"""Parameters that the hub's pages of these models state (3.75 B, 8.29 B, 8.77 B, ...)."""


def test_every_known_model_has_its_published_size() -> None:
    assert KNOWN.keys() == PUBLISHED.keys()
    for name, total in PUBLISHED.items():
        config, source = policy_config(name)
        model = blueprint(config, PolicyConfig(dtype="bfloat16"))
        assert sum(part.total for part in count_parts(model)) == total, name
        assert source == "a built-in table"


def policies(kind: str) -> list[PolicyConfig]:
    found = [PolicyConfig(), PolicyConfig(lora=LoraConfig(rank=4))]
    if kind.endswith("_vl"):
        found += [
            PolicyConfig(freeze_vision=True),
            PolicyConfig(freeze_language=True),
            PolicyConfig(lora=LoraConfig(rank=3, targets=("q_proj",), vision=True)),
        ]
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_parts_are_those_of_the_loaded_model(kind: str, tiny_model: TinyModels) -> None:
    tiny = tiny_model(kind)
    config, source = policy_config(str(tiny.folder))
    assert source == "its config.json"
    for policy in policies(kind):
        parts = count_parts(blueprint(config, policy))
        loaded: Any = load_policy(tiny.folder)
        freeze_parts(loaded, policy)
        if policy.lora is not None:
            add_adapters(loaded, policy, seed=0)
        sizes = [(p.numel(), p.requires_grad) for p in loaded.parameters()]
        assert sum(part.total for part in parts) == sum(size for size, _ in sizes)
        assert sum(part.trained for part in parts) == sum(size for size, on in sizes if on)
        names = {part.name for part in parts}
        assert ("adapters" in names) == (policy.lora is not None)
        assert ({"vision tower", "projector"} <= names) == kind.endswith("_vl")


def test_a_tied_head_is_counted_once(tiny_model: TinyModels) -> None:
    config, _ = policy_config(str(tiny_model("qwen2").folder))
    assert config.tie_word_embeddings
    assert "head" not in {part.name for part in count_parts(blueprint(config, PolicyConfig()))}


def test_only_config_json_is_read(tiny_model: TinyModels, tmp_path: Any) -> None:
    config = json.loads((tiny_model("qwen3_vl").folder / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config))
    found, _ = policy_config(str(tmp_path))
    assert sum(part.total for part in count_parts(blueprint(found, PolicyConfig()))) > 0


def test_an_unknown_model_is_told_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match=r"someone/model.*Qwen/Qwen2.5-VL-7B-Instruct"):
        policy_config("someone/model")
