"""How a scene sits in the picture: style, the similarity to pixels, arcs, fonts.

Everything random about a drawing that is not a label position is drawn here.
"""

from __future__ import annotations

import cmath
import math
import random
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import ImageFont

from data_prep.scene import AngleMark, Scene

Color = tuple[int, int, int]
BLACK: Color = (0, 0, 0)
LINE_COLORS: tuple[Color, ...] = (
    *(BLACK,) * 8, (60, 60, 60), (60, 60, 60), (120, 120, 120),
    (20, 60, 160), (20, 60, 160), (150, 30, 30), (10, 100, 60),
)  # fmt: skip
PAPERS: tuple[Color, ...] = (*((255, 255, 255),) * 7, (248, 246, 238), (240, 243, 248))
BORDER = 1.2
"""Room kept free around the figure for outer labels, in font heights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """Choices that do not change the problem."""

    line: Color
    mark: Color
    text: Color
    paper: Color
    width_px: float
    font_px: int


def choose_style(
    image_px: int, rng: random.Random, *, one_size: bool = False, font_px: int = 0
) -> Style:
    """A random style that stays legible at this size; `one_size` always takes the same letters.

    `font_px` sets the size of letters, for figures with many labels.
    """
    line = rng.choice(LINE_COLORS)
    size = rng.uniform(0.057, 0.066)
    return Style(
        line=line,
        mark=line if rng.random() < 0.7 else rng.choice(LINE_COLORS),
        text=BLACK if rng.random() < 0.8 else line,
        paper=rng.choice(PAPERS),
        width_px=rng.uniform(0.0075, 0.014) * image_px + 0.2,
        font_px=font_px or max(12, round(image_px * (0.057 if one_size else size) + 4)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A similarity from scene coordinates to pixels (y down)."""

    turn: complex
    mirror: bool
    scale: float
    shift: complex

    def __call__(self, point: complex) -> complex:
        turned = self.turn * (point.conjugate() if self.mirror else point)
        return self.scale * turned.conjugate() + self.shift


def fit(scene: Scene, image_px: int, style: Style, rng: random.Random) -> View:
    """A random turn and reflection, scaled to fill the picture inside the border."""
    turn = cmath.rect(1, rng.uniform(-math.pi, math.pi)) if scene.turn else 1 + 0j
    mirror = scene.turn and rng.random() < 0.5
    plain = View(turn=turn, mirror=mirror, scale=1, shift=0j)
    extent = np.array([plain(point) for point in _extremes(scene, turn)])
    low = complex(extent.real.min(), extent.imag.min())
    span = complex(extent.real.max(), extent.imag.max()) - low
    border = BORDER * style.font_px
    room = image_px - 2 * border
    scale = room / max(span.real, span.imag) * rng.uniform(0.9, 1.0)
    slack = complex(room, room) - scale * span
    corner = border * (1 + 1j)
    spare = complex(slack.real * rng.uniform(0.2, 0.8), slack.imag * rng.uniform(0.2, 0.8))
    return View(turn=turn, mirror=mirror, scale=scale, shift=corner + spare - scale * low)


def _extremes(scene: Scene, turn: complex) -> list[complex]:
    """Points whose bounding box, after the turn, is that of the figure."""
    points = [end for segment in scene.segments for end in (segment.start, segment.end)]
    for circle in scene.circles:
        points += [circle.center + circle.radius * 1j**k / turn for k in range(4)]
        points += [circle.center + circle.radius * 1j**k * turn for k in range(4)]
    for arc in scene.arcs:
        points += arc_points(arc.center, arc.start, arc.end, 24)
    return [*points, *scene.dots]


def arc_points(center: complex, start: complex, end: complex, pieces: int) -> list[complex]:
    """A polyline from `start`, counter-clockwise in the given coordinates, towards `end`."""
    sweep = cmath.phase((end - center) / (start - center)) % (2 * math.pi)
    return [
        center + (start - center) * cmath.rect(1, sweep * k / pieces) for k in range(pieces + 1)
    ]


def pixel_rays(angle: AngleMark, view: View) -> tuple[complex, complex, complex]:
    """Vertex and its two rays in pixels, ordered so that the angle runs through less than 180."""
    vertex = view(angle.vertex)
    first, second = view(angle.start) - vertex, view(angle.end) - vertex
    if cmath.phase(second / first) < 0:
        first, second = second, first
    return vertex, first, second


def arc_radius(first: complex, second: complex, image_px: int) -> float:
    """Pixels from the vertex to the arc that marks an angle; larger for thin angles."""
    opening = cmath.phase(second / first)
    radius = 0.075 * image_px * (1.35 if opening < math.radians(45) else 1.0)
    return min(radius, 0.4 * min(abs(first), abs(second)))


@lru_cache(maxsize=64)
def font(font_px: int) -> ImageFont.FreeTypeFont:
    """The font that Pillow carries, so that pictures are the same on every machine."""
    bundled = ImageFont.load_default(font_px)
    if not isinstance(bundled, ImageFont.FreeTypeFont):
        raise ValueError("Pillow was built without FreeType: install the wheel from PyPI")
    return bundled.font_variant(layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=8192)
def text_box(font_px: int, text: str) -> tuple[int, int, int, int]:
    """Ink box of a text drawn at the origin: left, top, right, bottom in pixels."""
    left, top, right, bottom = font(font_px).getbbox(text)
    return math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
