"""Trackers with their real libraries, offline; each is skipped where its library is missing."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from adora_mm.config import LoggingConfig
from adora_mm.metrics import trackers
from adora_mm.metrics.trackers import TrackedRun, Trackers, wanted_trackers

ROOT = Path(__file__).resolve().parents[2]
OFF = LoggingConfig(tensorboard=False)


def needs(name: str) -> pytest.MarkDecorator:
    missing = importlib.util.find_spec(name) is None
    return pytest.mark.skipif(missing, reason=f"{name} is not installed here: pip install {name}")


def tracked(folder: Path, first_step: int = 0) -> TrackedRun:
    return TrackedRun(
        folder=folder, name="r", started="2026-01-02T03:04:05+0000", recipe={"seed": 3},
        first_step=first_step,
    )  # fmt: skip


def write_three_steps(folder: Path, config: LoggingConfig) -> list[str]:
    said: list[str] = []
    found = Trackers(tracked(folder), config, said.append)
    for step in (1, 2, 3):
        found.write(step, {"reward/mean": step / 4, "time/step_s": 2.0})
    found.close()
    return said


@needs("tensorboard")
def test_tensorboard_files_hold_the_metrics(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert write_three_steps(tmp_path, LoggingConfig()) == []
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    found = [(event.step, event.value) for event in events.Scalars("reward/mean")]
    assert found == [(1, 0.25), (2, 0.5), (3, 0.75)]


def wandb_records(path: Path) -> Iterator[bytes]:
    """Records of an offline file: a LevelDB log of 32 KiB blocks behind a header of 7 bytes."""
    data, place, whole = path.read_bytes(), 7, b""
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        if left < 7:
            place += left
            continue
        _, length, kind = struct.unpack("<IHB", data[place : place + 7])
        whole += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # full, last
            yield whole
            whole = b""


@needs("wandb")
def test_wandb_files_hold_metrics_and_recipe_and_nothing_of_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef0123456789abcdef01234567")
    config = LoggingConfig(tensorboard=False, wandb="offline", project="p")
    assert write_three_steps(tmp_path, config) == []
    (file,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    records: list = []
    for _ in range(200):  # its own process writes the file, and may do so after `finish` returns
        records = [Record.FromString(raw) for raw in wandb_records(file)]
        if records and records[-1].HasField("exit"):
            break
        time.sleep(0.1)
    rows, runs = [], []
    for record in records:
        if record.HasField("history"):
            items = {"/".join(i.nested_key) or i.key: i.value_json for i in record.history.item}
            rows.append((items["_step"], items["reward/mean"]))
        if record.HasField("run"):
            runs.append(record.run)
    assert rows == [("1", "0.25"), ("2", "0.5"), ("3", "0.75")]
    assert (runs[0].run_id, runs[0].display_name, runs[0].project) == ("r-20260102030405", "r", "p")
    assert "seed" in str(runs[0].config)
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"0123456789abcdef0123456789abcdef01234567" not in everything
    assert os.uname().nodename.encode() not in file.read_bytes()


@needs("trackio")
def test_trackio_keeps_the_metrics_in_its_database(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; sys.path.insert(0, 'tests/metrics')\n"
        "from test_trackers import *\n"
        "config = LoggingConfig(tensorboard=False, trackio=True, project='p')\n"
        "said = write_three_steps(pathlib.Path(sys.argv[1]), config)\n"
        "assert said == [], said"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "TRACKIO_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (file,) = tmp_path.glob("*.db")
    with sqlite3.connect(file) as database:
        rows = database.execute("select run_name, step from metrics order by step").fetchall()
    assert rows == [("r-20260102030405", step) for step in (1, 2, 3)]


def test_what_is_asked_for_and_missing_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wanted_trackers(OFF) == []
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    config = LoggingConfig(tensorboard=False, wandb="offline", trackio=True)
    with pytest.raises(ValueError, match=r"logging\.wandb needs the package wandb: pip install"):
        wanted_trackers(config)


class Broken:
    """Fails in its second write."""

    def __init__(self, run: TrackedRun, config: LoggingConfig) -> None:
        self.steps: list[int] = []

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self.steps.append(step)
        if step == 2:
            raise ConnectionError("the server\nis gone")

    def close(self) -> None:
        raise AssertionError("never: it was left out")


def test_a_tracker_that_fails_is_told_of_once_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(trackers.TRACKERS, "tensorboard", Broken)
    said = write_three_steps(tmp_path, LoggingConfig())
    assert said == ["tensorboard failed and is left out from here on: the server is gone"]
