"""The endpoint engine against a server that fails, stalls, returns 429 and truncates."""

from __future__ import annotations

import base64
import io
import random
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mock_endpoint import MockEndpoint, answer_to, serve
from PIL import Image

from adora_mm.types import Problem
from evaluation.engines import SamplePlan, Shard
from evaluation.engines.client import Endpoint, EndpointConfig, EndpointError, RequestError
from evaluation.engines.endpoint import EndpointEngine, RequestStyle
from evaluation.responses import Response, ResponseFile, read_responses

PLAN = SamplePlan(samples=2, temperature=0.7, top_p=0.9, max_new_tokens=64, seed=3, batch=4)


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def server() -> Iterator[MockEndpoint]:
    with serve() as endpoint:
        yield endpoint


def problems(count: int) -> list[Problem]:
    return [Problem(id=f"p{i}", question=f"What is {i}+{i}?", answer=str(i)) for i in range(count)]


def engine(url: str, **changes: Any) -> EndpointEngine:
    settings: dict[str, Any] = {"timeout_s": 1.0, "retries": 8, "pause_s": 0.01}
    style = changes.pop("style", RequestStyle())
    concurrency = changes.pop("concurrency", 8)
    config = EndpointConfig(base_url=url, model="mock", **(settings | changes))
    return EndpointEngine(config, style, concurrency=concurrency)


def collect(
    engine: EndpointEngine, asked: list[Problem], path: Path, plan: SamplePlan = PLAN
) -> dict[str, Response]:
    done = ResponseFile(path, "run")
    for rows in engine.answer(asked, plan, done, Shard()):
        done.append(rows)
    return read_responses(path, "run")


def test_every_sample_is_answered_with_its_own_seed(server: MockEndpoint, tmp_path: Path) -> None:
    found = collect(engine(server.url), problems(5), tmp_path / "r.jsonl")
    assert set(found) == {f"p{i}#{k}" for i in range(5) for k in range(2)}
    assert len({body["seed"] for body in server.requests}) == 10
    body = server.requests[0]
    assert (body["model"], body["temperature"], body["top_p"]) == ("mock", 0.7, 0.9)
    assert body["max_tokens"] == 64
    assert {row.num_tokens for row in found.values()} == {5}


def test_a_server_at_its_worst_loses_nothing(tmp_path: Path) -> None:
    """Fails, stalls, refuses, truncates, drops at random: the answers are those of a calm one."""
    rng = random.Random(0)
    faults = ["500", "429", "503", "stall", "truncate", "garbage", "drop", "empty"]

    def behaviour(body: dict[str, Any], count: int) -> str:
        if count >= 2:
            return "answer"
        return rng.choice(faults) if rng.random() < 0.5 else "answer"

    with serve() as calm:
        wanted = collect(engine(calm.url), problems(20), tmp_path / "calm.jsonl")
    with serve(behaviour) as rough:
        path = tmp_path / "rough.jsonl"
        first = collect(engine(rough.url), problems(20), path)
        errors = [row for row in first.values() if row.finish_reason == "error"]
        assert all(row.text == "" and row.error for row in errors)
        found = collect(engine(rough.url), problems(20), path)
        assert len(rough.requests) > 40, "the server did misbehave"
    assert found == wanted


def test_a_request_that_always_fails_is_an_error_and_is_tried_again(tmp_path: Path) -> None:
    broken = {"still": True}

    def behaviour(body: dict[str, Any], count: int) -> str:
        return "500" if broken["still"] and "2+2" in str(body["messages"]) else "answer"

    with serve(behaviour) as server:
        found = collect(engine(server.url, retries=2), problems(4), tmp_path / "r.jsonl")
        failed = sorted(name for name, row in found.items() if row.finish_reason == "error")
        assert failed == ["p2#0", "p2#1"]
        assert found["p2#0"].error == "HTTP 500: refused with 500 (3 attempts)"
        before = len(server.requests)
        broken["still"] = False
        found = collect(engine(server.url), problems(4), tmp_path / "r.jsonl")
        assert {row.finish_reason for row in found.values()} == {"stop"}
        assert len(server.requests) == before + 2, "only the failed ones are asked again"


