"""Scenes to pictures: a random pose and style, strokes in pixels, clean labels, anti-aliasing.

`layout` decides everything in pixels (and is what the tests measure), `render` only paints it.
Lines are drawn on a canvas `SUPERSAMPLE` times larger and reduced with LANCZOS; text is drawn at
the final size, where the font's own anti-aliasing is sharper than a reduced picture of it.
"""

from __future__ import annotations

import cmath
import math
import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from data_prep.labels import label_wishes
from data_prep.placement import LabelOverlap, Placed, place
from data_prep.pose import (
    Color,
    Style,
    View,
    arc_points,
    arc_radius,
    choose_style,
    fit,
    font,
    pixel_rays,
    text_box,
)
from data_prep.scene import AngleMark, Scene, Segment

__all__ = ["LabelOverlap", "Layout", "draw", "layout", "render"]

SUPERSAMPLE = 3
POSES = 24
"""Poses tried before a scene counts as undrawable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stroke:
    """A polyline in pixels (y down)."""

    points: tuple[complex, ...]
    width_px: float
    color: Color
    dashed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A posed scene: everything `render` paints."""

    image_px: int
    style: Style
    strokes: tuple[Stroke, ...]
    dots: tuple[complex, ...]
    labels: tuple[Placed, ...]


def draw(scene: Scene, *, image_px: int, rng: random.Random) -> Image.Image:
    """A square RGB picture of the scene; raises LabelOverlap if no pose places all labels."""
    return render(layout(scene, image_px=image_px, rng=rng))


def layout(
    scene: Scene,
    *,
    image_px: int,
    rng: random.Random,
    label_grid_px: int = 0,
    font_px: int = 0,
    poses: int = POSES,
) -> Layout:
    """The first of some random poses in which every label finds a clean place.

    `label_grid_px` puts labels on a grid, in one size of letters (see `placement.place`); `font_px`
    sets the size of letters.
    """
    problem = LabelOverlap("no pose was tried")
    for _ in range(poses):
        try:
            return _pose(scene, image_px, rng, label_grid_px, font_px)
        except LabelOverlap as overlap:
            problem = overlap
    raise problem


def render(plan: Layout) -> Image.Image:
    """Paint a layout."""
    picture = Image.new("RGB", (plan.image_px, plan.image_px), plan.style.paper)
    for color in dict.fromkeys(stroke.color for stroke in plan.strokes):
        picture.paste(color, mask=_coverage(plan, color))
    pen = ImageDraw.Draw(picture)
    letters = font(plan.style.font_px)
    for label in plan.labels:
        left, top, _, _ = text_box(plan.style.font_px, label.text)
        pen.text((label.left - left, label.top - top), label.text, plan.style.text, letters)
    return picture


def _coverage(plan: Layout, color: Color) -> Image.Image:
    """How much of each pixel the strokes of one colour cover (L); dots have the line's colour."""
    size = plan.image_px * SUPERSAMPLE
    canvas = Image.new("L", (size, size))
    pen = ImageDraw.Draw(canvas)
    for stroke in plan.strokes:
        if stroke.color == color:
            _paint_stroke(pen, stroke)
    if color == plan.style.line:
        for dot in plan.dots:
            _paint_dot(pen, dot * SUPERSAMPLE, 1.5 * plan.style.width_px * SUPERSAMPLE)
    return canvas.resize((plan.image_px, plan.image_px), Image.Resampling.LANCZOS)


# -- pose ---------------------------------------------------------------------------------------


def _pose(
    scene: Scene, image_px: int, rng: random.Random, label_grid_px: int, font_px: int
) -> Layout:
    style = choose_style(image_px, rng, one_size=label_grid_px > 0, font_px=font_px)
    view = fit(scene, image_px, style, rng)
    strokes = [*_outlines(scene, view, style), *_marks(scene, view, style, image_px)]
    wishes = label_wishes(scene, view, style, image_px)
    dots = tuple(view(dot) for dot in scene.dots)
    labels = place(wishes, _ink(image_px, strokes, dots), label_grid_px)
    return Layout(
        image_px=image_px, style=style, strokes=tuple(strokes), dots=dots, labels=tuple(labels)
    )


# -- strokes ------------------------------------------------------------------------------------


