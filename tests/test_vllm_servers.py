"""Whole runs on vLLM servers: started by a user with the documented command, and one step ahead."""

from __future__ import annotations

import os
import re
import shlex
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from run_fixtures import rows, write_run_folder
from vllm_runs import MISMATCH, RECIPE, RENDEZVOUS, check_steps, finish, start

from adora_mm.rollout.vllm_process import ServerProcess, run_server

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

ON_CPUS = (
    "--enforce-eager",
    "--kv-cache-memory-bytes=268435456",
    "--no-enable-chunked-prefill",
    "--max-num-batched-tokens=8192",
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    families = ("triangle_angle_sum", "linear_pair")
    return write_run_folder(tmp_path_factory.mktemp("served-runs"), RECIPE, families=families)


def documented_words(repo_root: Path) -> list[str]:
    """The command of docs/rollouts.md that starts a server, as a shell would see it."""
    text = (repo_root / "docs/rollouts.md").read_text(encoding="utf-8")
    found = re.search(r"^    (VLLM_SERVER_DEV_MODE=1 python (?:.*\\\n)*.*)$", text, re.M)
    assert found is not None, "docs/rollouts.md has lost the command"
    return shlex.split(found[1].replace("\\\n", " "))


@pytest.fixture(scope="module")
def server(root: Path, repo_root: Path) -> Iterator[ServerProcess]:
    """As a user starts one, with the names filled in and what a CPU needs behind it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    filled = {
        "python": sys.executable, "MODEL": str(root / "model"), "ADDRESS": "127.0.0.1",
        "8000": port, "bfloat16": "float32", "4096": "512",
    }  # fmt: skip
    words = [filled.get(word, word) for word in documented_words(repo_root)]
    assert set(filled.values()) <= set(words)
    settings = dict(word.split("=", 1) for word in words if word.startswith("VLLM_"))
    command = [word for word in words if not word.startswith("VLLM_")]
    clean = {name: value for name, value in os.environ.items() if name not in RENDEZVOUS}
    process = run_server(
        [*command, *ON_CPUS],
        url=f"http://127.0.0.1:{port}",
        log=root / "server.log",
        environment=clean | settings | {"PYTHONPATH": str(repo_root)},
    )
    try:
        process.wait_until_ready(400)
        yield process
    finally:
        process.stop()


@pytest.mark.parametrize("transfer", ["broadcast", "files"])
def test_a_run_trains_on_a_server_that_the_user_started(
    root: Path, repo_root: Path, server: ServerProcess, tmp_path: Path, transfer: str
) -> None:
    words = [f"name=by-{transfer}", "rollout.backend=vllm_server", "train.total_steps=2"]
    words += [f"rollout.vllm.servers=[{server.url}]", f"rollout.vllm.weight_transfer={transfer}"]
    if transfer == "files":
        words.append(f"rollout.vllm.exchange_folder={tmp_path}")
    code, output = finish(start(root, repo_root, *words))
    assert code == 0, output
    check_steps(rows(root, f"by-{transfer}"), 2)
    assert server.process.poll() is None, "a run leaves servers that it has not started alone"
    assert list(tmp_path.iterdir()) == []


def test_rollouts_one_step_ahead_come_from_the_weights_before(
    root: Path, repo_root: Path, server: ServerProcess
) -> None:
    """And the correction sees how far these are from the policy that trains on them."""
    words = ["name=ahead", "rollout.backend=vllm_server", "train.total_steps=4"]
    words += [f"rollout.vllm.servers=[{server.url}]", "rollout.overlap=one_step"]
    words += ["loss.mismatch=truncated_is", "checkpoint.every_steps=4"]
    words.append("logging.sample_every_steps=1")
    code, output = finish(start(root, repo_root, *words))
    assert code == 0, output
    found = rows(root, "ahead")
    assert [row["rollout/policy_lag"] for row in found] == [0, 1, 1, 1]
    assert found[0]["mismatch/kl"] < MISMATCH
    assert all(MISMATCH < row["mismatch/kl"] < 0.1 for row in found[1:])
    versions = {row["step"]: row["policy_version"] for row in rows(root, "ahead", "samples/train")}
    assert versions == {1: 0, 2: 0, 3: 1, 4: 2}
