"""Published tolerances: what they forgive, and what stays wrong."""

from __future__ import annotations

from fractions import Fraction

import pytest

from adora_mm.types import Problem, Verdict
from evaluation.benchmarks.dynamath import within_a_thousandth
from evaluation.benchmarks.olympiadbench import published_tolerance
from evaluation.numbers import within_tolerance


def wrong(extracted: str | None) -> Verdict:
    return Verdict(outcome="incorrect", extracted=extracted, reason="not equal")


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1.25", "5/4"),
        (r"\frac{1}{3}", "1/3"),
        ("-15.700000000000001", "-15.700000000000001"),
        ("x=5", "5"),
        (r"7\sqrt2", "9.8994949366116653416118210694678865499877"),
    ],
)
def test_numbers_are_known_exactly_or_very_closely(text: str, number: str) -> None:
    tiny = Fraction(1, 10**38)
    assert within_tolerance(text, wrong(number), [tiny]).correct
    assert not within_tolerance(text, wrong(f"{number}+{2 * tiny}"), [tiny]).correct


@pytest.mark.parametrize("text", ["3,5", "x+1", "even", "", "1/0", r"2^{100000000}"])
def test_what_is_no_single_number_is_not_forgiven(text: str) -> None:
    assert not within_tolerance("1", wrong(text), [Fraction(10**9)]).correct


@pytest.mark.parametrize(
    ("gold", "answer", "limits", "outcome"),
    [
        ("2", "2.1", [Fraction(1, 10)], "correct"),
        ("2", "2.12", [Fraction(1, 10)], "incorrect"),
        ("1, 2", "1.05, 2.05", [Fraction(1, 10)], "correct"),
        ("1, 2", "1.05, 2.05", [Fraction(1, 10), Fraction(1, 100)], "incorrect"),
        ("1, 2", "1", [Fraction(1, 10)], "incorrect"),
        ("5 m", "5.01 cm", [Fraction(1, 10)], "incorrect"),
        ("x=5", "y=5.01", [Fraction(1, 10)], "incorrect"),
        ("x=5", "5.01", [Fraction(1, 10)], "correct"),
        ("a+b", "a+b+0.01", [Fraction(1, 10)], "incorrect"),
    ],
)
def test_within_tolerance(gold: str, answer: str, limits: list[Fraction], outcome: str) -> None:
    assert within_tolerance(gold, wrong(answer), limits).outcome == outcome


@pytest.mark.parametrize("outcome", ["correct", "unparsed", "timeout"])
def test_only_wrong_answers_are_forgiven(outcome: str) -> None:
    verdict = Verdict(outcome=outcome, extracted="2.05", reason="")  # type: ignore[arg-type]
    assert within_tolerance("2", verdict, [Fraction(1, 10)]) is verdict


def problem(answer: str, **metadata: object) -> Problem:
    return Problem(id="p", question="?", answer=answer, metadata=metadata)


def test_olympiadbench_takes_the_published_tolerance() -> None:
    assert published_tolerance(problem("48.9", tolerance="1e-1"), wrong("49")).correct
    assert not published_tolerance(problem("48.9", tolerance="1e-2"), wrong("49")).correct
    assert not published_tolerance(problem("48.9"), wrong("48.95")).correct
    both = problem("1, 2", tolerance="0.1,0.001")
    assert published_tolerance(both, wrong("1.05, 2.0005")).correct
    assert not published_tolerance(problem("1", tolerance="half"), wrong("1.2")).correct


def test_dynamath_takes_a_thousandth_for_numbers_only() -> None:
    assert within_a_thousandth(problem("2.0944", published_type="float"), wrong("2.095")).correct
    assert not within_a_thousandth(problem("2.0944", published_type="float"), wrong("2.09")).correct
    assert not within_a_thousandth(problem("2.0944", published_type="text"), wrong("2.095")).correct
