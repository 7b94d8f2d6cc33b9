"""From a problem to chat messages: images first, then the text, then the options.

This is the layout of ADORA's Geometry3K recipe (image first, `<image>` tags removed). Rendering to
text is the model's own chat template, applied in `processor.py`.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from typing import Any

from adora_mm.types import Problem

IMAGE_TAG = re.compile(r"<image\d*>\s*")
VISION_MARKERS = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


class PromptError(ValueError):
    """A problem that cannot become a prompt; the message names the problem and the remedy."""


def question_text(problem: Problem) -> str:
    """The question without image tags, followed by lettered options when there are any.

    Raises PromptError when the text holds a vision marker of the model (it would be read as a
    picture that does not exist) and when there are more options than letters.
    """
    text = IMAGE_TAG.sub("", problem.question).strip()
    if problem.choices:
        letters = string.ascii_uppercase
        if len(problem.choices) > len(letters):
            raise PromptError(
                f"problem {problem.id}: {len(problem.choices)} choices, but only {len(letters)} "
                "letters; drop some of them"
            )
        options = [
            f"({letters[i]}) {choice}" if choice != letters[i] else f"({letters[i]})"
            for i, choice in enumerate(problem.choices)
        ]
        text = f"{text}\nChoices: {' '.join(options)}"
    _refuse_markers(text, problem)
    return text


def _refuse_markers(text: str, problem: Problem) -> None:
    marker = next((marker for marker in VISION_MARKERS if marker in text), None)
    if marker is not None:
        raise PromptError(f"problem {problem.id}: its text holds {marker}; remove it from the data")


def build_messages(problem: Problem, *, num_images: int, system: str = "") -> list[dict[str, Any]]:
    """Chat messages in the form that `apply_chat_template` of transformers takes."""
    if problem.messages:
        return _own_messages(problem, num_images, system)
    text = question_text(problem)
    content: str | list[dict[str, str]] = text
    if num_images:
        content = [{"type": "image"} for _ in range(num_images)]
        content.append({"type": "text", "text": text})
    messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
    if system:
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _own_messages(problem: Problem, num_images: int, system: str) -> list[dict[str, Any]]:
    """The problem's own messages, whose system message goes before that of the run.

    Content without pictures becomes one text: templates of text models take no parts.
    """
    messages: list[dict[str, Any]] = []
    pictures = 0
    for message in problem.messages:
        parts = message["content"]
        if isinstance(parts, str):
            parts = [{"type": "text", "text": parts}]
        texts = [part["text"] for part in parts if part["type"] == "text"]
        for text in texts:
            _refuse_markers(text, problem)
        pictures += len(parts) - len(texts)
        plain = [part if part["type"] == "text" else {"type": "image"} for part in parts]
        content = plain if len(parts) > len(texts) else "".join(texts)
        messages.append({"role": message["role"], "content": content})
    if pictures != num_images:
        raise PromptError(f"problem {problem.id}: {pictures} image parts for {num_images} images")
    if system and messages[0]["role"] != "system":
        messages.insert(0, {"role": "system", "content": system})
    return messages


def image_sizes(problem: Problem, num_images: int) -> tuple[Mapping[str, int], ...]:
    """The sizes that the problem's messages give to its images, in order; empty mappings for none.

    Keys: `min_pixels`, `max_pixels`, `resized_height`, `resized_width`.
    """
    if not problem.messages:
        return ({},) * num_images
    return tuple(
        {key: value for key, value in part.items() if key != "type"}
        for message in problem.messages
        if not isinstance(message["content"], str)
        for part in message["content"]
        if part["type"] == "image"
    )
