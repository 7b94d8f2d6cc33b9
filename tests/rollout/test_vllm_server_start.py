"""How the servers' backend begins, with stand-ins for processes: what it asks for, and what it ends
when it cannot go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from model_fixtures import TinyModels

from adora_mm.config import VllmConfig
from adora_mm.rollout import vllm_server
from adora_mm.rollout.vllm_client import Server
from adora_mm.rollout.vllm_server import VllmServerBackend


class Process:
    """As much of `ServerProcess` as the backend uses."""

    url = "http://127.0.0.1:9"

    def __init__(self, arguments: dict[str, Any]) -> None:
        self.arguments, self.stopped = arguments, False

    def wait_until_ready(self, timeout_s: float) -> None: ...

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    processes: list[Process] = []

    def start(model_path: str, arguments: dict[str, Any], **_: Any) -> Process:
        processes.append(Process(arguments))
        return processes[-1]

    monkeypatch.setattr(vllm_server, "start_server", start)
    monkeypatch.setattr(Server, "is_healthy", lambda self: True)
    monkeypatch.setattr(Server, "ask", lambda self, *_, **__: None)
    return processes


def begin(tiny_model: TinyModels, folder: Path, **options: Any) -> VllmServerBackend:
    tiny = tiny_model("qwen2_5_vl")
    return VllmServerBackend(
        tiny.folder,
        tiny.processor,
        dtype=torch.float32,
        device=torch.device("cpu"),
        config=VllmConfig(exchange_folder=str(folder), **options),
        max_model_len=64,
        folder=folder / "logs",
        say=print,
    )


def test_servers_end_when_the_backend_cannot_begin(
    tiny_model: TinyModels, started: list[Process], tmp_path: Path
) -> None:
    """Nobody else knows of them: the caller has no backend that it could close."""
    nobodys = "192.0.2.1"  # an address of RFC 5737
    with pytest.raises(ValueError, match=r"cannot listen at 192\.0\.2\.1"):
        begin(tiny_model, tmp_path, transfer_host=nobodys, start_servers=2)
    assert [process.stopped for process in started] == [True, True]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("images", ["base64", "path"])
def test_servers_read_local_pictures_only_where_they_come_as_files(
    tiny_model: TinyModels, started: list[Process], tmp_path: Path, images: str
) -> None:
    begin(tiny_model, tmp_path, images=images, weight_transfer="files").close()
    folder = started[0].arguments.get("allowed_local_media_path")
    assert folder == (str(tmp_path) if images == "path" else None)
    assert started[0].stopped
