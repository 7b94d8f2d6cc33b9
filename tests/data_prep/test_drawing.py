"""Every label stays clear of lines, of other labels and of the border, in every family."""

from __future__ import annotations

import random
from functools import cache

import numpy as np
import pytest

from data_prep.drawing import LabelOverlap, Layout, draw, layout, render
from data_prep.families import EASY, FAMILIES
from data_prep.placement import Placed
from data_prep.scene import AngleMark, Scene, Segment, length, named, outline

CASES = [(name, 224) for name in FAMILIES] + [(name, px) for name in EASY for px in (112, 140)]
SAMPLES = 15


@cache
def layouts(family: str, image_px: int) -> list[Layout]:
    made = []
    for sample in range(SAMPLES):
        rng = random.Random(f"{family}/{image_px}/{sample}")
        try:
            made.append(layout(FAMILIES[family](rng).scene, image_px=image_px, rng=rng))
        except LabelOverlap:
            continue
    return made


def crosses(start: complex, end: complex, box: Placed) -> bool:
    """Whether a segment meets the box (clipping along the parameter)."""
    low, high = 0.0, 1.0
    way = end - start
    for origin, step, near, far in (
        (start.real, way.real, box.left, box.right),
        (start.imag, way.imag, box.top, box.bottom),
    ):
        if abs(step) < 1e-12:
            if not near < origin < far:
                return False
            continue
        first, second = sorted(((near - origin) / step, (far - origin) / step))
        low, high = max(low, first), min(high, second)
    return low < high


def clearance(start: complex, end: complex, box: Placed) -> float:
    """Distance in pixels between a segment and a box; 0 when they meet."""
    if crosses(start, end, box):
        return 0.0
    corners = [complex(x, y) for x in (box.left, box.right) for y in (box.top, box.bottom)]
    return min(
        *(_to_segment(corner, start, end) for corner in corners),
        *(_to_box(point, box) for point in (start, end)),
    )


def _to_segment(point: complex, start: complex, end: complex) -> float:
    way = end - start
    if way == 0:
        return abs(point - start)
    along = ((point - start) * way.conjugate()).real / abs(way) ** 2
    return abs(point - start - way * min(1.0, max(0.0, along)))


def _to_box(point: complex, box: Placed) -> float:
    right = max(box.left - point.real, 0.0, point.real - box.right)
    down = max(box.top - point.imag, 0.0, point.imag - box.bottom)
    return abs(complex(right, down))


@pytest.mark.parametrize(("family", "image_px"), CASES)
def test_labels_keep_clear_of_everything(family: str, image_px: int) -> None:
    plans = layouts(family, image_px)
    assert len(plans) >= SAMPLES // 5
    for plan in plans:
        assert plan.labels or family == "polygon_interior_angle"
        for k, box in enumerate(plan.labels):
            assert box.left >= 1
            assert box.top >= 1
            assert max(box.right, box.bottom) <= image_px - 1
            for stroke in plan.strokes:
                pairs = zip(stroke.points, stroke.points[1:], strict=False)
                half_width = stroke.width_px / 2
                assert all(clearance(a, b, box) > half_width for a, b in pairs), box
            for other in plan.labels[:k]:
                apart_x = max(box.left - other.right, other.left - box.right)
                apart_y = max(box.top - other.bottom, other.top - box.bottom)
                assert max(apart_x, apart_y) >= 1


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_strokes_stay_inside_the_picture(family: str) -> None:
    for plan in layouts(family, 224):
        ends = [point for stroke in plan.strokes for point in stroke.points]
        assert all(0 <= point.real <= 224 and 0 <= point.imag <= 224 for point in ends)


def test_the_crossing_test_itself() -> None:
    box = Placed(text="", left=10, top=10, right=20, bottom=20)
    assert crosses(0j, 30 + 30j, box)
    assert crosses(15 + 0j, 15 + 30j, box)
    assert not crosses(0j, 5 + 30j, box)
    assert not crosses(0 + 21j, 30 + 21j, box)
    assert clearance(0j, 30 + 30j, box) == 0
    assert clearance(0 + 21j, 30 + 21j, box) == 1
    assert clearance(0 + 14j, 7 + 14j, box) == 3
    assert clearance(0 + 20j, 20 + 40j, box) == pytest.approx(50**0.5)


def triangle_scene(text: str = "60") -> Scene:
    p, q, r = 0j, 1 + 0j, 0.5 + 0.8j
    return Scene(
        segments=outline(p, q, r),
        angles=(AngleMark(vertex=p, start=q, end=r, text=text),),
        labels=(*named("ABC", p, q, r), length("7", q, r)),
    )


def test_same_seed_same_pixels_and_other_seed_other_pose() -> None:
    first, again, other = (
        draw(triangle_scene(), image_px=140, rng=random.Random(seed)).tobytes()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_the_picture_is_square_rgb_and_anti_aliased() -> None:
    picture = draw(triangle_scene(), image_px=140, rng=random.Random(3))
    assert (picture.size, picture.mode) == ((140, 140), "RGB")
    assert len(picture.getcolors(140 * 140) or ()) > 20


def test_text_is_painted_into_its_box() -> None:
    plan = layout(triangle_scene(), image_px=140, rng=random.Random(4))
    pixels = np.asarray(render(plan)).astype(int)
    different = np.abs(pixels - np.array(plan.style.paper)).sum(axis=2) > 60
    for box in plan.labels:
        assert different[box.top : box.bottom, box.left : box.right].any()
        frame = different[box.top - 1 : box.bottom + 1, box.left - 1 : box.right + 1].copy()
        frame[1:-1, 1:-1] = False
        assert not frame.any()


def test_axes_are_not_turned_or_mirrored() -> None:
    ends = (0j, 1 + 0j, 1j)
    scene = Scene(
        segments=(Segment(start=ends[0], end=ends[1]), Segment(start=ends[0], end=ends[2])),
        turn=False,
    )
    for seed in range(5):
        right, up = layout(scene, image_px=112, rng=random.Random(seed)).strokes
        across, rise = right.points[1] - right.points[0], up.points[1] - up.points[0]
        assert across.real > 0
        assert abs(across.imag) < 1e-9
        assert rise.imag < 0
        assert abs(rise.real) < 1e-9


def test_a_label_without_room_is_reported() -> None:
    with pytest.raises(LabelOverlap, match="123456789"):
        draw(triangle_scene("123456789" * 2), image_px=112, rng=random.Random(0))


def test_an_angle_label_lies_inside_its_angle_and_nearest_to_its_vertex() -> None:
    for seed in range(30):
        rng = random.Random(seed)
        plan = layout(FAMILIES["quadrilateral_angle_sum"](rng).scene, image_px=140, rng=rng)
        corners = [stroke.points[0] for stroke in plan.strokes[:4]]
        for corner, box in zip(corners, plan.labels[:4], strict=True):
            middle = complex(box.left + box.right, box.top + box.bottom) / 2
            assert min(corners, key=lambda other: abs(other - middle)) == corner
