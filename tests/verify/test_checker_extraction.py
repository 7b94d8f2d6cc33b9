r"""Where the final answer is found, under the strict (reward) and the lenient (eval) rules."""

from __future__ import annotations

import pytest

from adora_mm.verify import check_response
from adora_mm.verify.extract import boxes, find_answer, outside_think


def strict(response: str, gold: str = "5") -> str:
    return check_response(response, gold).outcome


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{5}",
        r"So the answer is $\boxed{5}$.",
        r"\boxed{5} and again \boxed{5}",
        r"\boxed{5} which is \boxed{5.0}",
        r"\boxed{\boxed{5}}",
        r"\fbox{5}",
        r"\boxed {5}",
        "<answer>5</answer>",
        "<answer> 5 </answer>",
        "<ANSWER>5</ANSWER>",
        r"<answer>\boxed{5}</answer>",
        r"<answer>$x = 5$</answer>",
        r"<think>first \boxed{7}</think> then \boxed{5}",
        r"<think>first \boxed{7}</think><answer>5</answer>",
        r"the prompt opened it \boxed{9} </think> \boxed{5}",
        r"\boxed{5}<think>a second thought</think>",
        r"<answer>5</answer> in other words \boxed{5}",
        "first\n\n\\boxed{\n5\n}",
    ],
)
def test_one_final_answer_is_correct(response: str) -> None:
    assert strict(response) == "correct"


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{5} or \boxed{6}",
        r"\boxed{6} no: \boxed{5}",
        r"\boxed{5 or 6}",
        r"\boxed{5, 6}",
        r"\boxed{5 = 6}",
        r"\boxed{6 = 5}",
        r"<answer>5</answer> \boxed{6}",
        r"<answer>5</answer><answer>6</answer>",
        r"<answer>6</answer>",
        r"\boxed{x = 5 \text{ or } x = 6}",
        r"\boxed{\int_0^5 dx}",
        r"\boxed{\sum_{k=1}^{5} 1}",
    ],
)
def test_several_or_hedged_answers_are_incorrect(response: str) -> None:
    assert strict(response) == "incorrect"


@pytest.mark.parametrize(
    "response",
    [
        "5",
        "The answer is 5.",
        "Answer: 5",
        r"<think>\boxed{5}</think>",
        r"<think>\boxed{5}",
        r"\boxed{5",
        r"\boxed{}",
        "<answer></answer>",
        "<answer>5",
        "",
        r"\boxed{\frac{5}{}",
        r"\boxed{5)(}",
    ],
)
def test_no_readable_final_answer_is_unparsed(response: str) -> None:
    assert strict(response) == "unparsed"


@pytest.mark.parametrize(
    ("response", "rule"),
    [
        (r"\boxed{6} then \boxed{5}", "last box"),
        ("<answer>6</answer> <answer>5</answer>", "last answer tag"),
        ("Some work.\nAnswer: 5", "answer line"),
        ("Some work.\n**Answer:** 5", "answer line"),
        ("Therefore the answer is $5$.", "answer line"),
        ("The final answer is: 5 cm.", "answer line"),
        ("two and three make five\n#### 5", "marker line"),
        ("We add 2 and 3 which gives us, after all of this work, 5", "last number"),
        ("5", "short response"),
    ],
)
def test_the_lenient_rules_name_where_they_found_it(response: str, rule: str) -> None:
    verdict = check_response(response, "5", profile="eval")
    assert verdict.outcome == "correct"
    assert verdict.reason.startswith(rule + ":")


def test_a_choice_letter_is_found_only_where_a_choice_is_expected() -> None:
    response = "After comparing every one of the given options, I would choose (C)"
    options = ("30", "40", "60", "80")
    assert check_response(response, "C", choices=options, profile="eval").correct
    assert check_response(response, "C", profile="eval").correct
    assert check_response(response, "60", profile="eval").extracted is None


def test_a_failed_formula_never_falls_through_to_its_digits() -> None:
    assert check_response(r"\boxed{\frac{5}{}}", "5", profile="eval").outcome == "unparsed"
    assert check_response(r"\boxed{5 ) 5}", "5").outcome == "unparsed"


def test_boxes_are_balanced_and_skip_escaped_braces() -> None:
    assert boxes(r"a \boxed{\{1,2\}} b \boxed{\frac{1}{2}}") == (
        [r"\{1,2\}", r"\frac{1}{2}"],
        False,
    )
    assert boxes(r"\boxed{1} \boxed{2") == (["1"], True)
    assert boxes(r"\boxed 7 x") == (["7"], False)


def test_text_outside_think_keeps_what_stands_between_two_thoughts() -> None:
    assert outside_think("<think>a</think>b<think>c</think>d").split() == ["b", "d"]
    assert outside_think("a</think>b") == "b"
    assert outside_think("a<think>b").strip() == "a"


def test_extracted_text_in_a_verdict_is_short_enough_to_log() -> None:
    verdict = check_response("\\boxed{" + "9" * 100_000 + "}", "5")
    assert verdict.outcome == "unparsed"
    assert len(verdict.extracted or "") <= 300


def test_a_response_beyond_the_limit_is_refused_unread() -> None:
    found = find_answer("x" * 4_000_001, strict=True)
    assert found.answers == ()
    assert "longer than" in found.rule
