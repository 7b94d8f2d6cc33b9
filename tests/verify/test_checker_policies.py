r"""The profiles: every policy is a flag, and each flag does what it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from adora_mm.verify import PROFILES, check_answer
from adora_mm.verify.profiles import Profile, get_profile

REWARD = PROFILES["reward"]
EVAL = PROFILES["eval"]


def accepts(prediction: str, gold: str, profile: Profile) -> bool:
    return check_answer(prediction, gold, profile=profile).correct


@pytest.mark.parametrize(
    ("flag", "value", "gold", "prediction"),
    [
        ("missing_unit", True, "5 cm", "5"),
        ("extra_unit", True, "5", "5 cm"),
        ("convert_units", True, "5 m", "500 cm"),
        ("percent_value", True, "8%", "0.08"),
        ("glued_unit", True, "40m", "40"),
        ("ratio_as_fraction", True, "1:64", "1/64"),
        ("bare_list_as_tuple", True, "(1,2)", "1, 2"),
        ("vector_as_tuple", True, r"\begin{pmatrix}1\\2\\3\end{pmatrix}", "(1,2,3)"),
        ("round_decimal_gold", True, "78.5", r"25\pi"),
        ("accept_truncation", True, r"12\sqrt{3}", "20.784"),
        ("pi_as_3_14", True, r"6\pi", "18.84"),
        ("letter_case", True, "C", "c"),
    ],
)
def test_each_flag_decides_its_case(flag: str, value: bool, gold: str, prediction: str) -> None:
    assert accepts(prediction, gold, replace(REWARD, **{flag: value}))
    assert not accepts(prediction, gold, replace(REWARD, **{flag: not value}))


@pytest.mark.parametrize(
    ("gold", "prediction", "reward", "lenient"),
    [
        (r"12\sqrt{3}", "20.8", False, True),
        (r"12\sqrt{3}", "20.78", True, True),
        (r"12\sqrt{3}", "21", False, False),
        (r"\frac{5}{9}", "0.56", False, False),
        ("C", "c", False, True),
        ("40m", "40", False, True),
    ],
)
def test_eval_is_wider_than_reward_only_where_stated(
    gold: str, prediction: str, reward: bool, lenient: bool
) -> None:
    assert accepts(prediction, gold, REWARD) is reward
    assert accepts(prediction, gold, EVAL) is lenient


def test_pi_as_3_14_accepts_both_ways_of_writing_the_gold() -> None:
    approximate = PROFILES["eval_pi"]
    assert accepts("18.84", r"6\pi", approximate)
    assert accepts(r"25\pi", "78.5", approximate)
    assert accepts(r"16\pi", "50.24", approximate)
    assert not accepts("18.83", r"6\pi", approximate)


def test_an_unknown_profile_is_an_error_that_lists_the_names() -> None:
    with pytest.raises(ValueError, match="reward"):
        get_profile("strictest")


def test_newlines_separate_the_members_of_a_gold() -> None:
    assert check_answer("D, C", "C\nD").correct
    assert not check_answer("C", "C\nD").correct
    assert check_answer("-4.9, -4.9", "-4.9\n-4.9").correct
