"""What the tests of rollout engines share: plain tokens, and a backend with real vLLM servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from model_fixtures import Tiny

from adora_mm.config import VllmConfig
from adora_mm.rollout import build_backend
from adora_mm.rollout.vllm_server import VllmServerBackend
from adora_mm.types import Completion


def tokens(groups: Sequence[Sequence[Completion]]) -> list[list[tuple[int, ...]]]:
    return [[completion.token_ids for completion in group] for group in groups]


def server_backend(
    tiny: Tiny, config: VllmConfig, folder: Path, say: Callable[[str], None]
) -> VllmServerBackend:
    """Servers on CPUs, as a run would build them; `folder` gets their logs."""
    backend = build_backend(
        "vllm_server",
        str(tiny.folder),
        tiny.processor,
        dtype=torch.float32,
        device=torch.device("cpu"),
        config=config,
        max_model_len=512,
        folder=folder,
        say=say,
    )
    assert isinstance(backend, VllmServerBackend)
    return backend
