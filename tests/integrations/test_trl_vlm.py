"""TRL trains vision-language policies with ADORA, without torchvision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pytest
import torch
import trl
from model_fixtures import PicturesOnly3, PicturesOnly25

from adora_mm.config.algorithm import AdoraConfig
from adora_mm.integrations.trl import AdoraGRPOTrainer, vlm_processor
from adora_mm.models import EMBEDDED_POLICY, load_policy
from adora_mm.processor import Processor
from adora_mm.prompts import question_text
from adora_mm.verify.integrations import accuracy_reward
from data_prep.synthetic import generate

if TYPE_CHECKING:
    from model_fixtures import TinyModels

FAMILIES = ("triangle_angle_sum", "linear_pair")


def geometry(count: int) -> datasets.Dataset:
    """Generated problems in the form that TRL's trainer takes."""
    problems = generate(
        count=count, split="train", seed=1, families=FAMILIES, image_px=140, label_grid_px=14
    )
    return datasets.Dataset.from_list(
        [
            {
                "prompt": [{"role": "user", "content": question_text(problem)}],
                "image": picture,
                "answer": problem.answer,
            }
            for problem, picture in problems
        ]
    )


def last_digit_reward(completion_ids: list[list[int]], **columns: Any) -> list[float]:
    """Something that differs inside a group, as the policy is right in one of fourteen only."""
    return [sum(ids) % 10 / 10 for ids in completion_ids]


def trainer_for(policy: Path, out: Path, **options: Any) -> AdoraGRPOTrainer:
    return AdoraGRPOTrainer(
        model=load_policy(policy),
        processing_class=vlm_processor(policy),
        reward_funcs=[accuracy_reward, last_digit_reward],
        train_dataset=geometry(4),
        args=trl.GRPOConfig(
            output_dir=str(out), num_generations=4, per_device_train_batch_size=8, max_steps=2,
            max_completion_length=40, learning_rate=1e-4, use_cpu=True, bf16=False,
            gradient_checkpointing=False, report_to=[], logging_steps=1, save_strategy="no",
            disable_tqdm=True,
        ),
        **options,
    )  # fmt: skip


@pytest.mark.slow
def test_the_embedded_policy_trains_on_generated_geometry(tmp_path: Path, one_thread: None) -> None:
    trainer = trainer_for(
        EMBEDDED_POLICY, tmp_path, adora=AdoraConfig(lambda_att=0.5, empty_success="tds")
    )
    tower = next(p for name, p in trainer.model.named_parameters() if "visual" in name)
    before = tower.detach().clone()
    batches = []
    loss = trainer._compute_loss

    def watched(model: Any, inputs: dict[str, Any]) -> Any:
        batches.append(inputs)
        return loss(model, inputs)

    trainer._compute_loss = watched
    trainer.train()
    assert len(batches) == 2
    assert all(batch["pixel_values"].shape[0] > 0 for batch in batches)
    log = trainer.state.log_history
    assert [row["step"] for row in log[:2]] == [1, 2]
    assert all(0.5 <= row["adora/weight_mean"] <= 1.0 for row in log[:2])
    assert any(row["adora/weight_mean"] < 1.0 for row in log[:2])
    assert all(row["completions/clipped_ratio"] < 1.0 for row in log[:2]), "answers come to an end"
    assert all(row["grad_norm"] > 0 for row in log[:2])
    assert not torch.equal(before, tower), "the vision tower trains"


def test_a_saved_processor_is_read_back_like_the_models_own(tmp_path: Path) -> None:
    vlm_processor(EMBEDDED_POLICY).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_bytes((EMBEDDED_POLICY / "config.json").read_bytes())
    picture = geometry(1)[0]["image"]
    text = "<|vision_start|><|image_pad|><|vision_end|>Find x."
    inputs = [
        vlm_processor(folder)(images=[picture], text=[text], return_tensors="pt")
        for folder in (EMBEDDED_POLICY, tmp_path)
    ]
    for name, value in inputs[0].items():
        assert torch.equal(value, inputs[1][name]), name


@pytest.mark.parametrize(
    ("kind", "reference"), [("qwen2_5_vl", PicturesOnly25), ("qwen3_vl", PicturesOnly3)]
)
def test_it_encodes_as_transformers_own_processor_does(
    tiny_model: TinyModels, kind: str, reference: Any
) -> None:
    tiny = tiny_model(kind)
    parts = Processor(tiny.folder)
    own = reference(parts.image_processor, parts.tokenizer, None)
    ours = vlm_processor(tiny.folder, min_pixels=None)
    texts, pictures = [], []
    for case in tiny.cases:
        places = "<|vision_start|><|image_pad|><|vision_end|>" * len(case.images)
        texts.append(places + case.problem.question)
        pictures += case.images
    expected = own(images=pictures, text=texts, padding=True, return_tensors="pt")
    got = ours(images=pictures, text=texts, padding=True, return_tensors="pt")
    assert got.keys() == expected.keys()
    for name, value in expected.items():
        assert torch.equal(got[name], value), name


def test_a_text_model_is_refused(tiny_model: TinyModels) -> None:
    with pytest.raises(ValueError, match="reads no images"):
        vlm_processor(tiny_model("qwen2").folder)
