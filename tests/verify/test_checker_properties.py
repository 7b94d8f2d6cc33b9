"""Properties that hold for all answers: reflexive, symmetric where the policy is, total, stable."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from adora_mm.types import Verdict
from adora_mm.verify.check import decide_answer, decide_response
from adora_mm.verify.profiles import PROFILES

REWARD = PROFILES["reward"]
OUTCOMES = {"correct", "incorrect", "unparsed", "timeout"}

integers = st.integers(-10_000, 10_000)
positive = st.integers(1, 500)


def correct(prediction: str, gold: str) -> bool:
    verdict = decide_answer(prediction, gold, None, REWARD)
    assert verdict is not None
    return verdict.correct


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> tuple[str, str]:
    """One value written in two ways, in LaTeX and in plain maths."""
    if depth == 0 or draw(st.booleans()):
        leaf = draw(st.sampled_from(["number", "pi", "root", "x"]))
        n = draw(st.integers(2, 60))
        return {
            "number": (str(n), str(n)),
            "pi": ("\\pi", "pi"),
            "root": (f"\\sqrt{{{n}}}", f"sqrt({n})"),
            "x": ("x", "x"),
        }[leaf]
    sign = draw(st.sampled_from("+-*/"))
    a, b = draw(expressions(depth - 1))
    c, d = draw(expressions(0 if sign == "/" else depth - 1))  # a leaf is never zero
    return {
        "+": (f"{a}+{c}", f"{d} + {b}"),
        "-": (f"{a}-({c})", f"-({d}) + {b}"),
        "*": (f"({a})({c})", f"({d})*({b})"),
        "/": (f"\\frac{{{a}}}{{{c}}}", f"({b})/({d})"),
    }[sign]


@given(pair=expressions())
@settings(max_examples=200)
def test_two_notations_of_one_expression_are_equal_both_ways(pair: tuple[str, str]) -> None:
    latex, plain = pair
    assert correct(plain, latex)
    assert correct(latex, plain)


@given(pair=expressions())
@settings(max_examples=200)
def test_an_expression_plus_one_is_another(pair: tuple[str, str]) -> None:
    latex, plain = pair
    assert not correct(f"{plain} + 1", latex)
    assert not correct(f"({plain})*2 + 7*({plain}) + 11", f"9({latex}) + 10")


@given(a=integers, b=integers)
def test_integers_are_equal_exactly_when_they_are(a: int, b: int) -> None:
    assert correct(str(a), str(b)) == (a == b)
    assert correct(f"{a:,}", str(a))
    assert correct(f"{a}.00", str(a))


@given(a=integers, b=positive, c=integers, d=positive)
def test_fractions_are_equal_exactly_when_they_are(a: int, b: int, c: int, d: int) -> None:
    left, right = f"\\frac{{{a}}}{{{b}}}", f"{c}/{d}"
    same = Fraction(a, b) == Fraction(c, d)
    assert correct(left, right) == same
    assert correct(right, left) == same


@given(value=st.decimals(-1_000, 1_000, places=4), places=st.integers(1, 3))
def test_a_decimal_gold_accepts_what_rounds_to_it(value: object, places: int) -> None:
    exact = Fraction(str(value))
    scaled = abs(exact) * 10**places + Fraction(1, 2)
    rounded = Fraction(int(scaled), 10**places) * (1 if exact >= 0 else -1)
    gold = f"{float(rounded):.{places}f}"
    assert correct(str(value), gold)
    assert not correct(f"{float(rounded) + 10**-places:.{places}f}", gold)


@given(members=st.lists(integers, min_size=2, max_size=6, unique=True), seed=st.randoms())
def test_sets_have_no_order_and_tuples_have_one(members: list[int], seed: object) -> None:
    shuffled = list(members)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    text, other = ", ".join(map(str, members)), ", ".join(map(str, shuffled))
    assert correct(f"\\{{{other}\\}}", f"\\{{{text}\\}}")
    assert correct(f"({other})", f"({text})") == (members == shuffled)
    assert not correct(f"\\{{{other}, 20000\\}}", f"\\{{{text}\\}}")


@given(a=positive, b=positive, scale=st.integers(2, 30))
def test_ratios_are_equal_up_to_scale(a: int, b: int, scale: int) -> None:
    assert correct(f"{a * scale}:{b * scale}:{scale}", f"{a}:{b}:1")
    assert not correct(f"{a * scale + 1}:{b * scale}:{scale}", f"{a}:{b}:1")


@given(a=integers, b=integers, c=integers, factor=st.integers(-9, 9).filter(bool))
def test_lines_are_equal_up_to_a_factor(a: int, b: int, c: int, factor: int) -> None:
    if not a or not b:
        return
    gold = f"{a}x + ({b})y + ({c}) = 0"
    assert correct(f"{a * factor}x + ({b * factor})y = {-c * factor}", gold)
    assert not correct(f"{a * factor}x + ({b * factor})y = {-c * factor} + 1", gold)


alphabet = st.sampled_from(
    [*"0123456789xyzAB+-*/^_=<>()[]{}|!,;:.%°'\\ \n$&√π", "\\frac", "\\text{"]
)


@given(text=st.one_of(st.text(max_size=60), st.lists(alphabet, max_size=40).map("".join)))
@settings(max_examples=500)
def test_every_text_ends_in_a_verdict_and_equals_itself_when_readable(text: str) -> None:
    for gold in ("5", "x^2", "(1,2)", "even"):
        verdict = decide_answer(text, gold, None, REWARD)
        assert verdict is None or (isinstance(verdict, Verdict) and verdict.outcome in OUTCOMES)
    decide_response(text, "5", None, PROFILES["eval"])
    itself = decide_answer(text, text, None, REWARD)
    assert itself is None or itself.outcome in ("correct", "unparsed")


@given(value=st.integers(1, 999), unit=st.sampled_from(["cm", "m", "km", "kg", "hours", "cm^2"]))
def test_units_match_themselves_and_no_other_dimension(value: int, unit: str) -> None:
    assert correct(f"{value} {unit}", f"{value}")
    assert correct(f"{value} {unit}", f"{value} {unit}")
    assert correct(f"{value}", f"{value} {unit}")
    assert not correct(f"{value} {unit}", f"{value} litres")
    assert not correct(f"{value} {unit}", f"{value} dollars")
