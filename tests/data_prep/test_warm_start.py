"""The supervised warm start: its texts, its fast image path, and steps that lower the loss."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adora_mm.models import PromptBatch, ResponseScorer, collate_prompts
from adora_mm.processor import Processor
from adora_mm.types import Problem
from data_prep.synthetic import generate
from data_prep.tiny_model import build_image_processor, build_model, build_tokenizer, save_folder
from data_prep.tiny_policy import FAMILIES
from data_prep.warm_start import (
    FORMS,
    Example,
    KnownFeatures,
    WarmStart,
    _loss,
    encode_example,
    patchify,
    precompute_features,
    see,
    solution_text,
    train,
)

Drawn = list[tuple[Problem, Image.Image]]

SOLVED = Problem(
    id="p",
    question="Find x.",
    answer="65",
    metadata={
        "givens": [["angle A", "47"], ["angle B", "68"]],
        "steps": ["47+68=115", "180-115=65"],
    },
)


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Six generated problems with their pictures."""
    return list(
        generate(count=6, split="train", seed=7, families=FAMILIES, image_px=112, variants=6)
    )


@pytest.fixture(scope="module")
def folder(drawn: Drawn, one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [t for p, _ in drawn for t in (p.question, *(solution_text(p, f) for f in FORMS))]
    tokenizer = build_tokenizer(texts * 10, vocab_size=320)
    path = tmp_path_factory.mktemp("policy")
    save_folder(path, small_model(tokenizer), tokenizer)
    return path


def small_model(tokenizer: Any) -> torch.nn.Module:
    return build_model(
        tokenizer, hidden_size=64, num_layers=2, vision_hidden_size=64, vision_depth=1, seed=3
    )


def encoded(drawn: Drawn, processor: Processor) -> list[Example]:
    return [encode_example(processor, problem, np.asarray(image)) for problem, image in drawn]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("full", "47 68. 47+68=115. 180-115=65. \\boxed{65}"),
        ("brief", "180-115=65. \\boxed{65}"),
        ("direct", "\\boxed{65}"),
    ],
)
def test_the_three_forms_of_a_solution(form: str, text: str) -> None:
    assert solution_text(SOLVED, form) == text


def test_every_form_of_every_generated_problem_ends_in_its_answer(drawn: Drawn) -> None:
    for problem, _ in drawn:
        forms = {form: solution_text(problem, form) for form in FORMS}
        assert all(text.endswith(f"\\boxed{{{problem.answer}}}") for text in forms.values())
        assert len(forms["full"]) > len(forms["brief"]) > len(forms["direct"])


@pytest.mark.parametrize("size", [(112, 112), (140, 84), (56, 196)])
def test_patchify_equals_the_image_processor(size: tuple[int, int]) -> None:
    width, height = size
    images = np.random.default_rng(0).integers(0, 256, (3, height, width, 3), dtype=np.uint8)
    processor = build_image_processor()
    patches, grid = patchify(images, processor)
    theirs = processor(images=[Image.fromarray(image) for image in images], return_tensors="pt")
    assert torch.equal(grid, theirs["image_grid_thw"])
    torch.testing.assert_close(patches, theirs["pixel_values"], atol=2e-6, rtol=0)


def test_examples_hold_the_prompt_the_picture_and_closed_answers(
    drawn: Drawn, folder: Path
) -> None:
    processor = Processor(folder)
    for (problem, image), example in zip(drawn, encoded(drawn, processor), strict=True):
        prompt = processor.encode_images(problem, [image])
        assert example.prompt.token_ids == prompt.token_ids
        assert example.pixels.shape == (112, 112, 3)
        for form in FORMS:
            *body, end = example.responses[form]
            assert end == processor.tokenizer.eos_token_id
            assert processor.decode(body) == solution_text(problem, form)


STILL = WarmStart(views=1, shift_px=0)
"""One view of each picture, not moved."""


def fixed_scorer(model: torch.nn.Module, features_BTH: torch.Tensor) -> KnownFeatures:
    scorer = KnownFeatures(model, temperature=1.0, banned_token_ids=())
    scorer.features_BTH = features_BTH
    return scorer


