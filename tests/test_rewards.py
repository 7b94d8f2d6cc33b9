"""Rewards: the ADORA recipe's three levels, truncation, the single box, the overlong penalty."""

from __future__ import annotations

import pytest

from adora_mm.config.algorithm import RewardConfig
from adora_mm.rewards import REWARD_PARTS, boxes_in_answer, is_truncated, score, succeeded
from adora_mm.types import Completion, FinishReason, Outcome, Verdict


def completion(text: str, finish: FinishReason = "stop", tokens: int = 10) -> Completion:
    return Completion(
        token_ids=(0,) * tokens, text=text, finish_reason=finish, logprobs=(0.0,) * tokens
    )


def verdict(outcome: Outcome, extracted: str | None = "5") -> Verdict:
    return Verdict(outcome=outcome, extracted=extracted, reason="test")


RIGHT, WRONG = verdict("correct"), verdict("incorrect")
BOXED = r"so the side is \boxed{5}."


@pytest.mark.parametrize(
    ("given", "text", "expected"),
    [
        (RIGHT, BOXED, 1.0),
        (WRONG, BOXED, 0.1),
        (WRONG, "the answer is 5", 0.0),
        (verdict("unparsed", None), "no idea", 0.0),
        (verdict("unparsed", "a b"), r"\boxed{a b}", 0.1),
        (verdict("timeout", "9^{9^{9}}"), r"\boxed{9^{9^{9}}}", 0.1),
    ],
)
def test_right_boxed_but_wrong_and_no_box(given: Verdict, text: str, expected: float) -> None:
    reward, parts = score(given, completion(text), RewardConfig())
    assert reward == expected == sum(parts.values())


def test_a_right_answer_earns_no_format_credit_on_top() -> None:
    _, parts = score(RIGHT, completion(BOXED), RewardConfig())
    assert parts == {"accuracy": 1.0, "format": 0.0}


def test_a_right_answer_counts_without_a_box_when_the_checker_says_so() -> None:
    assert score(RIGHT, completion("the answer is 5"), RewardConfig())[0] == 1.0


def test_several_boxes_do_not_pay() -> None:
    text = r"\boxed{4} or \boxed{5} or \boxed{6}"
    assert score(WRONG, completion(text), RewardConfig())[0] == 0.0


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        (BOXED, 1),
        ("", 0),
        (r"<think>maybe \boxed{3}</think> it is \boxed{4}", 1),
        (r"<think>maybe \boxed{3}</think> nothing", 0),
        (r"maybe \boxed{3}</think> it is \boxed{4}", 1),
        (r"<think>maybe \boxed{3}", 0),
        (r"<think>a</think> <think>\boxed{3}", 0),
        (r"\boxed{\boxed{4}}", 2),
    ],
)
def test_boxes_are_counted_in_the_answer_not_in_the_thinking(text: str, boxes: int) -> None:
    assert boxes_in_answer(text) == boxes


@pytest.mark.parametrize("finish", ["length", "abort"])
@pytest.mark.parametrize("given", [RIGHT, WRONG])
def test_a_response_that_did_not_end_earns_nothing(given: Verdict, finish: FinishReason) -> None:
    cut = completion(BOXED, finish)
    assert is_truncated(cut)
    assert score(given, cut, RewardConfig())[0] == 0.0
    assert not succeeded(given, cut, RewardConfig())


def test_unless_the_config_grades_it_like_any_other() -> None:
    config, cut = RewardConfig(truncated="score"), completion(BOXED, "length")
    assert score(RIGHT, cut, config)[0] == 1.0
    assert succeeded(RIGHT, cut, config)
    assert score(WRONG, cut, config)[0] == 0.1
    assert not succeeded(WRONG, cut, config)


def test_weights_come_from_the_config_and_a_zero_weight_drops_the_part() -> None:
    config = RewardConfig(accuracy=0.9, format=0.0)
    assert score(RIGHT, completion(BOXED), config) == (0.9, {"accuracy": 0.9})
    assert score(WRONG, completion(BOXED), config) == (0.0, {"accuracy": 0.0})


@pytest.mark.parametrize(
    ("tokens", "penalty"), [(10, 0.0), (80, 0.0), (90, -0.5), (100, -1.0), (120, -1.0)]
)
def test_the_overlong_penalty_grows_linearly_up_to_the_cap(tokens: int, penalty: float) -> None:
    config = RewardConfig(overlong=1.0, overlong_buffer_tokens=20)
    reward, parts = score(RIGHT, completion(BOXED, tokens=tokens), config, max_response_tokens=100)
    assert parts["overlong"] == penalty
    assert reward == 1.0 + penalty


def test_the_overlong_penalty_needs_the_cap() -> None:
    config = RewardConfig(overlong=1.0, overlong_buffer_tokens=20)
    with pytest.raises(ValueError, match="max_response_tokens"):
        score(RIGHT, completion(BOXED), config)


def test_the_parts_are_the_entries_of_the_dict() -> None:
    config = RewardConfig(overlong=0.5, overlong_buffer_tokens=20)
    _, parts = score(RIGHT, completion(BOXED), config, max_response_tokens=100)
    assert set(parts) == set(REWARD_PARTS)
