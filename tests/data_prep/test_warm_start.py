"""The supervised warm start: its texts, its fast image path, and steps that lower the loss."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from adora_mm.processor import Processor
from adora_mm.types import Problem
from data_prep.synthetic import generate
from data_prep.tiny_model import build_image_processor, build_model, build_tokenizer, save_folder
from data_prep.tiny_policy import FAMILIES
from data_prep.warm_start import (
    FORMS,
    Example,
    WarmStart,
    encode_example,
    patchify,
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
    return [encode_example(processor, problem, image) for problem, image in drawn]


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
        assert example.prompt_ids == prompt.token_ids
        assert example.pixels.shape == (112, 112, 3)
        for form in FORMS:
            *body, end = example.responses[form]
            assert end == processor.tokenizer.eos_token_id
            assert processor.decode(body) == solution_text(problem, form)


def trained(drawn: Drawn, folder: Path, steps: int) -> tuple[torch.nn.Module, list[float]]:
    processor = Processor(folder)
    model = small_model(processor.tokenizer)
    settings = WarmStart(
        steps=steps, batch_size=4, learning_rate=3e-3, warmup_steps=5, shift_px=2, seed=1
    )
    losses: list[float] = []
    examples = encoded(drawn, processor)
    train(model, processor, examples, settings, report=lambda _step, loss, _s: losses.append(loss))
    return model, losses


def test_training_lowers_the_loss(drawn: Drawn, folder: Path) -> None:
    model, losses = trained(drawn, folder, 100)
    assert len(losses) == 2
    assert losses[1] < 0.75 * losses[0]
    assert not model.training


def test_training_repeats_itself(drawn: Drawn, folder: Path) -> None:
    random.seed(1)  # the global generators play no part
    first, _ = trained(drawn, folder, 6)
    random.seed(2)
    torch.manual_seed(99)
    second, _ = trained(drawn, folder, 6)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