def _outlines(scene: Scene, view: View, style: Style) -> list[Stroke]:
    def stroke(points: list[complex], dashed: bool = False) -> Stroke:
        return Stroke(
            points=tuple(map(view, points)), width_px=style.width_px, color=style.line,
            dashed=dashed,
        )  # fmt: skip

    strokes = [stroke([s.start, s.end], s.dashed) for s in scene.segments]
    for circle in scene.circles:
        ring = [circle.center + cmath.rect(circle.radius, k * math.pi / 36) for k in range(73)]
        strokes.append(stroke(ring))
    strokes += [stroke(arc_points(a.center, a.start, a.end, 40)) for a in scene.arcs]
    return strokes


def _marks(scene: Scene, view: View, style: Style, image_px: int) -> list[Stroke]:
    lines = [line for angle in scene.angles for line in _angle_lines(angle, view, image_px)]
    for segment in scene.segments:
        lines += _segment_lines(segment, view, image_px)
    width = max(1.0, 0.8 * style.width_px)
    return [Stroke(points=tuple(line), width_px=width, color=style.mark) for line in lines]


def _angle_lines(angle: AngleMark, view: View, image_px: int) -> list[list[complex]]:
    vertex, first, second = pixel_rays(angle, view)
    if angle.right:
        side = min(0.065 * image_px, 0.3 * min(abs(first), abs(second)))
        u, v = first / abs(first) * side, second / abs(second) * side
        return [[vertex + u, vertex + u + v, vertex + v]]
    start = first / abs(first) * arc_radius(first, second, image_px)
    return [arc_points(vertex, vertex + start, vertex + second, 12)]


def _segment_lines(segment: Segment, view: View, image_px: int) -> list[list[complex]]:
    start, end = view(segment.start), view(segment.end)
    along = (end - start) / abs(end - start)
    across, middle = along * 1j, start + (end - start) * segment.mark_at
    reach, step = 0.028 * image_px, 0.028 * image_px
    lines = []
    for k in range(segment.ticks):
        at = middle + along * step * (k - (segment.ticks - 1) / 2)
        lines.append([at - across * reach, at + across * reach])
    for k in range(segment.chevrons):
        tip = middle + along * (step * k + reach)
        back, wing = along * 1.3 * reach, across * 0.9 * reach
        lines.append([tip - back - wing, tip, tip - back + wing])
    if segment.arrow:
        back = along * 1.6 * reach
        lines.append([end - back + across * reach, end, end - back - across * reach])
    return lines


def _ink(image_px: int, strokes: list[Stroke], dots: tuple[complex, ...]) -> NDArray[np.uint8]:
    """A mask of the drawn pixels, rounded up, at the final size."""
    mask = Image.new("L", (image_px, image_px))
    pen = ImageDraw.Draw(mask)
    for stroke in strokes:
        width = math.ceil(stroke.width_px) + 1
        pen.line([(point.real, point.imag) for point in stroke.points], 255, width)
    for dot in dots:
        pen.ellipse((dot.real - 4, dot.imag - 4, dot.real + 4, dot.imag + 4), 255)
    return np.asarray(mask)


# -- paint --------------------------------------------------------------------------------------


def _paint_stroke(pen: ImageDraw.ImageDraw, stroke: Stroke) -> None:
    width = max(1, round(stroke.width_px * SUPERSAMPLE))
    points = [point * SUPERSAMPLE for point in stroke.points]
    pieces = _dashes(points, 4.5 * width) if stroke.dashed else [points]
    for piece in pieces:
        pen.line([(p.real, p.imag) for p in piece], 255, width, joint="curve")
    for end in (points[0], points[-1]):
        _paint_dot(pen, end, width / 2)


def _dashes(points: list[complex], dash: float) -> list[list[complex]]:
    start, end = points[0], points[-1]
    count = max(1, round(abs(end - start) / dash / 2))
    step = (end - start) / (2 * count - 1)
    return [[start + 2 * k * step, start + (2 * k + 1) * step] for k in range(count)]


def _paint_dot(pen: ImageDraw.ImageDraw, at: complex, radius: float) -> None:
    box = (at.real - radius, at.imag - radius, at.real + radius, at.imag + radius)
    pen.ellipse(box, 255)
