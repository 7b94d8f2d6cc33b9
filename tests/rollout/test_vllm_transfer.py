"""Weights on their way to real servers that hang, die in the middle, or are started anew (CPU)."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from model_fixtures import Tiny, TinyModels, save_tiny
from rollout_fixtures import server_backend, tokens
from torch import Tensor

from adora_mm import distributed
from adora_mm.config import VllmConfig
from adora_mm.models import load_policy
from adora_mm.rollout import Sampling
from adora_mm.rollout.transformers import TransformersBackend
from adora_mm.rollout.vllm_process import ServerProcess, start_server
from adora_mm.rollout.vllm_requests import engine_arguments

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

GREEDY = Sampling(num_completions=1, max_new_tokens=16, temperature=0.0)
SMALL = VllmConfig(
    kv_cache_gb=0.25, enforce_eager=True, max_sequences=32, start_servers=2, request_retries=1,
    sync_bucket_mb=1, sync_timeout_s=10.0,
)  # fmt: skip


class Setup:
    """Two servers, the model that they start with, and another."""

    def __init__(self, tiny: Tiny, folder: Path) -> None:
        distributed.start(1)
        self.tiny, self.said = tiny, list[str]()
        self.folder = folder
        save_tiny(tiny.kind, folder / "other", seed=1)
        self.other = load_policy(folder / "other")
        own = TransformersBackend(folder / "other", tiny.processor)
        self.expected = tokens(own.generate(tiny.prompts, GREEDY))
        self.backend = server_backend(tiny, SMALL, folder / "logs", self.said.append)
        self.anew: ServerProcess | None = None

    def first(self) -> int:
        return self.backend._processes[0].process.pid

    def start_first_again(self) -> None:
        """Where it was, as whoever watches over servers would."""
        arguments = engine_arguments(
            self.tiny.processor, SMALL, dtype=torch.float32, max_model_len=512
        )
        old = self.backend._processes[0].url
        self.anew = start_server(
            self.tiny.folder,
            arguments,
            host="127.0.0.1",
            log=self.folder / "anew.log",
            extra=("--port", old.rpartition(":")[2]),
        )
        self.anew.url = old
        self.anew.wait_until_ready(300)

    def close(self) -> None:
        self.backend.close()
        if self.anew is not None:
            self.anew.stop()

    def answers(self) -> list[list[tuple[int, ...]]]:
        return tokens(self.backend.generate(self.tiny.prompts, GREEDY))


@pytest.fixture(scope="module")
def setup(tiny_model: TinyModels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    one = Setup(tiny_model("qwen2_5_vl"), tmp_path_factory.mktemp("transfer"))
    yield one
    one.close()


def on_the_way(model: torch.nn.Module, action: Callable[[], None]) -> Iterator[tuple[str, Tensor]]:
    """The model's weights; something happens after the first bucket has gone."""
    named = list(model.named_parameters())
    assert sum(weight.nbytes for _, weight in named) > 2**20, "more than one bucket"
    for place, item in enumerate(named):
        if place == len(named) - 1:
            action()
        yield item


def test_an_update_needs_no_folder(setup: Setup) -> None:
    report = setup.backend.update_weights(setup.other.named_parameters(), version=1)
    assert report["sync/servers"] == 2
    assert setup.answers() == setup.expected
    assert list(setup.backend._folder.iterdir()) == []


def test_a_server_that_hangs_misses_the_update_and_is_back_at_the_next(setup: Setup) -> None:
    backend, first = setup.backend, setup.first()
    named = on_the_way(setup.other, lambda: os.killpg(first, signal.SIGSTOP))
    try:
        report = backend.update_weights(named, version=2)
    finally:
        os.killpg(first, signal.SIGCONT)
    assert report["sync/servers"] == 1
    assert "vLLM server left out of this update" in setup.said[-1]
    assert backend._usable == backend._servers[1:]
    assert setup.answers() == setup.expected
    report = backend.update_weights(setup.tiny.load().named_parameters(), version=3)
    assert report["sync/servers"] == 2
    report = backend.update_weights(setup.other.named_parameters(), version=4)
    assert report["sync/servers"] == 2
    assert setup.answers() == setup.expected


def test_a_server_that_dies_in_an_update_is_left_out_and_taken_back_when_started_anew(
    setup: Setup,
) -> None:
    backend, first = setup.backend, setup.first()
    named = on_the_way(setup.other, lambda: os.killpg(first, signal.SIGKILL))
    assert backend.update_weights(named, version=5)["sync/servers"] == 1
    assert backend._usable == backend._servers[1:]
    assert setup.answers() == setup.expected
    setup.start_first_again()
    assert backend.update_weights(setup.other.named_parameters(), version=6)["sync/servers"] == 2
    assert all(server.compared for server in backend._servers)
    backend._usable = backend._servers[:1]
    assert setup.answers() == setup.expected, "the new one answers by itself"
