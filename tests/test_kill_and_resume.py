"""kill -9 in the middle of anything, then resume: the same files as a run that was left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WORKER = Path(__file__).with_name("kill_worker.py")
LAUNCHER = {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}


@pytest.mark.slow
def test_a_killed_run_resumes_exactly(tmp_path: Path) -> None:
    """A rollout, an evaluation, a checkpoint: three of the worker's points, one each."""
    # A test of this process may have started a process group of its own: its port is not ours.
    environment = {k: v for k, v in os.environ.items() if k not in LAUNCHER}
    environment |= {"PYTHONPATH": str(WORKER.parents[1]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(WORKER), str(tmp_path), "--points", "3"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    # Libraries write to stdout as well.
    lines = [line for line in done.stdout.splitlines() if ": killed" in line]
    assert [line.split()[0] for line in lines] == ["rollout", "evaluation", "checkpoint"]
    assert all(line.endswith("killed, same") for line in lines)
