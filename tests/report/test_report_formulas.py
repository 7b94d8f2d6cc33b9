"""Formulas become MathML, and nothing else of a text becomes markup."""

from __future__ import annotations

import random
import re

import pytest

from adora_mm.report.maths import MAX_FORMULAS, with_formulas


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (r"In $\triangle ABC$, find x.", ["In <math", "<mi>A</mi>", "</math>, find x."]),
        (r"so \boxed{\frac{1}{2}}", ["so <math", 'notation="box"', "<mfrac>"]),
        (r"\(\sqrt{2}\) and \[x^2\]", ["<msqrt>", 'display="block"', "<msup>"]),
        (r"$$a < b$$", ["<mo>&lt;</mo>"]),
        (r"\dfrac{3}{4} of it", ["<mfrac>", " of it"]),
    ],
)
def test_formulas_are_drawn(text: str, parts: list[str]) -> None:
    shown = with_formulas(text)
    for part in parts:
        assert part in shown
    assert "alttext=" in shown, "the source stays readable"


@pytest.mark.parametrize("text", ["costs $5 and $6", r"$\frac$", r"\left( x", "a_1 = 2", ""])
def test_what_is_no_formula_stays_as_it_is(text: str) -> None:
    assert with_formulas(text) == text


@pytest.mark.parametrize(
    "text",
    [
        r"$\text{<script>alert(1)</script>}$",
        r"$\href{javascript:alert(1)}{x}$",
        r"$\style{background:url(https://x.org)}{y}$",
        r'$"><img src=x onerror=alert(1)>$',
        r"<b>\boxed{<i>}</b>",
        r"$\class{verdict rose}{x}$",
    ],
)
def test_hostile_formulas_are_harmless(text: str) -> None:
    check_harmless(with_formulas(text))


def check_harmless(shown: str) -> None:
    """Only tags and attributes of MathML; what else looks like one is escaped."""
    for tag in re.findall(r"<[^>]*>", shown):
        assert re.fullmatch(r'</?(math|m[a-z]+)( [a-z]+="[^"<>]*")*>', tag), tag
        attributes = re.findall(r' ([a-z]+)="', tag.replace("alttext", "", 1))
        assert not {"href", "style", "class", "src", "id"} & {*attributes}


def test_random_latex_is_harmless_and_quick() -> None:
    rng = random.Random(0)
    pieces = [
        r"\frac", "{", "}", "$", r"\(", r"\)", r"\left", r"\right", "(", "&", r"\\", "<", '"', "'",
        r"\begin{matrix}", r"\end{matrix}", "x", r"\text", "^", "_", r"\sqrt", r"\href", r"\boxed",
    ]  # fmt: skip
    for _ in range(1500):
        check_harmless(with_formulas("".join(rng.choices(pieces, k=25))))


def test_the_number_of_formulas_is_bounded() -> None:
    assert with_formulas("$x$ " * 500).count("<math") == MAX_FORMULAS