def test_known_features_give_the_loss_of_the_vision_tower(drawn: Drawn, folder: Path) -> None:
    """The batch's loss equals the plain path's: one prompt at a time, through the tower."""
    processor = Processor(folder)
    model = small_model(processor.tokenizer).eval()
    examples = encoded(drawn, processor)
    forms = ["full", "brief", "direct", "full", "direct", "brief"]
    (features,) = precompute_features(model, processor, examples, STILL, random.Random(0))
    fast = _loss(fixed_scorer(model, features), examples, forms, processor.pad_token_id)

    plain = ResponseScorer(model, temperature=1.0, banned_token_ids=())
    losses = []
    for (problem, image), example, form in zip(drawn, examples, forms, strict=True):
        prompt = collate_prompts([processor.encode_images(problem, [image])], 0)
        response = torch.tensor([example.responses[form]])
        mask = torch.ones(response.shape)
        logprobs, _ = plain(prompt, response, mask, (0,), response.shape[1])
        losses.append(-logprobs.mean())
    torch.testing.assert_close(fast, torch.stack(losses).mean(), atol=1e-5, rtol=0)


def test_known_features_are_used_in_the_order_of_the_batch(drawn: Drawn, folder: Path) -> None:
    processor = Processor(folder)
    model = small_model(processor.tokenizer).eval()
    examples = encoded(drawn, processor)
    (features,) = precompute_features(model, processor, examples, STILL, random.Random(0))
    assert features.shape == (len(drawn), 16, 64)  # 4 x 4 cells of a picture of 112 pixels
    alone = see(model, processor, examples[2:3], 0, random.Random(0))
    torch.testing.assert_close(features[2:3], alone, atol=1e-5, rtol=1e-5)
    output, _ = fixed_scorer(model, features)._features(pictureless(processor, examples))
    assert all(
        torch.equal(mine, given) for mine, given in zip(output.pooler_output, features, strict=True)
    )


def pictureless(processor: Processor, examples: list[Example]) -> PromptBatch:
    ids = torch.tensor([examples[0].prompt.token_ids])
    return PromptBatch(
        ids_PT=ids,
        mask_PT=torch.ones_like(ids),
        pixel_values=None,
        image_grid_thw=None,
        images_per_prompt=(1,),
    )


def test_features_are_kept_for_every_view_of_every_picture(drawn: Drawn, folder: Path) -> None:
    processor = Processor(folder)
    model = small_model(processor.tokenizer).eval()
    examples = encoded(drawn, processor)
    settings = WarmStart(views=2, shift_px=0)
    features = precompute_features(model, processor, examples, settings, random.Random(0))
    assert features.shape == (2, len(drawn), (112 // 28) ** 2, 64)
    assert torch.equal(features[0], features[1])  # without a shift all views are the same
    assert not features.requires_grad
    moved = precompute_features(model, processor, examples, WarmStart(views=2), random.Random(0))
    assert not torch.allclose(moved[0], moved[1], atol=1e-3)


def trained(
    drawn: Drawn, folder: Path, steps: int, *, eyes_open_from: float = 0.9
) -> tuple[torch.nn.Module, list[float]]:
    processor = Processor(folder)
    model = small_model(processor.tokenizer)
    settings = WarmStart(
        steps=steps,
        batch_size=4,
        learning_rate=3e-3,
        warmup_steps=5,
        eyes_open_from=eyes_open_from,
        views=2,
        seed=1,
    )
    losses: list[float] = []
    train(
        model,
        processor,
        encoded(drawn, processor),
        settings,
        report=lambda _step, loss, _s: losses.append(loss),
    )
    return model, losses


def test_training_lowers_the_loss(drawn: Drawn, folder: Path) -> None:
    model, losses = trained(drawn, folder, 100)
    assert len(losses) == 2
    assert losses[1] < 0.75 * losses[0]
    assert not model.training


@pytest.mark.parametrize(("eyes_open_from", "trains"), [(1.0, False), (0.5, True)])
def test_the_eyes_train_only_once_they_are_opened(
    drawn: Drawn, folder: Path, eyes_open_from: float, trains: bool
) -> None:
    model, _ = trained(drawn, folder, 4, eyes_open_from=eyes_open_from)
    start = dict(small_model(Processor(folder).tokenizer).named_parameters())
    changed = {
        name for name, weight in model.named_parameters() if not torch.equal(weight, start[name])
    }
    assert any(name.startswith("model.language_model") for name in changed)
    assert any(name.startswith("model.visual") for name in changed) == trains


def test_training_repeats_itself(drawn: Drawn, folder: Path) -> None:
    random.seed(1)  # the global generators play no part
    first, _ = trained(drawn, folder, 6, eyes_open_from=0.5)
    random.seed(2)
    torch.manual_seed(99)
    second, _ = trained(drawn, folder, 6, eyes_open_from=0.5)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
