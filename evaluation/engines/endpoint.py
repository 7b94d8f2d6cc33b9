"""An OpenAI-compatible endpoint as an engine: many requests at once, each stored when it comes.

A request that got no reply becomes an `error` row and never a wrong answer; the next run tries it
again. Images are sent as they are, as data URIs, unless pixel limits ask for another size.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from PIL import Image

from adora_mm.data import open_image
from adora_mm.data.images import read_image
from adora_mm.prompts import build_messages, image_sizes
from adora_mm.types import Problem
from evaluation.engines.base import SamplePlan, Shard, batches, missing_samples, request_seed
from evaluation.engines.client import Endpoint, EndpointConfig, EndpointError, RequestError
from evaluation.responses import Response, ResponseFile, sample_id

_TYPES = ((b"\x89PNG", "png"), (b"\xff\xd8\xff", "jpeg"), (b"GIF8", "gif"), (b"RIFF", "webp"))
MAX_MEGAPIXELS = 64.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestStyle:
    """What is the same in every request."""

    system_prompt: str = ""
    min_pixels: int | None = None
    max_pixels: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    """Merged into each request's body as it is, for instance `{"top_k": -1}` for vLLM servers."""


class EndpointEngine:
    """Answers through an endpoint with `concurrency` requests in flight."""

    def __init__(self, config: EndpointConfig, style: RequestStyle, *, concurrency: int) -> None:
        self._endpoint = Endpoint(config)
        self._style, self._concurrency = style, concurrency
        self._endpoint.check()

    def answer(
        self, problems: Sequence[Problem], plan: SamplePlan, done: ResponseFile, shard: Shard
    ) -> Iterator[list[Response]]:
        todo = (
            pair
            for batch in batches(problems, plan.batch, shard)
            for pair in missing_samples(batch, plan.samples, done)
        )
        running: set[Future[Response]] = set()
        executor = ThreadPoolExecutor(self._concurrency)
        try:
            for problem, sample in todo:
                running.add(executor.submit(self._ask, problem, sample, plan))
                if len(running) >= 2 * self._concurrency:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    yield from _rows(finished)
            while running:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
                yield from _rows(finished)
        except BaseException:
            self._endpoint.stop()
            raise
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        self._endpoint.close()

    def _ask(self, problem: Problem, sample: int, plan: SamplePlan) -> Response:
        name = sample_id(problem.id, sample)
        body = {
            "messages": request_messages(problem, self._style),
            "temperature": plan.temperature,
            "top_p": plan.top_p,
            "max_tokens": plan.max_new_tokens,
            "seed": request_seed(plan.seed, problem.id, sample),
            **self._style.extra,
        }
        facts: dict[str, Any] = {"id": name, "problem": problem.id, "sample": sample}
        try:
            reply = self._endpoint.chat(body, key=name)
            text, reason, tokens = read_reply(reply)
        except RequestError as error:
            return Response(
                **facts, text="", finish_reason="error", num_tokens=None, error=str(error)
            )
        if reason not in ("stop", "length"):
            return Response(
                **facts,
                text=text,
                finish_reason="error",
                num_tokens=tokens,
                error=f"the server ended the answer with {reason!r}",
            )
        return Response(**facts, text=text, finish_reason=reason, num_tokens=tokens)


def _rows(finished: set[Future[Response]]) -> Iterator[list[Response]]:
    """What came, before the error that ends the run if one of the requests met it."""
    fatal: EndpointError | None = None
    rows = []
    for future in finished:
        try:
            rows.append(future.result())
        except EndpointError as error:
            fatal = error
    yield rows
    if fatal is not None:
        raise fatal


def request_messages(problem: Problem, style: RequestStyle) -> list[dict[str, Any]]:
    """The messages of the local engines, with pictures as data URIs."""
    messages = build_messages(problem, num_images=len(problem.images), system=style.system_prompt)
    parts = [
        part
        for message in messages
        if not isinstance(message["content"], str)
        for part in message["content"]
        if part["type"] == "image"
    ]
    sizes = image_sizes(problem, len(problem.images))
    for part, path, size in zip(parts, problem.images, sizes, strict=True):
        own = replace(
            style,
            min_pixels=size.get("min_pixels", style.min_pixels),
            max_pixels=size.get("max_pixels", style.max_pixels),
        )
        side = (size["resized_width"], size["resized_height"]) if "resized_width" in size else None
        url = image_uri(path, problem.id, own, side)
        part.update(type="image_url", image_url={"url": url})
    return messages


def image_uri(
    path: Path, problem_id: str, style: RequestStyle, exact: tuple[int, int] | None = None
) -> str:
    """An image file as a data URI, resized to `exact` or only if it is outside the pixel limits."""
    data = read_image(path, problem_id)
    kind = next((name for magic, name in _TYPES if data.startswith(magic)), "")
    image = open_image(path, max_megapixels=MAX_MEGAPIXELS, problem_id=problem_id)
    scale = _scale(image.width * image.height, style)
    if exact or scale != 1 or not kind:
        size = exact or (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        buffer = io.BytesIO()
        image.resize(size, Image.Resampling.BICUBIC).save(buffer, format="PNG")
        data, kind = buffer.getvalue(), "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _scale(pixels: int, style: RequestStyle) -> float:
    if style.max_pixels is not None and pixels > style.max_pixels:
        return math.sqrt(style.max_pixels / pixels)
    if style.min_pixels is not None and pixels < style.min_pixels:
        return math.sqrt(style.min_pixels / pixels)
    return 1.0


def read_reply(reply: Mapping[str, Any]) -> tuple[str, str, int | None]:
    """Text, finish reason and tokens of a reply; reasoning that comes apart is put in think tags.

    Raises RequestError for a reply of another form.
    """
    try:
        choice = reply["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
        reason = choice.get("finish_reason") or "stop"
        tokens = (reply.get("usage") or {}).get("completion_tokens")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise RequestError("the reply has no choices[0].message") from error
    if not isinstance(text, str) or not isinstance(thought, str):
        raise RequestError("the reply's content is not a text")
    if thought:
        text = f"<think>{thought}</think>{text}"
    return text, str(reason), tokens if isinstance(tokens, int) else None
