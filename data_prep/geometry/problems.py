"""Solved figures as problems of a data folder: question, answer, picture, difficulty.

A picture is tried with all letters, then with the needed ones, then with values in words; the first
in which every label finds a clean place is taken.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from adora_mm.types import Problem
from data_prep.drawing import LabelOverlap, Layout, layout, render
from data_prep.families.wording import answer_text
from data_prep.geometry.answers import Answer
from data_prep.geometry.arrange import arrange
from data_prep.geometry.literals import Argument, Term
from data_prep.geometry.model import Unsupported
from data_prep.geometry.redraw import Drawing, redraw
from data_prep.geometry.wording import is_angle, question
from data_prep.scene import Scene
from data_prep.synthetic import png_bytes
from data_prep.writer import Entry

IMAGE_PX = 448
FONT_PX = (20, 16)
POSES = 6
DECIMALS = 2
NEAR = 0.02
"""Points nearer than this, in parts of the figure, could not be told apart."""
LEVELS: tuple[dict[str, bool], ...] = (
    {"all_letters": True},
    {"all_letters": False},
    {"all_letters": False, "values_in_words": True},
)


class Unwritable(ValueError):
    """A solved figure that makes no problem."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        """A few words that can be counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A question with the picture that belongs to it."""

    question: str
    answer: str
    plan: Layout


def sheet(answer: Answer, *, seed: str, turn: bool = False, image_px: int = IMAGE_PX) -> Sheet:
    """Draw and word a solved figure; raises Unwritable."""
    figure, outcome = answer.figure, answer.outcome
    if figure.target is None or outcome.value is None:
        raise Unwritable("no answer")
    at = arrange(figure, outcome.positions, outcome.radii)
    problem = "no room for the labels"
    for level in LEVELS:
        try:
            drawing = redraw(figure, at, outcome.radii, facts=answer.drawn, turn=turn, **level)
            asked = question(figure.target)
        except Unsupported as error:
            raise Unwritable("no wording", str(error)) from error
        plan = _fitting(drawing, seed, image_px)
        if plan is not None:
            text, gold = _ask(asked, answer)
            return Sheet(question=" ".join([*drawing.sentences, text]), answer=gold, plan=plan)
    raise Unwritable(problem)


def _fitting(drawing: Drawing, seed: str, image_px: int) -> Layout | None:
    scene = drawing.scene
    if not scene.segments and not scene.circles:
        raise Unwritable("nothing to draw")
    if _points_touch(scene):
        return None
    for font_px in FONT_PX:
        try:
            rng = random.Random(seed)
            return layout(scene, image_px=image_px, rng=rng, font_px=font_px, poses=POSES)
        except LabelOverlap:
            continue
    return None


def _points_touch(scene: Scene) -> bool:
    """Whether two named points are so near that their letters may belong to either."""
    points = [label.at for label in scene.labels if label.kind == "point"]
    sizes = [2 * circle.radius for circle in scene.circles]
    sizes += [abs(one - other) for one, other in combinations(points, 2)]
    return any(abs(p - q) < NEAR * max(sizes) for p, q in combinations(points, 2))


def _ask(asked: str, answer: Answer) -> tuple[str, str]:
    """The question with what it says about rounding, and the gold answer."""
    exact, value = answer.exact, answer.outcome.value
    assert value is not None
    if exact is None:
        return f"{asked} Round to the nearest hundredth.", f"{value:.{DECIMALS}f}"
    return asked, answer_text(exact)


def entry(
    answer: Answer,
    drawn: Sheet,
    problem_id: str,
    split: str,
    source: str = "geometry3k-redrawn",
    **metadata: Any,
) -> Entry:
    """The problem with its picture."""
    rational = answer.exact is None or answer.exact.is_Rational
    problem = Problem(
        id=problem_id,
        question=drawn.question,
        answer=drawn.answer,
        source=source,
        split=split,
        answer_type="number" if rational else "expression",
        metadata=metadata,
    )
    return Entry(problem=problem, images=(png_bytes(render(drawn.plan)),))


GOALS = {
    "AreaOf": "area", "PerimeterOf": "perimeter", "CircumferenceOf": "perimeter",
    "RatioOf": "ratio", "ScaleFactorOf": "ratio", "SinOf": "ratio", "CosOf": "ratio",
    "TanOf": "ratio",
}  # fmt: skip


def goal(target: Argument | None) -> str:
    """What kind of quantity is asked."""
    if not isinstance(target, Term):
        return "letter"
    return "angle" if is_angle(target) else GOALS.get(target.head, "length")
