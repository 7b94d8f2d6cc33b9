"""Problem families: each is a function from a seeded random source to a `Draft`."""

from __future__ import annotations

import random
from collections.abc import Callable

from data_prep.families import (
    angles,
    areas,
    circle_angles,
    circle_lengths,
    lines,
    polygons,
    proportions,
    right_triangles,
)
from data_prep.scene import Draft

Family = Callable[[random.Random], Draft]

EASY: dict[str, Family] = {
    "triangle_angle_sum": angles.triangle_angle_sum,
    "exterior_angle": angles.exterior_angle,
    "isosceles_angles": angles.isosceles_angles,
    "linear_pair": lines.linear_pair,
    "parallel_lines": lines.parallel_lines,
    "quadrilateral_angle_sum": angles.quadrilateral_angle_sum,
}
"""Angle arithmetic with small numbers; legible in a picture of 112 pixels."""

FAMILIES: dict[str, Family] = {
    **EASY,
    "right_triangle_pythagoras": right_triangles.right_triangle_pythagoras,
    "right_triangle_special": right_triangles.right_triangle_special,
    "trig_ratio": right_triangles.trig_ratio,
    "similar_triangles": proportions.similar_triangles,
    "intersecting_chords": proportions.intersecting_chords,
    "inscribed_angle": circle_angles.inscribed_angle,
    "tangent_angle": circle_angles.tangent_angle,
    "tangent_length": circle_lengths.tangent_length,
    "chord_length": circle_lengths.chord_length,
    "circle_area": circle_lengths.circle_area,
    "sector_area": circle_lengths.sector_area,
    "triangle_area": areas.triangle_area,
    "parallelogram_area": areas.parallelogram_area,
    "trapezoid_area": areas.trapezoid_area,
    "rectangle_perimeter": areas.rectangle_perimeter,
    "kite_area": areas.kite_area,
    "polygon_interior_angle": polygons.polygon_interior_angle,
    "coordinates_distance": polygons.coordinates_distance,
}
