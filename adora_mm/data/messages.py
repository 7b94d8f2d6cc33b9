"""Prompts that come as chat messages, in the form that `qwen_vl_utils` and transformers take.

    [{"role": "user", "content": [
        {"type": "image", "image": "a.png", "min_pixels": 50176, "max_pixels": 200704},
        {"type": "image", "image": "file:///data/b.png", "resized_height": 280, "resized_width": 420},
        {"type": "text", "text": "What has changed?"}]}]

A picture is named by a path, by `file://` and a path, or holds its bytes (`data:image/png;base64,`).
In a row with pictures of its own, `<image>` in a message's text is where the next one stands, as in
verl's tables.
Messages are kept with the pictures taken out: each part `{"type": "image", ...sizes}` stands for one
of the problem's pictures, in order.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adora_mm.data.images import MAX_ASPECT

ROLES = ("system", "user", "assistant")
MOST_PX = 2**31
"""Nothing larger is a size: what comes after reckons in floats."""
IMAGE = "<image>"
SIZES = ("min_pixels", "max_pixels", "resized_height", "resized_width")
_EMBEDDED = "data:image"


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """A prompt as it was read."""

    messages: tuple[Mapping[str, Any], ...]
    """Without pictures' addresses: what `Problem.messages` holds."""
    addresses: tuple[str | None, ...]
    """Of each picture; None for one that stands in the row's own `images`."""

    @property
    def question(self) -> str:
        """The text of the last message, which is the user's."""
        content = self.messages[-1]["content"]
        if isinstance(content, str):
            return content
        return "\n".join(part["text"] for part in content if part["type"] == "text")


def read_messages(value: object, *, tags: bool = False) -> Messages:
    """Check messages of a row. Raises ValueError that names the message and what is wrong.

    `tags`: `<image>` stands for a picture of the row, where all contents are plain texts.
    """
    if not isinstance(value, list) or not value:
        raise ValueError(f"'messages' must be a list of messages, not {value!r:.60}")
    tags = tags and not any(isinstance(m, Mapping) and isinstance(m.get("content"), list) for m in value)
    messages: list[Mapping[str, Any]] = []
    addresses: list[str | None] = []
    for number, message in enumerate(value, start=1):
        try:
            messages.append(_message(message, addresses, first=number == 1, tags=tags))
        except ValueError as error:
            raise ValueError(f"message {number}: {error}") from error
    if messages[-1]["role"] != "user":
        raise ValueError("the last message must be the user's: the answer is what is trained")
    read = Messages(messages=tuple(messages), addresses=tuple(addresses))
    if not read.question.strip():
        raise ValueError("the last message has no text")
    return read


def embedded_image(address: str) -> bytes | None:
    """The bytes within a `data:image/...;base64,` address; None for any other address.

    Raises ValueError for one whose bytes cannot be decoded.
    """
    if not address.startswith(_EMBEDDED):
        return None
    _, found, text = address.partition("base64,")
    try:
        if found:
            return base64.b64decode(text, validate=True)
    except ValueError:  # binascii.Error, or a plain one for what is not ASCII
        pass
    raise ValueError(f"{address[:32]}...: not an image in base64")


def _message(
    message: object, addresses: list[str | None], *, first: bool, tags: bool
) -> Mapping[str, Any]:
    if not isinstance(message, Mapping) or set(message) != {"role", "content"}:
        raise ValueError(f"must hold 'role' and 'content' alone, not {message!r:.60}")
    role, content = message["role"], message["content"]
    if role not in ROLES or (role == "system" and not first):
        raise ValueError(f"role {role!r}: a first message may be system, then user and assistant")
    if tags and isinstance(content, str) and IMAGE in content:
        content = _cut_at_tags(content)
    if isinstance(content, str):
        return {"role": role, "content": content}
    if not isinstance(content, list) or not content:
        raise ValueError(f"content must be a text or a list of parts, not {content!r:.60}")
    return {"role": role, "content": [_part(part, addresses) for part in content]}


def _cut_at_tags(text: str) -> list[dict[str, str]]:
    parts: list[dict[str, str]] = []
    for number, words in enumerate(text.split(IMAGE)):
        parts += [{"type": "image"}] if number else []
        parts += [{"type": "text", "text": words}] if words else []
    return parts


def _part(part: object, addresses: list[str | None]) -> dict[str, Any]:
    if not isinstance(part, Mapping):
        raise ValueError(f"a part must be an object, not {part!r:.60}")
    given = {key: value for key, value in part.items() if value is not None}  # tables fill up
    kind = given.get("type", "text" if "text" in given else "image")
    if kind == "text" and isinstance(given.get("text"), str):
        if "image" in given or "image_url" in given:
            raise ValueError("a part holds a text and an image; make it two parts")
        return {"type": "text", "text": given["text"]}
    if kind not in ("image", "image_url"):
        raise ValueError(f"a part of type {kind!r} is not read, only text and image")
    address = given.get("image", given.get("image_url"))
    if isinstance(address, Mapping):  # as OpenAI's interface writes it
        address = address.get("url")
    unknown = sorted(set(given) - {"type", "image", "image_url", *SIZES})
    if unknown:
        raise ValueError(f"an image part has the unknown key {unknown[0]!r}; {', '.join(SIZES)}")
    addresses.append(_address(address))
    return {"type": "image", **_sizes(given)}


def _address(address: object) -> str | None:
    if address is None:
        return None
    if not isinstance(address, str) or not address:
        raise ValueError(f"an image must be a path or base64 text, not {address!r:.60}")
    scheme, found, rest = address.partition("://")
    if found and scheme != "file":
        raise ValueError(
            f"image {address:.80}: nothing is fetched from the network; download it and give its "
            "path"
        )
    return rest if found else address


def _sizes(part: Mapping[str, Any]) -> dict[str, int]:
    """The sizes that a part gives, in px or px^2."""
    sizes = {key: part[key] for key in SIZES if key in part}
    for key, value in sizes.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < MOST_PX:
            raise ValueError(f"{key} must be a whole number of at least 1, not {value!r:.60}")
    if ("resized_height" in sizes) != ("resized_width" in sizes):
        raise ValueError("resized_height and resized_width go together; give both or neither")
    sides = sorted((sizes.get("resized_height", 1), sizes.get("resized_width", 1)))
    if sides[1] > MAX_ASPECT * sides[0]:
        raise ValueError(f"{sides[1]} to {sides[0]} px is too narrow: the limit is {MAX_ASPECT}:1")
    if sizes.get("min_pixels", 1) > sizes.get("max_pixels", sizes.get("min_pixels", 1)):
        raise ValueError(
            f"min_pixels={sizes['min_pixels']} is over max_pixels={sizes['max_pixels']}"
        )
    return sizes
