"""From a problem to chat messages: pictures first, then the text, then the options."""

from __future__ import annotations

from pathlib import Path

import pytest

from adora_mm.prompts import VISION_MARKERS, PromptError, build_messages, question_text
from adora_mm.types import Problem


def problem(question: str, *choices: str) -> Problem:
    return Problem(id="p-17", question=question, answer="1", choices=choices)


@pytest.mark.parametrize(
    ("question", "text"),
    [
        ("Find x.", "Find x."),
        ("<image>Find x.", "Find x."),
        ("<image>\nFind x.", "Find x."),
        ("<image1> <image2> Find x.", "Find x."),
        ("See <image12> and find x.\n", "See and find x."),
        ("Is 3 <image area?", "Is 3 <image area?"),
        ("a < b > c", "a < b > c"),
    ],
)
def test_image_tags_are_removed(question: str, text: str) -> None:
    assert question_text(problem(question)) == text


def test_options_follow_with_letters() -> None:
    text = question_text(problem("Find x.", "10", "$\\frac{1}{2}$", "none"))
    assert text == "Find x.\nChoices: (A) 10 (B) $\\frac{1}{2}$ (C) none"


def test_options_that_are_only_their_letter_are_not_said_twice() -> None:
    assert question_text(problem("Which?", "A", "B", "C")) == "Which?\nChoices: (A) (B) (C)"
    assert question_text(problem("Which?", "B", "A")) == "Which?\nChoices: (A) B (B) A"


@pytest.mark.parametrize("marker", VISION_MARKERS)
def test_vision_markers_are_refused(marker: str) -> None:
    with pytest.raises(PromptError, match=r"p-17.*remove it from the data"):
        question_text(problem(f"Find {marker} x."))
    with pytest.raises(PromptError, match=r"p-17"):
        question_text(problem("Find x.", "1", marker))


def test_a_marker_cannot_hide_behind_a_tag_that_is_removed() -> None:
    with pytest.raises(PromptError):
        question_text(problem("Find <|image_<image>pad|> x."))


def test_pictures_come_before_the_text() -> None:
    messages = build_messages(problem("Find x."), num_images=2)
    assert messages == [
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Find x."}],
        }
    ]


def test_a_text_prompt_is_a_plain_string() -> None:
    messages = build_messages(problem("Find x."), num_images=0)
    assert messages == [{"role": "user", "content": "Find x."}]


def test_the_system_prompt_comes_first() -> None:
    messages = build_messages(problem("Find x."), num_images=1, system="Think.")
    assert messages[0] == {"role": "system", "content": "Think."}
    assert [message["role"] for message in messages] == ["system", "user"]


def test_more_options_than_letters_is_a_clear_error() -> None:
    with pytest.raises(PromptError, match=r"p-17.*27 choices"):
        question_text(problem("Which?", *[str(i) for i in range(27)]))


def test_the_real_qwen_template_renders_the_messages(shared_data: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(shared_data / "qwen3_tokenizer"))
    messages = build_messages(problem("Find $x$.", "1", "2"), num_images=0, system="Be brief.")
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nFind $x$.\n")
    assert text.endswith("Choices: (A) 1 (B) 2<|im_end|>\n<|im_start|>assistant\n")
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert ids[0] == tokenizer.convert_tokens_to_ids("<|im_start|>") == 151644
    assert tokenizer.decode(ids) == text
