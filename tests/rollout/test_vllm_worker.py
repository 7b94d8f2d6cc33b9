"""What a worker of a server says when something goes wrong: never an exception, always a table."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

pytestmark = pytest.mark.vllm


@pytest.fixture
def worker() -> Any:
    from adora_mm.rollout.vllm_worker import WeightReceiver

    def load(named: Any) -> set[str]:
        """As vLLM's loaders: they assert that shapes are the same."""
        for _, weight in named:
            if weight.shape != (2,):
                raise AssertionError("another shape")
        return {"a"}

    receiver = WeightReceiver()
    receiver.get_model = lambda: SimpleNamespace(load_weights=load)
    return receiver


def test_a_file_that_fits_is_loaded(worker: Any, tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "fits")
    assert worker.adora_load_file(str(tmp_path / "fits")) == {"loaded": ["a"]}


def test_whatever_goes_wrong_is_in_the_table(worker: Any, tmp_path: Path) -> None:
    save_file({"a": torch.ones(3)}, tmp_path / "wide")
    (tmp_path / "torn").write_bytes(b"no tensors")
    assert worker.adora_load_file(str(tmp_path / "wide")) == {
        "error": "AssertionError: another shape"
    }
    assert "SafetensorError" in worker.adora_load_file(str(tmp_path / "torn"))["error"]
    assert "FileNotFoundError" in worker.adora_load_file(str(tmp_path / "none"))["error"]
    assert worker.adora_receive("{}") == {"error": "it holds no link"}
    assert "KeyError" in worker.adora_join(json.dumps({}))["error"]


def test_a_row_that_does_not_come_or_does_not_fit_is_in_the_table(worker: Any) -> None:
    def fill(row: torch.Tensor) -> None:
        row.zero_()

    worker._adora_link = SimpleNamespace(device="cpu", broadcast=fill)
    told = {"num_bytes": 12, "fields": [("a", "float32", [3], 0)]}
    assert worker.adora_receive(json.dumps(told)) == {"error": "AssertionError: another shape"}
    assert worker.adora_receive(json.dumps(told | {"fields": [("a", "float32", [2], 0)]})) == {
        "loaded": ["a"]
    }
