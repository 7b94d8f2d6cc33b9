"""Answers, worked solutions and drawings of every family agree with each other.

The drawing is an independent witness: it is to scale, so an unknown can be measured in it.
"""

from __future__ import annotations

import cmath
import math
import random
import re
from collections.abc import Iterator
from functools import cache

import pytest

from data_prep.families import FAMILIES
from data_prep.families.wording import answer_text
from data_prep.scene import Draft

SAMPLES = 50


@cache
def drafts(family: str) -> tuple[Draft, ...]:
    return tuple(FAMILIES[family](random.Random(f"{family}/{k}")) for k in range(SAMPLES))


class Arithmetic:
    r"""Numbers, + - * / ^, brackets, `\sqrt{}`, `\frac{}{}`, `\pi`; products without a sign."""

    def __init__(self, text: str) -> None:
        self.tokens = re.findall(r"\d+\.?\d*|\\[a-z]+|[-+*/^(){}]", text)
        assert "".join(self.tokens) == text

    def value(self) -> float:
        result = self.sum()
        assert not self.tokens
        return result

    def take(self, *wanted: str) -> str:
        return self.tokens.pop(0) if self.tokens and self.tokens[0] in wanted else ""

    def sum(self) -> float:
        total = self.product()
        while sign := self.take("+", "-"):
            total += self.product() * (1 if sign == "+" else -1)
        return total

    def product(self) -> float:
        total = -self.power() if self.take("-") else self.power()
        while self.tokens and self.tokens[0] not in ("+", "-", ")", "}"):
            if self.take("/"):
                total /= self.power()
            else:
                self.take("*")
                total *= self.power()
        return total

    def power(self) -> float:
        base = self.atom()
        return base ** self.atom() if self.take("^") else base

    def atom(self) -> float:
        if self.take("(", "{"):
            inner = self.sum()
            assert self.take(")", "}")
            return inner
        if self.take("\\sqrt"):
            return math.sqrt(self.atom())
        if self.take("\\frac"):
            return self.atom() / self.atom()
        return math.pi if self.take("\\pi") else float(self.tokens.pop(0))


def test_the_arithmetic_itself() -> None:
    assert Arithmetic(r"2*10\sqrt{4}").value() == 40
    assert Arithmetic(r"\frac{150}{360}*4*\pi").value() == pytest.approx(5 * math.pi / 3)
    assert Arithmetic("3^2+(-4)^2").value() == 25
    assert Arithmetic("-3-(-5)").value() == 2
    assert Arithmetic("-3/12").value() == -0.25


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_steps_are_true_equations_that_end_in_the_answer(family: str) -> None:
    for draft in drafts(family):
        for step in draft.steps:
            left, right = step.split("=")
            assert " " not in step
            assert Arithmetic(left).value() == pytest.approx(Arithmetic(right).value()), step
        assert draft.steps[-1].split("=")[1] == answer_text(draft.answer)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_what_must_be_read_stands_in_the_picture_and_in_the_facts(family: str) -> None:
    for draft in drafts(family):
        shown = [angle.text for angle in draft.scene.angles]
        shown += [label.text for label in draft.scene.labels]
        values = {text.rstrip("°").split("=")[-1] for text in shown}
        for label, value in draft.givens:
            if label != "sides":  # a regular polygon: they are counted
                assert value in values | {text[1:] for text in shown}
            assert value in draft.facts


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_the_numbers_are_small_and_the_records_complete(family: str) -> None:
    for draft in drafts(family):
        assert 1 <= draft.difficulty <= 5
        assert draft.question.endswith((".", "?"))
        assert draft.answer.is_number
        assert draft.givens
        assert draft.key


def measured(draft: Draft) -> Iterator[tuple[str, float]]:
    """(text, degrees) of all angle labels."""
    for angle in draft.scene.angles:
        first, second = angle.start - angle.vertex, angle.end - angle.vertex
        yield angle.text, abs(math.degrees(cmath.phase(second / first)))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_angles_are_drawn_to_scale(family: str) -> None:
    for draft in drafts(family):
        for text, degrees in measured(draft):
            if text in ("x", "?"):
                assert degrees == pytest.approx(float(draft.answer), abs=1e-6)
            elif text:
                assert degrees == pytest.approx(float(text.rstrip("°")), abs=1e-6)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_lengths_are_drawn_to_one_scale(family: str) -> None:
    for draft in drafts(family):
        scales = []
        for label in draft.scene.labels:
            if label.kind == "side" and family != "kite_area":
                text = label.text.split("=")[-1]
                value = float(draft.answer) if text in ("x", "?") else float(text)
                scales.append(abs(label.to - label.at) / value)
        assert not scales or max(scales) == pytest.approx(min(scales))


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_right_angle_marks_stand_at_right_angles(family: str) -> None:
    for draft in drafts(family):
        for angle in draft.scene.angles:
            if angle.right:
                ratio = (angle.end - angle.vertex) / (angle.start - angle.vertex)
                assert abs(ratio.real) < 1e-9 * abs(ratio)


@pytest.mark.parametrize(
    "family", ["triangle_area", "parallelogram_area", "trapezoid_area", "kite_area"]
)
def test_areas_agree_with_the_drawn_outline(family: str) -> None:
    for draft in drafts(family):
        if draft.key[0] in ("perimeter", "side"):
            continue
        corners = [label.at for label in draft.scene.labels if label.kind == "point"]
        after = [*corners[1:], corners[0]]
        area = sum((p.conjugate() * q).imag for p, q in zip(corners, after, strict=True)) / 2
        assert abs(area) == pytest.approx(float(draft.answer))
