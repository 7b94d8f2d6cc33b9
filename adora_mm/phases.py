"""Seconds and peak memory of each phase of a step, and word of which phase has begun.

Memory is that of this process: on a GPU what torch allocated at most, on a CPU the peak of the
resident set, which Linux lets a process reset. The first rank's numbers go to timings.jsonl.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Phases:
    """Adds up phases until `take`; a phase that comes several times counts as one."""

    def __init__(self, device: torch.device, on_begin: Callable[[str], None]) -> None:
        """`on_begin` hears each phase's name when it begins."""
        self._device, self._on_begin = device, on_begin
        self._seconds: dict[str, float] = {}
        self._peak_gb: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Measure one phase; phases do not nest."""
        self._on_begin(name)
        reset_peak_memory(self._device)
        began = time.monotonic()
        yield
        self._seconds[name] = self._seconds.get(name, 0.0) + time.monotonic() - began
        peak = peak_memory_bytes(self._device) / 1e9
        self._peak_gb[name] = max(self._peak_gb.get(name, 0.0), peak)

    def rollouts(self, rollout_s: float, reward_s: float) -> None:
        """Tell what the phase `rollout` has measured apart: making, checking, and what was hidden.

        Rollouts that were made during the step before took longer than this step waited for them.
        """
        hidden = max(0.0, rollout_s + reward_s - self._seconds["rollout"])
        self._seconds |= {"rollout": max(0.0, rollout_s - hidden), "reward": reward_s}
        if hidden:
            self._seconds["rollout_hidden"] = hidden

    def take(self) -> dict[str, float]:
        """`time/NAME_s` and `memory/NAME_gb` of the phases since the last call."""
        found = {f"time/{name}_s": round(value, 4) for name, value in self._seconds.items()}
        found |= {f"memory/{name}_gb": round(value, 4) for name, value in self._peak_gb.items()}
        self._seconds, self._peak_gb = {}, {}
        return found


def reset_peak_memory(device: torch.device) -> None:
    """Let the peak start again at what is in use now."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with contextlib.suppress(OSError):  # not Linux, or forbidden: then it is the run's peak
            CLEAR_REFS.write_text("5")  # proc(5): resets the high water mark


def peak_memory_bytes(device: torch.device) -> int:
    """Most memory in use since `reset_peak_memory`; 0 where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = STATUS.read_text().splitlines() if STATUS.exists() else []
    kibibytes = next((line.split()[1] for line in lines if line.startswith("VmHWM:")), "0")
    return int(kibibytes) * 1024
