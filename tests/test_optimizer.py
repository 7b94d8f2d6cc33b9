"""What is trained and how fast."""

from __future__ import annotations

from typing import Any

import pytest
from model_fixtures import TinyModels
from pydantic import ValidationError

from adora_mm.config import PolicyConfig, RunConfig, TrainConfig
from adora_mm.optimizer import build_optimizer, freeze_parts, learning_rate, set_learning_rates


def trained(model: Any) -> set[str]:
    return {name for name, p in model.named_parameters() if p.requires_grad}


def test_each_part_can_be_frozen(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen3_vl")
    everything = trained(tiny.load())
    tower = {name for name in everything if name.startswith("model.visual.")}
    assert 0 < len(tower) < len(everything)
    for policy, expected in (
        (PolicyConfig(), everything),
        (PolicyConfig(freeze_vision=True), everything - tower),
        (PolicyConfig(freeze_language=True), tower),
    ):
        model = tiny.load()
        freeze_parts(model, policy)
        assert trained(model) == expected


@pytest.mark.parametrize("key", ["freeze_vision", "freeze_language"])
def test_a_text_model_has_no_parts_to_freeze(tiny_model: TinyModels, key: str) -> None:
    with pytest.raises(ValueError, match=rf"policy.{key}=true, but .* no vision tower"):
        freeze_parts(tiny_model("qwen2").load(), PolicyConfig(**{key: True}))


def test_the_tower_has_its_own_rate_and_matrices_alone_decay(tiny_model: TinyModels) -> None:
    model = tiny_model("qwen2_5_vl").load()
    train = TrainConfig(
        total_steps=1,
        learning_rate=1e-3,
        vision_learning_rate=1e-4,
        weight_decay=0.1,
        warmup_steps=4,
    )
    optimizer = build_optimizer(model, train)
    rates = set_learning_rates(optimizer, train, 1, total_updates=10)
    assert rates == pytest.approx({"optim/lr": 5e-4, "optim/lr_vision": 5e-5})
    found = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert len(optimizer.param_groups) == 4
    for name, parameter in model.named_parameters():
        rate = 5e-5 if name.startswith("model.visual.") else 5e-4
        decay = 0.1 if parameter.dim() > 1 else 0.0
        assert found[id(parameter)] == pytest.approx((rate, decay)), name


def test_one_rate_is_the_default(tiny_model: TinyModels) -> None:
    train = TrainConfig(total_steps=1, learning_rate=1e-3)
    optimizer = build_optimizer(tiny_model("qwen2_5_vl").load(), train)
    assert set_learning_rates(optimizer, train, 0, total_updates=10) == {"optim/lr": 1e-3}
    assert [group["lr"] for group in optimizer.param_groups] == [1e-3, 1e-3]


def test_a_text_model_has_no_tower_for_a_rate(tiny_model: TinyModels) -> None:
    train = TrainConfig(total_steps=1, vision_learning_rate=1e-4)
    with pytest.raises(ValueError, match=r"vision_learning_rate is set, but .* no vision tower"):
        build_optimizer(tiny_model("qwen2").load(), train)


def test_a_frozen_part_is_in_no_group(tiny_model: TinyModels) -> None:
    model = tiny_model("qwen2_5_vl").load()
    freeze_parts(model, PolicyConfig(freeze_language=True))
    optimizer = build_optimizer(model, TrainConfig(total_steps=1))
    own = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert own == {id(p) for p in model.model.visual.parameters()}


@pytest.mark.parametrize(
    ("policy", "train", "line"),
    [
        ({"freeze_vision": True, "freeze_language": True}, {}, "leave nothing to train"),
        ({"freeze_vision": True, "lora": {"vision": True}}, {}, "exclude each other"),
        ({"freeze_language": True, "lora": {}}, {}, "needs policy.lora.vision=true"),
        ({"freeze_vision": True}, {"vision_learning_rate": 1e-5}, "set policy.freeze_vision=false"),
        ({"lora": {}}, {"vision_learning_rate": 1e-5}, "set policy.lora.vision=true"),
    ],
)
def test_choices_without_effect_are_refused(
    policy: dict[str, Any], train: dict[str, Any], line: str
) -> None:
    recipe = {"name": "a", "data": {"train": "x"}, "policy": policy}
    with pytest.raises(ValidationError, match=line):
        RunConfig.model_validate(recipe | {"train": {"total_steps": 1, **train}})


@pytest.mark.parametrize(
    ("settings", "update", "expected"),
    [
        ({"schedule": "constant"}, 7, 1.0),
        ({"schedule": "constant", "warmup_steps": 4}, 1, 0.5),
        ({"schedule": "cosine", "min_lr_ratio": 0.1}, 0, 1.0),
        ({"schedule": "cosine", "min_lr_ratio": 0.1}, 50, 0.55),
        ({"schedule": "cosine", "min_lr_ratio": 0.1}, 100, 0.1),
        ({"schedule": "cosine", "min_lr_ratio": 0.1, "warmup_steps": 20}, 9, 0.5),
        ({"schedule": "cosine", "min_lr_ratio": 0.1, "warmup_steps": 20}, 60, 0.55),
    ],
)
def test_learning_rate_schedule(settings: dict, update: int, expected: float) -> None:
    config = TrainConfig(total_steps=1, learning_rate=1.0, **settings)
    assert learning_rate(config, update, total_updates=100) == pytest.approx(expected)
