"""Seconds and peak memory of each phase."""

from __future__ import annotations

import mmap
import time

import pytest
import torch

from adora_mm import phases as phases_module
from adora_mm.phases import Phases, peak_memory_bytes, reset_peak_memory

CPU = torch.device("cpu")


def test_phases_add_up_until_they_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(phases_module.time, "monotonic", lambda: now[0])
    begun: list[str] = []
    phase = Phases(CPU, begun.append)
    for seconds in (2.0, 3.0):
        with phase("rollout"):
            now[0] += seconds
        with phase("reward"):
            now[0] += 1
    found = phase.take()
    assert found["time/rollout_s"] == 5.0
    assert found["time/reward_s"] == 2.0
    assert begun == ["rollout", "reward"] * 2
    assert phase.take() == {}


@pytest.mark.parametrize(
    ("rollout_s", "reward_s", "found"),
    [(4.0, 1.0, (4.0, 1.0, None)), (9.0, 1.0, (4.0, 1.0, 5.0)), (20.0, 0.0, (5.0, 0.0, 15.0))],
)
def test_rollouts_that_were_made_before_are_told_apart(
    rollout_s: float,
    reward_s: float,
    found: tuple[float, float, float | None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr(phases_module.time, "monotonic", lambda: now[0])
    phase = Phases(CPU, lambda _: None)
    with phase("rollout"):
        now[0] += 5.0
    phase.rollouts(rollout_s, reward_s)
    times = phase.take()
    assert tuple(times.get(f"time/{n}_s") for n in ("rollout", "reward", "rollout_hidden")) == found


def test_the_peak_is_that_of_the_phase_alone() -> None:
    phase = Phases(CPU, lambda _: None)
    with phase("large"), mmap.mmap(-1, 400_000_000) as block:  # given back at once when closed
        block.write(b"x" * 400_000_000)
    with phase("small"):
        time.sleep(0.01)
    found = phase.take()
    assert found["memory/large_gb"] > found["memory/small_gb"] + 0.3


def test_a_system_that_does_not_tell_gives_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases_module, "STATUS", phases_module.STATUS / "none")
    monkeypatch.setattr(phases_module, "CLEAR_REFS", phases_module.CLEAR_REFS / "none")
    reset_peak_memory(CPU)
    assert peak_memory_bytes(CPU) == 0
