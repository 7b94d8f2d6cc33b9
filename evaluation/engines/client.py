"""A client of OpenAI-compatible endpoints: one request, retried as long as that makes sense.

`httpx2` carries the requests of all threads. Timeouts, refused connections, cut-off bodies and the
statuses 408, 409, 425, 429 and 5xx are tried again with growing pauses (`Retry-After` counts) that
end when the run is stopped; any other 4xx is final for this request. 401, 403 and 404 are final for
the run, and so is an endpoint that fails many times in a row.
"""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
FATAL = frozenset({401, 403, 404, 405})
MAX_PAUSE_S = 60.0
MAX_BODY_BYTES = 64_000_000


class RequestError(Exception):
    """A request that got no usable reply; the message is one line."""


class EndpointError(ValueError):
    """The endpoint as a whole cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointConfig:
    """How to reach an endpoint."""

    base_url: str
    """Up to and including `/v1`."""
    model: str
    timeout_s: float = 600.0
    """For one attempt, without any byte coming."""
    retries: int = 6
    pause_s: float = 1.0
    """Before the first retry; doubles each time, up to a minute."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; never written anywhere."""
    failures_in_a_row: int = 50
    """Requests that may fail one after the other before the run stops."""


class Endpoint:
    """Chat completions of one model; usable from many threads."""

    def __init__(self, config: EndpointConfig) -> None:
        if not config.base_url.startswith(("http://", "https://")):
            raise EndpointError(
                f"--base-url {config.base_url}: must start with http:// or https://"
            )
        self.config = config
        self._client = httpx2.Client(
            timeout=httpx2.Timeout(config.timeout_s, pool=None),
            limits=httpx2.Limits(max_connections=None),
            follow_redirects=True,
        )
        self._lock = threading.Lock()
        self._failed_in_a_row = 0
        self._stopped = threading.Event()

    def stop(self) -> None:
        """Let no request start any more; those in flight end with their present attempt."""
        self._stopped.set()

    def close(self) -> None:
        """Close the connections; no request may follow."""
        self._client.close()

    def check(self) -> None:
        """Ask for the list of models once. Raises EndpointError when nobody answers, when the key
        is refused, or when the model is not among those that are listed."""
        try:
            listed = self._attempt("models", None)
        except _Failure as failure:
            if failure.status in (404, 405):
                return  # an endpoint without that list
            raise EndpointError(self._explain(failure)) from failure
        rows = listed.get("data")
        names = [row.get("id") for row in rows if isinstance(row, dict)] if rows else []
        if names and self.config.model not in names:
            raise EndpointError(
                f"{self.config.base_url}: has no model {self.config.model!r}; it has "
                f"{', '.join(map(str, names[:5]))}"
            )

    def chat(self, body: Mapping[str, Any], *, key: str) -> dict[str, Any]:
        """The reply to one chat request; `key` seeds the random part of the pauses.

        Raises RequestError when every attempt failed or the request itself was refused, and
        EndpointError when going on makes no sense.
        """
        pause, noise = self.config.pause_s, random.Random(key)
        for attempt in range(self.config.retries + 1):
            try:
                reply = self._attempt("chat/completions", {"model": self.config.model, **body})
            except _Failure as failure:
                if failure.status in FATAL:
                    raise EndpointError(self._explain(failure)) from failure
                if not failure.again or attempt == self.config.retries:
                    self._count(failed=failure.again, last=failure)
                    tries = f" ({attempt + 1} attempts)" if failure.again else ""
                    raise RequestError(f"{failure}{tries}") from failure
                wait = failure.wait_s if failure.wait_s is not None else pause
                if self._stopped.wait(min(wait, MAX_PAUSE_S) * (1 + noise.random() / 4)):
                    raise RequestError("the run was stopped") from failure
                pause = min(2 * pause, MAX_PAUSE_S)
            else:
                self._count(failed=False)
                return reply
        raise AssertionError("unreachable")

    def _count(self, *, failed: bool, last: Exception | None = None) -> None:
        with self._lock:
            self._failed_in_a_row = self._failed_in_a_row + 1 if failed else 0
            if self._failed_in_a_row >= self.config.failures_in_a_row:
                raise EndpointError(
                    f"{self.config.base_url}: {self._failed_in_a_row} requests in a row failed "
                    f"({last}); what came is stored, and the same command goes on from there"
                )

    def _attempt(self, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        url = f"{self.config.base_url.rstrip('/')}/{path}"
        headers = {"Content-Type": "application/json"}
        key = os.environ.get(self.config.key_variable)
        if key:
            headers["Authorization"] = f"Bearer {key}"
        text = bytearray()
        try:
            with self._client.stream(
                "GET" if body is None else "POST",
                url,
                content=None if body is None else json.dumps(body),
                headers=headers,
            ) as answer:
                for part in answer.iter_bytes():
                    text += part
                    if len(text) > MAX_BODY_BYTES:
                        raise _Failure(f"the reply is over {MAX_BODY_BYTES} bytes", again=True)
        except httpx2.TimeoutException as error:
            raise _Failure(f"no reply within {self.config.timeout_s:g} s", again=True) from error
        except httpx2.InvalidURL as error:
            raise _Failure(f"no address: {_line(str(error))}", again=False) from error
        except httpx2.HTTPError as error:
            raise _Failure(f"no connection: {_line(str(error))}", again=True) from error
        if not answer.is_success:
            raise _refused(answer, text.decode("utf-8", errors="replace"))
        try:
            reply = json.loads(text)
        except ValueError as error:
            raise _Failure("the reply is not JSON", again=True) from error
        if not isinstance(reply, dict):
            raise _Failure("the reply is not a JSON object", again=True)
        return reply

    def _explain(self, failure: _Failure) -> str:
        hint = ""
        if failure.status in (401, 403):
            hint = f"; put the key into the environment variable {self.config.key_variable}"
        elif failure.status in (404, 405):
            hint = f"; is --base-url complete (.../v1) and the model {self.config.model!r} there?"
        elif failure.status is None:
            hint = "; is the server running, and --base-url right?"
        return f"{self.config.base_url}: {failure}{hint}"


class _Failure(Exception):
    """One failed attempt."""

    def __init__(
        self,
        message: str,
        *,
        again: bool,
        status: int | None = None,
        wait_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.again, self.status, self.wait_s = again, status, wait_s


def _refused(answer: httpx2.Response, body: str) -> _Failure:
    wait = answer.headers.get("Retry-After", "")
    return _Failure(
        f"HTTP {answer.status_code}: {_line(_message(body)) or answer.reason_phrase}",
        again=answer.status_code in RETRIED or answer.status_code >= 500,
        status=answer.status_code,
        wait_s=float(wait) if wait.strip().isdecimal() else None,
    )


def _message(body: str) -> str:
    """The message inside an error's JSON, in the two forms that servers use."""
    try:
        record = json.loads(body)
    except ValueError:
        return body
    inner = record.get("error", record) if isinstance(record, dict) else body
    if isinstance(inner, dict):
        inner = inner.get("message", body)
    return str(inner)


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
