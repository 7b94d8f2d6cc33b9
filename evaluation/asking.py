"""A language model behind an OpenAI-compatible endpoint that helps with scoring.

Every question is asked once: replies are kept in a file beside the run, keyed by the model and all
that it was shown, so that scoring again asks nothing twice. A model that does not reply, or whose
reply is cut off, has no say and is counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from evaluation.engines.client import Endpoint, EndpointConfig, RequestError
from evaluation.engines.endpoint import read_reply

TAIL_CHARS = 6000
"""Of a response its end is shown: the answer stands there."""
MAX_NEW_TOKENS = 2048
CONCURRENCY = 8


class AskedModel:
    """Answers texts with texts; `facts` go to the scoring file."""

    def __init__(self, config: EndpointConfig, *, role: str, prompt: str, cache: Path) -> None:
        if not config.model:
            raise ValueError(f"--{role}-url needs --{role}-model")
        self._endpoint, self._prompt = Endpoint(config), prompt
        self._endpoint.check()
        self._cache_path, self._cache = cache, _read_cache(cache)
        self.facts: dict[str, Any] = {
            "model": config.model,
            "prompt_sha256": hashlib.sha256(prompt.encode()).hexdigest(),
            "asked": 0,
            "from_cache": 0,
            "no_reply": 0,
        }

    def ask(self, items: Sequence[Mapping[str, str]]) -> list[str | None]:
        """Replies in order, without their reasoning; None where none came.

        An item has a text for each `{name}` of the prompt. Raises EndpointError when the endpoint
        cannot be used any more; what it replied until then is in the cache.
        """
        texts = [self._text(item) for item in items]
        keys = [self._key(text) for text in texts]
        open_ones = {
            key: text for key, text in zip(keys, texts, strict=True) if key not in self._cache
        }
        executor = ThreadPoolExecutor(CONCURRENCY)
        try:
            replies = executor.map(self._fetch, open_ones, open_ones.values())
            for key, reply in zip(open_ones, replies, strict=True):
                self.facts["no_reply" if reply is None else "asked"] += 1
                if reply is not None:
                    self._cache[key] = reply
        except BaseException:
            self._endpoint.stop()
            raise
        finally:
            executor.shutdown(cancel_futures=True)
        self.facts["from_cache"] += len(items) - len(open_ones)
        found = [self._cache.get(key) for key in keys]
        return [reply and reply.rpartition("</think>")[2].strip() for reply in found]

    def _text(self, item: Mapping[str, str]) -> str:
        values = {**item, "response": item["response"][-TAIL_CHARS:]}
        return self._prompt.format(**values)

    def _key(self, text: str) -> str:
        name = f"{self.facts['model']}\0{text}"
        return hashlib.sha256(name.encode(errors="replace")).hexdigest()

    def _fetch(self, key: str, text: str) -> str | None:
        body = {
            "messages": [{"role": "user", "content": text}],
            "temperature": 0,
            "max_tokens": MAX_NEW_TOKENS,
        }
        try:
            reply, reason, _ = read_reply(self._endpoint.chat(body, key=key))
        except RequestError:
            return None
        if reason != "stop":
            return None
        line = json.dumps({"key": key, "reply": reply}).encode()
        with self._cache_path.open("ab") as file:
            file.write(line + b"\n")  # one write: whole or, after a kill, skipped
        return reply


def _read_cache(path: Path) -> dict[str, str]:
    """Replies by key; the last line of a run that was killed is closed and passed over."""
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")
    for line in data.splitlines():
        try:
            record: Mapping[str, Any] = json.loads(line)
            found[record["key"]] = record["reply"]
        except (ValueError, KeyError, TypeError):
            continue
    return found