def test_a_rejected_image_is_one_clear_line_and_not_retried(tmp_path: Path) -> None:
    """Problems without that image are answered; the run goes on."""

    def behaviour(body: dict[str, Any], count: int) -> str:
        return "400" if "image_url" in str(body["messages"]) else "answer"

    asked = [*problems(2), picture(tmp_path)]
    with serve(behaviour) as server:
        found = collect(engine(server.url), asked, tmp_path / "r.jsonl")
        assert len(server.requests) == 6
    assert [found[f"p#{k}"].error for k in range(2)] == ["HTTP 400: refused with 400"] * 2
    assert [found[f"p{i}#0"].finish_reason for i in range(2)] == ["stop", "stop"]


@pytest.mark.parametrize(("action", "reason"), [("length", "length"), ("think", "stop")])
def test_what_the_server_says_of_an_answer(action: str, reason: str, tmp_path: Path) -> None:
    with serve(lambda body, count: action) as server:
        one = replace(PLAN, samples=1)
        found = collect(engine(server.url), problems(1), tmp_path / "r.jsonl", one)
        text = answer_to(server.requests[0])
    assert found["p0#0"].finish_reason == reason
    assert found["p0#0"].text == (f"<think>hm</think>{text}" if action == "think" else text)


def test_a_filtered_answer_is_an_error(tmp_path: Path) -> None:
    with serve(lambda body, count: "filter") as server:
        found = collect(engine(server.url), problems(1), tmp_path / "r.jsonl")
    assert found["p0#0"].finish_reason == "error"
    assert "content_filter" in found["p0#0"].error


def test_requests_run_at_once_but_not_more_than_asked(tmp_path: Path) -> None:
    with serve(lambda body, count: "wait") as server:
        collect(engine(server.url, concurrency=4), problems(12), tmp_path / "r.jsonl")
        assert 2 <= server.most_in_flight <= 4


def test_a_stop_in_the_middle_goes_on_where_it_was(server: MockEndpoint, tmp_path: Path) -> None:
    done = ResponseFile(tmp_path / "r.jsonl", "run")
    answering = engine(server.url, concurrency=2).answer(problems(12), PLAN, done, Shard())
    done.append(next(answering))
    answering.close()
    assert 0 < len(done.answered) < 24
    found = collect(engine(server.url), problems(12), tmp_path / "r.jsonl")
    assert len(found) == 24
    assert (tmp_path / "r.jsonl").read_bytes().count(b"\n") == 24


def test_a_stopped_run_waits_for_no_retry() -> None:
    with serve(lambda body, count: "503") as server:
        config = EndpointConfig(base_url=server.url, model="mock", pause_s=30.0)
        endpoint = Endpoint(config)
        stopper = threading.Timer(0.2, endpoint.stop)
        stopper.start()
        started = time.monotonic()
        with pytest.raises(RequestError, match="the run was stopped"):
            endpoint.chat({"messages": [], "seed": 1}, key="k")
        stopper.join()
    assert time.monotonic() - started < 15
    assert len(server.requests) == 1


def test_what_came_before_the_end_of_a_run_is_kept(tmp_path: Path) -> None:
    """One request meets a refusal that ends the run; answers that came with it are stored."""

    def behaviour(body: dict[str, Any], count: int) -> str:
        return "401" if "5+5" in str(body["messages"]) else "answer"

    path = tmp_path / "r.jsonl"
    with serve(behaviour) as server:
        with pytest.raises(EndpointError, match="HTTP 401"):
            collect(engine(server.url, concurrency=1), problems(8), path)
        answered = sum(server.answers.values())
    stored = len(read_responses(path, "run"))
    assert stored >= 10
    assert answered - stored <= 1


