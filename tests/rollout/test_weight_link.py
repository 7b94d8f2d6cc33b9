"""Links between real processes over gloo, without vLLM: what arrives, and what happens when not."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch.distributed import TCPStore

from adora_mm.rollout import weight_link
from adora_mm.rollout.weight_link import (
    LinkBroken,
    WeightLink,
    address_towards,
    join_store,
    open_store,
)

CPU = torch.device("cpu")
OTHER_SIDE = """
import sys, torch
from adora_mm.rollout.weight_link import WeightLink, join_store
store = join_store("127.0.0.1", int(sys.argv[1]), timeout_s=60)
link = WeightLink(store, "one", rank=1, size=2, backend="gloo", device=torch.device("cpu"),
                  timeout_s=60)
row = torch.empty(5, dtype=torch.uint8)
link.broadcast(row)
print(row.tolist(), flush=True)
link.broadcast(torch.empty(2**26, dtype=torch.uint8))
"""


def end(
    store: TCPStore, name: str, rank: int, size: int = 2, timeout_s: float = 60.0
) -> WeightLink:
    return WeightLink(
        store, name, rank=rank, size=size, backend="gloo", device=CPU, timeout_s=timeout_s
    )


def test_bytes_arrive_in_another_process_and_its_death_breaks_only_this_link() -> None:
    store = open_store("127.0.0.1", 0, timeout_s=60)
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_SIDE, str(store.port)], text=True, stdout=subprocess.PIPE
    )
    try:
        link = end(store, "one", 0)
        link.broadcast(torch.arange(5, dtype=torch.uint8))
        assert other.stdout is not None
        assert other.stdout.readline() == "[0, 1, 2, 3, 4]\n"
        os.kill(other.pid, signal.SIGKILL)
        other.wait()
        with pytest.raises(LinkBroken, match="gloo: "):
            link.broadcast(torch.zeros(2**26, dtype=torch.uint8))  # more than kernels buffer
    finally:
        other.kill()
        other.communicate()
    both = [(store, 0), (join_store("127.0.0.1", store.port, timeout_s=60), 1)]
    with ThreadPoolExecutor(2) as pool:
        again = list(pool.map(lambda side: end(side[0], "another", side[1]), both))
    assert [link.name for link in again] == ["another", "another"]


def test_one_row_goes_to_all_workers_of_a_server() -> None:
    store = open_store("127.0.0.1", 0, timeout_s=60)
    rows = [torch.full((7,), rank, dtype=torch.uint8) for rank in range(3)]

    def side(rank: int) -> None:
        mine = store if rank == 0 else join_store("127.0.0.1", store.port, timeout_s=60)
        end(mine, "three", rank, size=3).broadcast(rows[rank])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(side, range(3)))
    assert [row.tolist() for row in rows] == [[0] * 7] * 3


def test_who_does_not_come_is_not_waited_for_without_end() -> None:
    store = open_store("127.0.0.1", 0, timeout_s=0.2)
    with pytest.raises(LinkBroken, match="no gloo link"):
        end(store, "alone", 0, timeout_s=0.2)


def test_an_interface_that_is_gone_breaks_the_link_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(urls: list[str]) -> str:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(weight_link, "address_towards", unreachable)
    with pytest.raises(LinkBroken, match="no gloo link: Network is unreachable"):
        end(open_store("127.0.0.1", 0, timeout_s=1), "cut", 0)


def test_an_address_in_use_or_of_another_machine_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=rf"127\.0\.0\.1 port {port} .*transfer_host"):
            open_store("127.0.0.1", port, timeout_s=1)
        with pytest.raises(LinkBroken, match="does not answer"):
            join_store("127.0.0.1", _free_port(), timeout_s=0.2)
    with pytest.raises(ValueError, match=r"192\.0\.2\.1 port 0 .*weight_transfer=files"):
        open_store("192.0.2.1", 0, timeout_s=1)  # an address of RFC 5737, nobody's


def test_the_own_address_is_the_one_that_faces_the_servers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two servers, one of them on another machine: the address that both can reach."""

    class Line:
        def __init__(self, target: tuple[str, int], timeout: float) -> None:
            self.own = "10.0.0.7" if target[0] == "node3" else "127.0.0.1"

        def __enter__(self) -> Line:
            return self

        def __exit__(self, *_: object) -> None: ...

        def getsockname(self) -> tuple[str, int]:
            return self.own, 1

    monkeypatch.setattr(socket, "create_connection", Line)
    assert address_towards(["http://node3:8000", "http://localhost:8000"]) == "10.0.0.7"
    assert address_towards(["http://localhost:8000", "http://127.0.0.1:1"]) == "127.0.0.1"


class NeverDone:
    """As much of NCCL's group as a link uses; the collective hangs."""

    def __init__(self) -> None:
        self.aborted = 0

    def broadcast(self, rows: list[Any], options: Any) -> NeverDone:
        return self

    def is_completed(self) -> bool:
        return False

    def abort(self) -> None:
        self.aborted += 1


def test_a_nccl_collective_that_hangs_is_aborted_by_ourselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    group = NeverDone()
    monkeypatch.setattr(weight_link, "_nccl", lambda *_: group)
    with pytest.raises(LinkBroken, match=r"nccl: not through after 0\.05 s"):
        WeightLink(
            open_store("127.0.0.1", 0, timeout_s=1),
            "x", rank=0, size=2, backend="nccl", device=CPU, timeout_s=0.05,
        )  # fmt: skip
    assert group.aborted == 1


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
