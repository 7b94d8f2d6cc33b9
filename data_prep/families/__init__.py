"""Problem families: each is a function from a seeded random source to a `Draft`.

| family | given -> asked | example answer | difficulty | problems |
|---|---|---|---|---|
| triangle_angle_sum | two angles -> the third | 65 | 1 | 2,116 |
| exterior_angle | two of two remote angles and the exterior one -> the third | 115 | 1 | 6,300 |
| isosceles_angles | apex, base or exterior angle, also with a cevian | 52.5 | 1-2 | 970 |
| linear_pair | angles on a line, vertical angles, with a splitting ray | 71 | 1-2 | 6,000 |
| parallel_lines | transversal (five relations), bend between parallels | 92 | 1-2 | 1,650 |
| quadrilateral_angle_sum | three angles -> the fourth | 84 | 2 | over 50,000 |
| right_triangle_pythagoras | two sides -> the third | 2\\sqrt{10} | 2-3 | 530 |
| right_triangle_special | a side of 30-60-90 or 45-45-90 -> another | 5\\sqrt{3} | 3-4 | 312 |
| trig_ratio | two sides -> sine, cosine or tangent | \\frac{5}{12} | 2-3 | 740 |
| similar_triangles | parallel to a side -> fourth proportional | \\frac{26}{3} | 3 | 1,390 |
| intersecting_chords | three parts of two chords -> the fourth | 14.25 | 3 | 520 |
| inscribed_angle | central, inscribed, diameter, same arc, cyclic | 55.5 | 2-3 | 2,080 |
| tangent_angle | angles between tangents, radii and the chord | 51 | 2-3 | 210 |
| tangent_length | radius, tangent, distance to the centre | 4\\sqrt{35} | 3-5 | 990 |
| chord_length | radius, chord, distance to the centre | 8\\sqrt{15} | 3 | 750 |
| circle_area | area, circumference, ring | 448\\pi | 2-3 | 530 |
| sector_area | radius and angle -> area or arc length | \\frac{62\\pi}{9} | 3 | 2,030 |
| triangle_area | base and height | 91 | 1-2 | 470 |
| parallelogram_area | base, side, height -> area or perimeter | 1320 | 2 | 660 |
| trapezoid_area | parallel sides and height | 627 | 2-3 | 3,620 |
| rectangle_perimeter | perimeter, area, diagonal; L-shapes | 118 | 1-3 | 7,600 |
| kite_area | diagonals -> area; side of a rhombus | 218.5 | 2-4 | 450 |
| polygon_interior_angle | last angle of 5 or 6; regular ones | 129 | 2-4 | over 100,000 |
| coordinates_distance | two points -> distance, slope, midpoint | 3\\sqrt{17} | 2-3 | over 30,000 |

The last column counts keys over all splits: measured where draws saturate.
"""

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