def test_a_reply_without_end_is_cut_off(
    server: MockEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = engine(server.url, retries=1)
    monkeypatch.setattr("evaluation.engines.client.MAX_BODY_BYTES", 20)
    found = collect(asked, problems(1), tmp_path / "r.jsonl")
    assert found["p0#0"].error == "the reply is over 20 bytes (2 attempts)"


# ----------------------------------------------------------------------------- whole endpoints


def test_nobody_listening(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match=r"no connection: .* is the server running"):
        engine(f"http://127.0.0.1:{port}/v1")


def test_another_model_lists_what_is_there(server: MockEndpoint) -> None:
    server.models = ["a", "b"]
    with pytest.raises(EndpointError, match="has no model 'mock'; it has a, b"):
        engine(server.url)


def test_no_address() -> None:
    with pytest.raises(EndpointError, match="must start with http"):
        engine("localhost:8000")


@pytest.mark.parametrize(
    ("status", "hint"),
    [("401", "environment variable OPENAI_API_KEY"), ("404", "base-url complete")],
)
def test_a_refusal_of_everything_stops_the_run(status: str, hint: str, tmp_path: Path) -> None:
    with serve(lambda body, count: status) as server, pytest.raises(EndpointError, match=hint):
        collect(engine(server.url), problems(3), tmp_path / "r.jsonl")


def test_a_server_that_died_stops_the_run(tmp_path: Path) -> None:
    with serve(lambda body, count: "503") as server:
        asked = engine(server.url, retries=0, failures_in_a_row=10)
        with pytest.raises(EndpointError, match=r"\d+ requests in a row failed .* goes on from"):
            collect(asked, problems(30), tmp_path / "r.jsonl")


def test_the_key_is_sent_and_never_stored(
    server: MockEndpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-key")
    collect(engine(server.url, key_variable="MY_KEY"), problems(1), tmp_path / "r.jsonl")
    assert server.headers[0]["Authorization"] == "Bearer secret-key"
    assert b"secret-key" not in (tmp_path / "r.jsonl").read_bytes()


# -------------------------------------------------------------------------------------- images


def picture(folder: Path, *, size: tuple[int, int] = (80, 60), kind: str = "PNG") -> Problem:
    path = folder / f"i.{kind.lower()}"
    Image.new("RGB", size, "red").save(path, format=kind)
    return Problem(id="p", question="What is it?", answer="1", images=(path,))


def sent(server: MockEndpoint) -> tuple[str, Image.Image, bytes]:
    content = server.requests[0]["messages"][-1]["content"]
    assert [part["type"] for part in content] == ["image_url", "text"]
    head, _, data = content[0]["image_url"]["url"].partition(",")
    raw = base64.b64decode(data)
    return head, Image.open(io.BytesIO(raw)), raw


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_images_come_first_and_as_they_are(kind: str, server: MockEndpoint, tmp_path: Path) -> None:
    problem = picture(tmp_path, kind=kind)
    collect(engine(server.url), [problem], tmp_path / "r.jsonl")
    head, image, raw = sent(server)
    assert head == f"data:image/{kind.lower()};base64"
    assert image.size == (80, 60)
    assert raw == problem.images[0].read_bytes()


@pytest.mark.parametrize(
    ("limits", "size"),
    [({"max_pixels": 1200}, (40, 30)), ({"min_pixels": 19200}, (160, 120)), ({}, (80, 60))],
)
def test_pixel_limits_change_what_is_sent(
    limits: dict[str, int], size: tuple[int, int], server: MockEndpoint, tmp_path: Path
) -> None:
    asked = engine(server.url, style=RequestStyle(**limits))
    collect(asked, [picture(tmp_path)], tmp_path / "r.jsonl")
    assert sent(server)[1].size == size


def test_a_format_that_no_server_reads_becomes_png(server: MockEndpoint, tmp_path: Path) -> None:
    collect(engine(server.url), [picture(tmp_path, kind="BMP")], tmp_path / "r.jsonl")
    assert sent(server)[0] == "data:image/png;base64"


def test_system_prompt_and_extra_fields(server: MockEndpoint, tmp_path: Path) -> None:
    style = RequestStyle(system_prompt="Be brief.", extra={"top_k": -1})
    collect(engine(server.url, style=style), problems(1), tmp_path / "r.jsonl")
    assert server.requests[0]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert server.requests[0]["top_k"] == -1
