"""LoRA with vLLM: the engine gets base plus adapters, and samples from what the trainer trains."""

from __future__ import annotations

from pathlib import Path

import pytest
from run_fixtures import rows, write_run_folder
from safetensors.torch import load_file
from vllm_runs import MISMATCH, RECIPE, finish, start

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

BOUNDS = {"float32": MISMATCH, "bfloat16": 1e-5}
"""Largest `mismatch/kl` (found: 3e-14 and 6e-7; with the weights of one step before 0.03)."""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    families = ("triangle_angle_sum", "linear_pair")
    return write_run_folder(tmp_path_factory.mktemp("lora-runs"), RECIPE, families=families)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("backend", ["vllm", "vllm_server"])
def test_the_engine_samples_from_base_and_adapters_together(
    root: Path, repo_root: Path, backend: str, dtype: str
) -> None:
    name = f"{backend}-{dtype}"
    words = [f"name={name}", f"rollout.backend={backend}", f"policy.dtype={dtype}"]
    words += ["policy.lora={rank: 4, alpha: 32, vision: true}", "train.learning_rate=3e-2"]
    words += ["engine.zero_stage=1"]  # bfloat16 needs its fp32 master weights
    code, output = finish(start(root, repo_root, *words))
    assert code == 0, output
    found = rows(root, name)
    assert [row["step"] for row in found] == [1, 2, 3]
    assert all(abs(row["mismatch/kl"]) < BOUNDS[dtype] for row in found)
    start_weights = load_file(root / "model/model.safetensors")
    end = root / "runs" / name / "checkpoints/step-000003/policy/model.safetensors"
    moved = {
        key: float((value.float() - start_weights[key].float()).abs().max())
        for key, value in load_file(end).items()
        if value.dim() == 2 and "proj" in key
    }
    assert max(moved.values()) > 0.01, "the adapters have changed what is sampled from"
