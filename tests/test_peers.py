"""When one rank stops, all stop, and say why: three ranks as threads over socket pairs."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from adora_mm import peers as peers_module
from adora_mm.faults import RunFault
from adora_mm.peers import Peers, _accept, _listen


@dataclass
class Rank:
    peers: Peers
    left: list[str]
    gone: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Rank]]:
    monkeypatch.setattr(peers_module, "GRACE_S", 0.1)
    to_one, one = socket.socketpair()
    to_two, two = socket.socketpair()
    made: list[Rank] = []
    for lines in ({1: to_one, 2: to_two}, {0: one}, {0: two}):
        left: list[str] = []
        gone = threading.Event()

        def leave(news: str, left: list[str] = left, gone: threading.Event = gone) -> None:
            left.append(news)
            gone.set()

        made.append(Rank(Peers(lines, leave), left, gone))
    yield made
    for rank in made:
        rank.peers.close()


def test_everybody_hears_the_first_error(
    ranks: list[Rank], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module.distributed, "place", lambda: (1, 3))
    ranks[1].peers.tell("ImageError: a.png is damaged")
    for rank in (ranks[0], ranks[2]):
        assert rank.gone.wait(5)
        assert rank.left == ["rank 1 stopped: ImageError: a.png is damaged"]
        assert rank.peers.news(0) == rank.left[0]
    assert ranks[1].left == []


def test_a_killed_rank_is_noticed(ranks: list[Rank]) -> None:
    """The kernel closes its connection."""
    ranks[2].peers._lines[0].shutdown(socket.SHUT_RDWR)
    for rank in (ranks[0], ranks[1]):
        assert rank.gone.wait(5)
        assert rank.left[0].startswith("rank 2 is gone")


def test_a_regular_end_alarms_nobody(ranks: list[Rank]) -> None:
    for rank in ranks:
        rank.peers.close()
    assert all(rank.left == [] and rank.peers.news(0) == "" for rank in ranks)


def test_a_rank_that_fails_in_the_same_moment_tells_its_own_error(
    ranks: list[Rank], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers_module, "GRACE_S", 5.0)
    ranks[1].peers.tell("first")
    assert ranks[0].peers.news(5)
    ranks[0].peers.tell("own error")
    assert not ranks[0].gone.wait(0.2)


def test_strangers_are_sent_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        server.settimeout(5)
        stranger = socket.create_connection(address)
        stranger.sendall(b"hello 1\n")
        friend = socket.create_connection(address)
        friend.sendall(b"secret 1\n")
        lines = _accept(server, "secret", world_size=2)
        assert list(lines) == [1]
        assert stranger.recv(1) == b""
        for line in (stranger, friend, lines[1]):
            line.close()


def test_a_rank_that_never_comes_gets_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers_module, "CONNECT_TIMEOUT_S", 0.05)
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        pytest.raises(RunFault, match=r"only 1 of 3 ranks reached rank 0; let TCP connections"),
    ):
        _accept(server, "secret", world_size=3)


def test_on_several_machines_rank_0_listens_on_every_address() -> None:
    with _listen("", backlog=1) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "127.0.0.2"):
            socket.create_connection((host, port), timeout=5).close()
    with _listen("127.0.0.1", backlog=1) as server, pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.getsockname()[1]), timeout=5)


TWO_RANKS = """
import os, signal, sys, time
from adora_mm import distributed
from adora_mm.cli import main
from adora_mm.launch import running_together

def work(words):
    rank, _, _ = distributed.start(1)
    with running_together():
        distributed.gather(rank)
        if rank == 1:
            if sys.argv[1] == "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("a.png: not an image")
        time.sleep(600)  # anything that does not come back: a hung collective call, an engine

import adora_mm.cli
adora_mm.cli.COMMANDS["work"] = work
sys.exit(main(["work"]))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "shown"),
    [("killed", "rank 1 is gone"), ("error", "rank 1 stopped: a.png: not an image")],
)
def test_without_a_launcher_the_other_rank_ends_within_a_minute(how: str, shown: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = str(probe.getsockname()[1])
    root = Path(__file__).resolve().parents[1]
    places = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
              "MASTER_PORT": port, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}  # fmt: skip
    first, second = (
        subprocess.Popen(
            [sys.executable, "-c", TWO_RANKS, how],
            env={**os.environ, **places, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    )
    try:
        _, own_error = second.communicate(timeout=300)
        ended = time.monotonic()
        _, error = first.communicate(timeout=60)
        assert time.monotonic() - ended < 60
    finally:
        first.kill()
        second.kill()
    assert second.returncode == (-signal.SIGKILL if how == "killed" else 2), own_error
    assert first.returncode == 1
    assert shown in error
