"""What places each label asks for; `placement` picks among them.

An angle label sits inside its opening beyond the arc, a length beside the middle of its stroke,
a vertex letter on the side that its strokes leave free.
"""

from __future__ import annotations

import cmath
import math

import numpy as np
from numpy.typing import NDArray

from data_prep.placement import LabelOverlap, Wish
from data_prep.pose import Style, View, arc_radius, pixel_rays, text_box
from data_prep.scene import AngleMark, Label, Scene

NEARER = 0.8
"""An angle label is at most this part as far from its own vertex as from any other marked one."""
STEP_PX = 1.5
"""Spacing of the places that are proposed along a bisector."""
SIDE_PLACES = np.array(
    [
        (side, slide, far)
        for side in (1, -1)
        for slide in (0.0, -0.06, 0.06, -0.12, 0.12, -0.2, 0.2, -0.28, 0.28)
        for far in (2.5, 4.5, 6.5)
    ]
)
"""(outer or inner side, shift along the stroke as a part of it, blank pixels to the line)."""
POINT_PLACES = np.array(
    [far * cmath.rect(1, k * math.pi / 10) for far in (0.65, 0.8, 0.95, 1.15) for k in range(20)]
)
"""Offsets from a point, in font heights."""


def label_wishes(scene: Scene, view: View, style: Style, image_px: int) -> list[Wish]:
    """All labels of a scene; angles first, because their places are the fewest."""
    middle = view(_middle(scene))
    wishes = [
        _angle_wish(angle, scene, view, style, image_px) for angle in scene.angles if angle.text
    ]
    sides = [label for label in scene.labels if label.kind == "side"]
    points = [label for label in scene.labels if label.kind == "point"]
    wishes += [_side_wish(label, view, style, middle) for label in sides]
    wishes += [_point_wish(label, scene, view, style) for label in points]
    return wishes


def _middle(scene: Scene) -> complex:
    points = [end for segment in scene.segments for end in (segment.start, segment.end)]
    points += [circle.center for circle in scene.circles]
    return sum(points) / len(points)


def _wish(
    text: str, font_px: int, centers: NDArray[np.complex128], costs: NDArray[np.float64]
) -> Wish:
    left, top, right, bottom = text_box(font_px, text)
    if not len(centers):
        raise LabelOverlap(f"no room for the label {text!r}")
    return Wish(
        text=text,
        width=right - left,
        height=bottom - top,
        centers=np.stack([centers.real, centers.imag], axis=1),
        costs=costs,
    )


def _angle_wish(angle: AngleMark, scene: Scene, view: View, style: Style, image_px: int) -> Wish:
    """Inside the opening, beyond the arc, on or near the bisector, in sight of the vertex."""
    vertex, first, second = pixel_rays(angle, view)
    opening = cmath.phase(second / first)
    start = arc_radius(first, second, image_px) + 0.3 * style.font_px
    limit = 0.8 * max(abs(first), abs(second))
    walls = [(view(s.start), view(s.end)) for s in scene.segments]
    rings = [(view(c.center), c.radius * view.scale) for c in scene.circles]
    others = {view(a.vertex) for a in scene.angles if abs(a.vertex - angle.vertex) > 1e-6}
    centers, costs = [np.zeros(0, dtype=complex)], [np.zeros(0)]
    for lean in (0.0, -0.1, 0.1, -0.2, 0.2, -0.3, 0.3):
        ray = first / abs(first) * cmath.rect(1, opening * (0.5 + lean))
        free = [limit, *(_hit(vertex, ray, *wall) for wall in walls)]
        free += [_hit_ring(vertex, ray, *ring) for ring in rings]
        far = np.arange(start, min(free), STEP_PX)
        at = vertex + ray * far
        near = np.ones(len(far), dtype=bool)
        for other in others:
            near &= far < NEARER * np.abs(at - other)
        centers.append(at[near])
        costs.append(far[near] - start + 20 * abs(lean))
    return _wish(angle.text, style.font_px, np.concatenate(centers), np.concatenate(costs))


def _hit(origin: complex, ray: complex, start: complex, end: complex) -> float:
    """Distance along a unit ray to a wall; infinite when it misses or the wall begins there."""
    start, end = (start - origin) / ray, (end - origin) / ray
    if start.imag * end.imag >= 0:
        return math.inf
    at = start.real + (end.real - start.real) * start.imag / (start.imag - end.imag)
    return at if at > 1e-6 else math.inf


def _hit_ring(origin: complex, ray: complex, center: complex, radius: float) -> float:
    """Distance along a unit ray to the first crossing of a circle; infinite when it misses."""
    middle = (center - origin) / ray
    if radius <= abs(middle.imag):
        return math.inf
    half = math.sqrt(radius**2 - middle.imag**2)
    return min((d for d in (middle.real - half, middle.real + half) if d > 1), default=math.inf)


def _side_wish(label: Label, view: View, style: Style, middle: complex) -> Wish:
    """Beside the stroke, near its middle, preferably on the outer side."""
    start, end = view(label.at), view(label.to)
    across = (end - start) / abs(end - start) * 1j
    if (((start + end) / 2 - middle) * across.conjugate()).real < 0:
        across = -across
    left, top, right, bottom = text_box(style.font_px, label.text)
    support = ((right - left) * abs(across.real) + (bottom - top) * abs(across.imag)) / 2
    side, slide, far = SIDE_PLACES.T
    at = start + (end - start) * (0.5 + slide)
    at = at + side * across * (support + style.width_px / 2 + far)
    costs = np.where(side > 0, 0.0, 4.0) + 30 * np.abs(slide) + far
    return _wish(label.text, style.font_px, at, costs)


def _point_wish(label: Label, scene: Scene, view: View, style: Style) -> Wish:
    """Around the point, preferably away from the strokes that leave it."""
    away = -sum(_leaving(label.at, scene, view))
    away = away / abs(away) if abs(away) > 0.1 else 0j
    at = view(label.at) + POINT_PLACES * style.font_px
    far = np.abs(POINT_PLACES)
    fit = (POINT_PLACES * complex(away).conjugate()).real / far
    return _wish(label.text, style.font_px, at, 12 * far - 5 * fit)


def _leaving(point: complex, scene: Scene, view: View) -> list[complex]:
    """Unit pixel directions of the strokes that leave a scene point; circles pull inwards."""
    rays = []
    for segment in scene.segments:
        for near, far in ((segment.start, segment.end), (segment.end, segment.start)):
            if abs(near - point) < 1e-6:
                rays.append(view(far) - view(point))
    for circle in scene.circles:
        if abs(abs(point - circle.center) - circle.radius) < 1e-6 * circle.radius:
            rays.append(view(circle.center) - view(point))
    return [ray / abs(ray) for ray in rays]
