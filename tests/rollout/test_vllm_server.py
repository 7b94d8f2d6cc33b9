"""`VllmServerBackend` with real server processes on loopback (CPU)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from model_fixtures import Tiny, TinyModels, save_tiny
from rollout_fixtures import server_backend, tokens

from adora_mm import distributed
from adora_mm.config import VllmConfig
from adora_mm.models import load_policy
from adora_mm.rollout import Sampling
from adora_mm.rollout.transformers import TransformersBackend
from adora_mm.rollout.vllm_queue import NoServerLeft
from adora_mm.rollout.vllm_server import VllmServerBackend

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

BOUND = 1e-4
SAMPLING = Sampling(num_completions=3, max_new_tokens=12, temperature=0.8, seed="s")
GREEDY = Sampling(num_completions=1, max_new_tokens=16, temperature=0.0)
SMALL = VllmConfig(
    kv_cache_gb=0.25, enforce_eager=True, max_sequences=32, start_servers=2, request_retries=1,
    sync_bucket_mb=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def tiny(tiny_model: TinyModels) -> Tiny:
    return tiny_model("qwen2_5_vl")


@pytest.fixture(scope="module")
def said() -> list[str]:
    return []


@pytest.fixture(scope="module")
def backend(
    tiny: Tiny, said: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VllmServerBackend]:
    distributed.start(1)
    one = server_backend(tiny, SMALL, tmp_path_factory.mktemp("servers"), said.append)
    yield one
    one.close()


def test_servers_answer_as_the_trainers_own_sampler_does(
    backend: VllmServerBackend, tiny: Tiny
) -> None:
    own = TransformersBackend(tiny.folder, tiny.processor)
    answers = backend.generate(tiny.prompts, GREEDY)
    assert tokens(answers) == tokens(own.generate(tiny.prompts, GREEDY))
    sampled = backend.generate(tiny.prompts, SAMPLING)
    assert all(len({c.token_ids for c in group}) == 3 for group in sampled)
    assert tokens(backend.generate(tiny.prompts[::-1], SAMPLING)) == tokens(sampled[::-1])


def test_updated_weights_are_those_that_answer(
    backend: VllmServerBackend, tiny: Tiny, tmp_path: Path
) -> None:
    save_tiny("qwen2_5_vl", tmp_path, seed=1)
    before = backend.generate(tiny.prompts, GREEDY)
    report = backend.update_weights(load_policy(tmp_path).named_parameters(), version=1)
    after = backend.generate(tiny.prompts, GREEDY)
    backend.update_weights(tiny.load().named_parameters(), version=0)
    assert report["sync/servers"] == 2
    own = TransformersBackend(tmp_path, tiny.processor)
    assert tokens(after) == tokens(own.generate(tiny.prompts, GREEDY))
    assert tokens(after) != tokens(before)
    assert tokens(backend.generate(tiny.prompts, GREEDY)) == tokens(before)
    assert list(backend._folder.iterdir()) == [], "no weights are left on the disk"


def test_a_server_with_other_weights_is_given_up_until_the_next_update(
    backend: VllmServerBackend, tiny: Tiny, said: list[str]
) -> None:
    expected = tokens(backend.generate(tiny.prompts, GREEDY))
    wrong = backend._servers[0]
    wrong.ask("POST", "/update_weight_version", {"new_version": "another-run-0"})
    assert tokens(backend.generate(tiny.prompts, GREEDY)) == expected
    assert backend._usable == backend._servers[1:]
    assert f"{wrong.url} answered with weights another-run-0" in said[-1]
    backend.update_weights(tiny.load().named_parameters(), version=0)
    assert backend._usable == backend._servers


def test_a_killed_servers_work_goes_to_the_other_and_then_the_run_stops(
    backend: VllmServerBackend, tiny: Tiny, said: list[str]
) -> None:
    expected = tokens(backend.generate(tiny.prompts, SAMPLING))
    first, second = (process.process for process in backend._processes)
    os.killpg(first.pid, signal.SIGKILL)
    assert tokens(backend.generate(tiny.prompts, SAMPLING)) == expected
    assert len(backend._usable) == 1
    report = backend.update_weights(tiny.load().named_parameters(), version=3)
    assert report["sync/servers"] == 1
    assert tokens(backend.generate(tiny.prompts, SAMPLING)) == expected
    os.killpg(second.pid, signal.SIGKILL)
    with pytest.raises(NoServerLeft, match="go on from the last checkpoint with --resume"):
        backend.generate(tiny.prompts, SAMPLING)
    with pytest.raises(NoServerLeft):
        backend.update_weights(tiny.load().named_parameters(), version=4)


def test_a_server_that_cannot_start_says_why(tiny: Tiny, tmp_path: Path) -> None:
    wrong = SMALL.model_copy(update={"start_servers": 1, "server_arguments": ("--no-such-word",)})
    with pytest.raises(ValueError, match=r"ended while starting.*no-such-word"):
        server_backend(tiny, wrong, tmp_path, print)


def test_a_server_that_does_not_answer_is_named(tiny: Tiny, tmp_path: Path) -> None:
    absent = SMALL.model_copy(update={"servers": ("http://127.0.0.1:9",)})
    with pytest.raises(ValueError, match=r"no vLLM server answers at http://127\.0\.0\.1:9/health"):
        server_backend(tiny, absent, tmp_path, print)
