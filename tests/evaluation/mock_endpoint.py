"""An OpenAI-compatible endpoint in a thread, which misbehaves as a test asks.

Answers depend on the question alone, so that any order and any number of attempts gives the same.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Behaviour = Callable[[dict[str, Any], int], str]
"""(request body, how often this body came before) -> what to do, one of the words in `_respond`."""


def answer_to(body: dict[str, Any]) -> str:
    """The text that this endpoint gives to a request."""
    text = json.dumps(body["messages"], sort_keys=True) + str(body["seed"])
    return f"so \\boxed{{{int(hashlib.sha256(text.encode()).hexdigest(), 16) % 7}}}"


@dataclass
class MockEndpoint:
    """What the server did, and how it decides what to do."""

    url: str = ""
    behaviour: Behaviour = lambda body, count: "answer"
    models: list[str] = field(default_factory=lambda: ["mock"])
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def serve(behaviour: Behaviour | None = None) -> Iterator[MockEndpoint]:
    """A running endpoint; its address is `url`."""
    state = MockEndpoint()
    if behaviour is not None:
        state.behaviour = behaviour
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def _handler(state: MockEndpoint) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            rows = [{"id": name} for name in state.models]
            _send(self, 200, {"data": rows})

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            key = json.dumps(body, sort_keys=True)
            with state.lock:
                count = sum(json.dumps(each, sort_keys=True) == key for each in state.requests)
                state.requests.append(body)
                state.headers.append(dict(self.headers))
                state.in_flight += 1
                state.most_in_flight = max(state.most_in_flight, state.in_flight)
            action = state.behaviour(body, count)
            if action == "wait":
                time.sleep(0.03)
            with state.lock:  # before the reply: the client's next request may come at once
                state.in_flight -= 1
            # A client that gave up is no fault here.
            with suppress(BrokenPipeError, ConnectionResetError):
                _respond(self, state, body, action)

    return Handler


def _respond(
    handler: BaseHTTPRequestHandler, state: MockEndpoint, body: dict[str, Any], action: str
) -> None:
    if action == "stall":
        time.sleep(1.5)
    elif action == "drop":
        handler.connection.close()
        return
    elif action.isdecimal():
        headers = {"Retry-After": "0"} if action == "429" else {}
        _send(handler, int(action), {"error": {"message": f"refused\nwith {action}"}}, headers)
        return
    elif action == "garbage":
        _send(handler, 200, b"<html>not json</html>")
        return
    elif action == "empty":
        _send(handler, 200, {"choices": []})
        return
    text = answer_to(body) if "seed" in body else action
    with state.lock:
        state.answers[text] += 1
    choice = {
        "message": {"content": text},
        "finish_reason": "length" if action == "length" else "stop",
    }
    if action == "filter":
        choice["finish_reason"] = "content_filter"
    if action == "think":
        choice["message"]["reasoning_content"] = "hm"
    reply = json.dumps({"choices": [choice], "usage": {"completion_tokens": 5}}).encode()
    if action == "truncate":
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(reply)))
        handler.end_headers()
        handler.wfile.write(reply[: len(reply) // 2])
        handler.close_connection = True
        return
    _send(handler, 200, reply)


def _send(
    handler: BaseHTTPRequestHandler,
    status: int,
    content: dict[str, Any] | bytes,
    headers: dict[str, str] | None = None,
) -> None:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)
