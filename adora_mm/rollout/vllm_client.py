"""One vLLM server seen from the trainer: requests over HTTP, and what their failures mean.

A server that cannot be reached, takes too long or fails inside is `ServerGone`: another attempt or
another server may do. A request that it refuses would be refused everywhere: ValueError.
"""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from typing import Any

HEALTH_TIMEOUT_S = 10.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class ServerGone(RuntimeError):
    """No usable answer from this server."""


class Server:
    """Address and manners of one server; safe to use from several threads."""

    def __init__(self, url: str, *, timeout_s: float) -> None:
        self.url, self.timeout_s = url.rstrip("/"), timeout_s
        self.compared = False
        """Whether its weights were once compared with the trainer's."""

    def is_healthy(self) -> bool:
        try:
            self.ask("GET", "/health", timeout_s=HEALTH_TIMEOUT_S)
        except (ServerGone, ValueError):
            return False
        return True

    def workers(self, method: str, *args: str, timeout_s: float | None = None) -> list[Any]:
        """A method of all workers (`vllm_worker.py`) and what each of them answers.

        Raises ServerGone also for what one of them says went wrong.
        """
        body = {"method": method, "args": list(args)}
        reports = self.ask("POST", "/collective_rpc", body, timeout_s=timeout_s)["results"]
        for number, report in enumerate(reports):
            if isinstance(report, dict) and report.get("error"):
                raise ServerGone(f"{self.url}, worker {number}: {report['error']}")
        return list(reports)

    def ask(
        self, method: str, path: str, body: Any = None, *, timeout_s: float | None = None
    ) -> Any:
        """The JSON reply; None for an empty one. Raises ServerGone and ValueError."""
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("VLLM_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with _DIRECT.open(request, timeout=timeout_s or self.timeout_s) as reply:
                text = reply.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            said = f"{self.url}{path} answered {error.code}: {_first_words(error)}"
            if error.code >= 500 or error.code == 429:
                raise ServerGone(said) from error
            raise ValueError(said) from error
        except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
            raise ServerGone(f"{self.url}: {error}") from error


def _first_words(error: urllib.error.HTTPError) -> str:
    try:
        text = error.read(2000).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        return error.reason
    return " ".join(text.split())[:300]
