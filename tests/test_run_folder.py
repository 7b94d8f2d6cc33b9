"""A run's folder belongs to one run and one process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from adora_mm.config import DataConfig, RunConfig, TrainConfig
from adora_mm.run_folder import RunFolder, RunFolderError, check_disk

CONFIG = RunConfig(name="r", data=DataConfig(train="x"), train=TrainConfig(total_steps=1))


def test_two_processes_cannot_share_a_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.open(CONFIG, resume=False)
    code = (
        "import sys, pathlib; from tests_config import CONFIG, RunFolder\n"
        "RunFolder(pathlib.Path(sys.argv[1])).open(CONFIG, resume=True)"
    )
    module = tmp_path / "tests_config.py"
    module.write_text(
        "from adora_mm.config import DataConfig, RunConfig, TrainConfig\n"
        "from adora_mm.run_folder import RunFolder\n"
        "CONFIG = RunConfig(name='r', data=DataConfig(train='x'),"
        " train=TrainConfig(total_steps=1))\n"
    )
    root = Path(__file__).resolve().parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "r")],
        env={"PYTHONPATH": f"{tmp_path}:{root}", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "in use by another process" in done.stderr
    folder.close()


def test_the_resolved_recipe_is_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    assert folder.open(CONFIG, resume=False) is None
    assert "total_steps: 1" in (tmp_path / "r/config.yaml").read_text()
    folder.close()


def test_a_started_run_is_refused_without_resume(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "r")
    folder.open(CONFIG, resume=False)
    folder.update_info(status="running")
    folder.close()
    with pytest.raises(RunFolderError, match="already holds a run"):
        RunFolder(tmp_path / "r").check_free(resume=False)
    RunFolder(tmp_path / "r").check_free(resume=True)


def test_disk_check_looks_at_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    check_disk(tmp_path / "a/b/c", 1)
    with pytest.raises(RunFolderError, match="GB free"):
        check_disk(tmp_path / "a/b/c", 10**18)
