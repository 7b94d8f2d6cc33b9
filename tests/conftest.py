"""What every test gets: offline, seeded, and skipped where this machine lacks something."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from model_fixtures import TinyModels

ROOT = Path(__file__).resolve().parents[1]

sys.path.insert(0, str(Path(__file__).parent))  # `model_fixtures` is found in every import mode

# Read by huggingface_hub and matplotlib when they are imported, so before any test module is.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# The same examples at every run; no deadline, because the machine may be busy with other work.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=False)
settings.load_profile("repeatable")


@lru_cache
def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


@lru_cache
def _has_vllm() -> bool:
    return importlib.util.find_spec("vllm") is not None


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not _has_gpu():
        pytest.skip("needs a CUDA GPU")
    if item.get_closest_marker("vllm") and not _has_vllm():
        pytest.skip("needs the vllm package: bash configs/setup.sh --vllm")


@pytest.fixture(scope="session")
def repo_root() -> Path:
    """The repository's top folder."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data beside the repository, in ../shared/data; tests that read it skip without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real data: the folder ../shared/data beside the repository is absent")
    return folder


@pytest.fixture(autouse=True)
def _threads_given_back() -> Iterator[None]:
    """A run in this process sets PyTorch's threads, and kernels' workspaces grow with them."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 0
    yield
    if torch and torch.get_num_threads() != before:
        torch.set_num_threads(before)


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: faster for tiny models, and sums keep their order."""
    import torch  # only sessions that test models pay for it

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tiny_model(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Tiny random models by kind, built when they are first asked for."""
    from model_fixtures import TinyModels

    return TinyModels(tmp_path_factory.mktemp)
