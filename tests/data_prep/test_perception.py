"""First lessons for the eyes: what each cell must say, moved pictures, steps that teach."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from data_prep.drawing import render
from data_prep.perception import CHARACTERS, Label, Perception, cell_targets, shifted, train_eyes
from data_prep.synthetic import generate_layouts
from data_prep.tiny_model import build_image_processor, build_model, build_tokenizer
from data_prep.warm_start import patchify

CELLS = 4
"""A picture of 112 pixels has 4 x 4 cells of 28."""


def spelled(targets: np.ndarray) -> dict[int, str]:
    """Cell -> text, without the empty cells."""
    texts = ["".join(CHARACTERS[n] for n in row if n) for row in targets]
    return {cell: text for cell, text in enumerate(texts) if text}


def label(text: str, x: float, y: float) -> Label:
    return Label(text=text, x=x, y=y)


@pytest.mark.parametrize(
    ("x", "y", "cell"), [(0, 0, 0), (27.5, 27.5, 0), (28, 0, 1), (0, 28, 4), (111.5, 111.5, 15)]
)
def test_a_label_is_said_by_the_cell_of_its_centre(x: float, y: float, cell: int) -> None:
    targets = cell_targets([label("47", x, y)], CELLS)
    assert targets.shape == (16, 3)
    assert spelled(targets) == {cell: "47"}


@pytest.mark.parametrize(("x", "y"), [(-0.5, 5), (5, -0.5), (112, 5), (5, 112), (-40, 300)])
def test_a_label_moved_out_of_the_picture_is_ignored(x: float, y: float) -> None:
    assert not cell_targets([label("47", x, y)], CELLS).any()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("68\N{DEGREE SIGN}", "68"),
        ("115\N{DEGREE SIGN}", "115"),
        ("?", "?"),
        ("x", "x"),
        ("A", "A"),
    ],
)
def test_the_degree_sign_is_left_out(text: str, said: str) -> None:
    assert spelled(cell_targets([label(text, 40, 40)], CELLS)) == {5: said}


def test_a_text_that_is_too_long_is_cut_and_strange_signs_are_skipped() -> None:
    assert spelled(cell_targets([label("PO=35", 1, 1)], CELLS)) == {0: "PO3"}
    assert not cell_targets([label("\N{DEGREE SIGN}", 1, 1)], CELLS).any()


@pytest.mark.parametrize("backwards", [False, True])
def test_a_number_wins_over_a_letter_in_its_cell(backwards: bool) -> None:
    both = [label("47", 30, 30), label("B", 50, 50)]
    targets = cell_targets(both[::-1] if backwards else both, CELLS)
    assert spelled(targets) == {5: "47"}


def test_no_labels_no_targets() -> None:
    assert not cell_targets([], CELLS).any()


def test_a_moved_picture_keeps_its_size_and_repeats_its_border() -> None:
    paper = np.full((6, 6, 3), 255, dtype=np.uint8)
    paper[2, 3] = 0
    moved = shifted(paper, 1, -2, 2)
    assert moved.shape == paper.shape
    assert np.argwhere(moved[..., 0] == 0).tolist() == [[3, 1]]
    assert np.array_equal(shifted(paper, 0, 0, 0), paper)


Lessons = tuple[list[np.ndarray], list[Sequence[Label]]]


@pytest.fixture(scope="module")
def lessons() -> Lessons:
    """Four pictures with their labels."""
    pictures: list[np.ndarray] = []
    labels: list[Sequence[Label]] = []
    for _, plan in generate_layouts(
        count=4, split="train", seed=7, families=["linear_pair"], image_px=112, label_grid_px=14
    ):
        pictures.append(np.asarray(render(plan)))
        labels.append(
            [label(b.text, (b.left + b.right) / 2, (b.top + b.bottom) / 2) for b in plan.labels]
        )
    return pictures, labels


def taught(lessons: Lessons, steps: int) -> tuple[torch.nn.Module, list[float]]:
    """A new model whose eyes had some lessons, and the losses that were reported."""
    tokenizer = build_tokenizer(["Find x."], vocab_size=280)
    model = build_model(
        tokenizer, hidden_size=64, num_layers=1, vision_hidden_size=64, vision_depth=1, seed=3
    )
    images = build_image_processor()
    losses: list[float] = []
    train_eyes(
        model,
        lambda batch: patchify(batch, images),
        *lessons,
        Perception(steps=steps, batch_size=4, shift_px=0, seed=1),
        report=lambda _step, loss, _read, _s: losses.append(loss),
    )
    return model, losses


def test_lessons_lower_the_loss_and_touch_only_the_eyes(lessons: Lessons, one_thread: None) -> None:
    untaught, _ = taught(lessons, 0)
    model, losses = taught(lessons, 100)
    assert len(losses) == 2
    assert losses[1] < 0.75 * losses[0]
    assert not model.training
    changed = {
        name.startswith("model.visual.")
        for (name, after), before in zip(
            model.named_parameters(), untaught.parameters(), strict=True
        )
        if not torch.equal(after, before)
    }
    assert changed == {True}


@pytest.mark.parametrize("steps", [1, 10])  # ten is where a one-cycle schedule would divide by zero
def test_lessons_repeat_themselves(lessons: Lessons, one_thread: None, steps: int) -> None:
    random.seed(1)  # the global generators play no part
    first, _ = taught(lessons, steps)
    random.seed(2)
    torch.manual_seed(99)
    second, _ = taught(lessons, steps)
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(a, b)
