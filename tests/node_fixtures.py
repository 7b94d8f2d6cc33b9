"""Two machines on one: namespaces of their own for network, host name and mounts, joined by a
cable, so that nothing that works over loopback or one disk alone passes.

A node is a process that holds its namespaces; they are gone when it ends. Needs Linux, root and
iproute2; elsewhere the tests skip with the reason.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIFETIME_S = 900
NAMESPACES = ("--net", "--uts", "--mount")
ADDRESSES = ("10.77.0.1", "10.77.0.2")
LAUNCHER = frozenset({"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "LOCAL_SIZE",
                      "MASTER_ADDR", "MASTER_PORT"})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine as far as network, host name and mounts go; processors are shared."""

    rank: int
    address: str
    holder: int
    """Process id of what keeps the namespaces."""

    def start(
        self, words: Sequence[str], *, folder: Path, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """Run a command on this node, in a working folder of its own."""
        base = {key: value for key, value in os.environ.items() if key not in LAUNCHER}
        base |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        return subprocess.Popen(
            # The shell, not nsenter, enters the folder: else it lies in this process's mounts.
            [*_inside(self.holder), "sh", "-c", 'cd "$0" && exec "$@"', str(folder), *words],
            env=base | dict(env or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def hide(self, folder: Path) -> None:
        """Make a folder empty on this node: it lies on the other one's disk."""
        _run(["mount", "-t", "tmpfs", "none", str(folder)], self.holder)

    def name_hosts(self, lines: str, file: Path) -> None:
        """Give the node an /etc/hosts of its own, which `file` keeps."""
        file.write_text(lines)
        _run(["mount", "--bind", str(file), "/etc/hosts"], self.holder)


@contextmanager
def two_nodes() -> Iterator[tuple[Node, Node]]:
    """Two nodes that reach each other at `ADDRESSES`; skips the test where that cannot be."""
    missing = [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]
    if missing:
        pytest.skip(f"needs network namespaces, and {missing[0]} is not installed")
    holders = [
        subprocess.Popen(["unshare", *NAMESPACES, "sleep", str(LIFETIME_S)], stderr=subprocess.PIPE)
        for _ in ADDRESSES
    ]
    try:
        for holder in holders:
            _wait_for_namespace(holder)
        first, second = (holder.pid for holder in holders)
        _run(["ip", "link", "add", "cable0", "netns", str(first), "type", "veth", "peer", "name",
              "cable1", "netns", str(second)])  # fmt: skip
        for rank, (holder, address) in enumerate(zip(holders, ADDRESSES, strict=True)):
            _run(["ip", "addr", "add", f"{address}/24", "dev", f"cable{rank}"], holder.pid)
            for device in ("lo", f"cable{rank}"):
                _run(["ip", "link", "set", device, "up"], holder.pid)
            _run(["hostname", f"node{rank}"], holder.pid)
        yield (
            Node(rank=0, address=ADDRESSES[0], holder=first),
            Node(rank=1, address=ADDRESSES[1], holder=second),
        )
    finally:
        for holder in holders:
            holder.kill()
            holder.communicate()


def _inside(holder: int) -> list[str]:
    return ["nsenter", "--target", str(holder), *NAMESPACES, "--"]


def _run(words: Sequence[str], holder: int | None = None) -> None:
    command = [*([] if holder is None else _inside(holder)), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"two nodes cannot be made here: {words[0]}: {done.stderr.strip()}")


def _wait_for_namespace(holder: subprocess.Popen[bytes]) -> None:
    """Until the process has left this one's network; skips when it may not."""
    deadline = time.monotonic() + 30
    own = os.readlink("/proc/self/ns/net")
    while time.monotonic() < deadline:
        if holder.poll() is not None:
            assert holder.stderr is not None
            reason = holder.stderr.read().decode().strip()
            pytest.skip(f"namespaces are not permitted here: {reason}")
        if os.readlink(f"/proc/{holder.pid}/ns/net") != own:
            return
        time.sleep(0.02)
    pytest.skip("namespaces take more than 30 s here")
