"""Whole runs on real vLLM engines: in the processes, on two ranks, and as servers that die."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from run_fixtures import rows, write_pairs, write_run_folder
from vllm_runs import RECIPE, check_steps, finish, start

from adora_mm.checkpoint import COMPLETE

pytestmark = [pytest.mark.vllm, pytest.mark.slow]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    families = ("triangle_angle_sum", "linear_pair")
    return write_run_folder(tmp_path_factory.mktemp("vllm-runs"), RECIPE, families=families)


def test_one_process_trains_with_an_engine_inside(root: Path, repo_root: Path) -> None:
    code, output = finish(start(root, repo_root, "name=one", "rollout.backend=vllm"))
    assert code == 0, output
    check_steps(rows(root, "one"), 3)


@pytest.mark.parametrize("backend", ["vllm", "vllm_server"])
def test_pictures_keep_the_sizes_that_the_trainer_gave_them(
    root: Path, repo_root: Path, backend: str
) -> None:
    """Two a prompt, outside the model's own limits: a second resizing would end the run."""
    words = [*write_pairs(root), f"rollout.backend={backend}", "train.total_steps=2"]
    code, output = finish(start(root, repo_root, f"name=pairs-{backend}", *words))
    assert code == 0, output
    check_steps(rows(root, f"pairs-{backend}"), 2)


@pytest.mark.parametrize("stage", [0, 1, 2, 3])
def test_two_ranks_train_with_an_engine_each(root: Path, repo_root: Path, stage: int) -> None:
    name = f"zero{stage}"
    words = [f"name={name}", "rollout.backend=vllm", f"engine.zero_stage={stage}"]
    code, output = finish(start(root, repo_root, *words, ranks=2))
    assert code == 0, output
    check_steps(rows(root, name), 3)
    info = json.loads((root / "runs" / name / "run.json").read_text())
    assert info["world_size"] == 2


@pytest.mark.parametrize("stage", [1, 3])
def test_two_ranks_share_one_engine(root: Path, repo_root: Path, stage: int) -> None:
    """Its model is cut over both processes; each has half of the prompts."""
    name = f"cut{stage}"
    words = [f"name={name}", "rollout.backend=vllm", f"engine.zero_stage={stage}"]
    words.append("rollout.vllm.tensor_parallel_size=2")
    code, output = finish(start(root, repo_root, *words, ranks=2))
    assert code == 0, output
    check_steps(rows(root, name), 3)


def test_two_ranks_share_a_server_and_gather_weights_for_it(root: Path, repo_root: Path) -> None:
    """With pictures as files, and a bucket that holds a part of the policy only."""
    words = ["rollout.backend=vllm_server", "engine.zero_stage=3", "rollout.vllm.images=path"]
    more = ["rollout.vllm.sync_bucket_mb=1", "train.total_steps=2"]
    code, output = finish(start(root, repo_root, "name=shared", *words, *more, ranks=2))
    assert code == 0, output
    found = rows(root, "shared")
    check_steps(found, 2)
    assert all(row["sync/servers"] == 1 for row in found)


def server_of(root: Path, run: subprocess.Popen[str]) -> int:
    """Process id of the vLLM server that a run has started."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = re.search(r"^PPid:\s+(\d+)", (folder / "status").read_text(), re.M)
        except OSError:
            continue  # it has ended meanwhile
        if str(root / "model").encode() in words and parent and int(parent[1]) == run.pid:
            return int(folder.name)
    raise AssertionError("no server runs")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="finds the server in /proc")
def test_a_run_whose_only_server_dies_stops_and_goes_on_from_its_checkpoint(
    root: Path, repo_root: Path
) -> None:
    words = ("name=served", "rollout.backend=vllm_server", "train.total_steps=12")
    run = start(root, repo_root, *words)
    second = root / "runs/served/checkpoints/step-000002" / COMPLETE
    deadline = time.monotonic() + 400
    while not second.exists():
        assert run.poll() is None, finish(run)[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(server_of(root, run), signal.SIGKILL)
    code, output = finish(run)
    assert code == 1, output
    assert "no vLLM server is left" in output
    assert "go on from the last checkpoint with --resume" in output
    kept = sorted((root / "runs/served/checkpoints").glob("step-*"))
    assert kept
    assert all((path / COMPLETE).is_file() for path in kept)
    done = int(kept[-1].name.removeprefix("step-"))
    before = rows(root, "served")[:done]
    assert done < 12

    code, output = finish(start(root, repo_root, *words, "--resume"))
    assert code == 0, output
    found = rows(root, "served")
    check_steps(found, 12)
    assert found[:done] == before
