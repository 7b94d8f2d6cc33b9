"""Labels on a grid: where they lie, that the default knows nothing of it, layouts and pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data_prep.drawing import Layout, render
from data_prep.families import EASY
from data_prep.placement import LabelOverlap, Wish, place
from data_prep.synthetic import generate, generate_layouts

GRID_PX = 14
EIGHT: dict[str, Any] = {
    "count": 8,
    "split": "train",
    "seed": 5,
    "image_px": 140,
    "families": list(EASY),
}


def plans(**arguments: Any) -> list[Layout]:
    return [plan for _, plan in generate_layouts(**EIGHT, **arguments)]


def on_grid(plan: Layout) -> list[bool]:
    return [
        label.left % GRID_PX == 1 and label.top % GRID_PX == 1  # one pixel in from the line
        for label in plan.labels
    ]


def test_every_label_lies_on_the_grid_inside_the_picture_and_alone() -> None:
    made = plans(label_grid_px=GRID_PX)
    assert all(plan.labels for plan in made)
    for plan in made:
        assert all(on_grid(plan))
        for k, box in enumerate(plan.labels):
            assert min(box.left, box.top) >= 1
            assert max(box.right, box.bottom) <= plan.image_px - 1
            for other in plan.labels[:k]:
                apart_x = max(box.left - other.right, other.left - box.right)
                apart_y = max(box.top - other.bottom, other.top - box.bottom)
                assert max(apart_x, apart_y) >= 1


def test_a_grid_has_letters_of_one_size_and_no_grid_has_not() -> None:
    assert len({plan.style.font_px for plan in plans(label_grid_px=GRID_PX)}) == 1
    free = plans()
    assert len({plan.style.font_px for plan in free}) > 1
    assert not all(flag for plan in free for flag in on_grid(plan))


def test_without_the_argument_there_is_no_grid() -> None:
    assert plans() == plans(label_grid_px=0)


@pytest.mark.parametrize("grid", [0, GRID_PX])
def test_layouts_are_the_pictures_before_they_are_painted(grid: int) -> None:
    painted = [(p, picture.tobytes()) for p, picture in generate(**EIGHT, label_grid_px=grid)]
    planned = [
        (p, render(plan).tobytes()) for p, plan in generate_layouts(**EIGHT, label_grid_px=grid)
    ]
    assert painted == planned


def test_a_negative_grid_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match=r"label_grid_px must be 0 \(no grid\) or more, not -14"):
        generate(**EIGHT, label_grid_px=-GRID_PX)


def wish(*centers: tuple[float, float]) -> Wish:
    """A label of 10 x 8 pixels that likes its first place best."""
    return Wish(
        text="47",
        width=10,
        height=8,
        centers=np.array(centers, dtype=np.float64),
        costs=np.arange(len(centers), dtype=np.float64),
    )


def test_a_proposal_moves_to_the_nearest_grid_point() -> None:
    paper = np.zeros((70, 70), dtype=np.uint8)
    (free,) = place([wish((24, 31))], paper)
    assert (free.left, free.top) == (19, 27)
    (snapped,) = place([wish((24, 31))], paper, GRID_PX)
    assert (snapped.left, snapped.top) == (15, 29)
    assert (snapped.right - snapped.left, snapped.bottom - snapped.top) == (10, 8)


def test_a_grid_point_must_be_free_like_any_other_place() -> None:
    paper = np.zeros((70, 70), dtype=np.uint8)
    paper[29:37, 15:25] = 255  # ink on the grid point only
    with pytest.raises(LabelOverlap, match="47"):
        place([wish((24, 31))], paper, GRID_PX)
    (second,) = place([wish((24, 31), (48, 48))], paper, GRID_PX)
    assert (second.left, second.top) == (43, 43)
