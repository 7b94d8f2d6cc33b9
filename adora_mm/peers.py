"""When one rank stops, all stop within seconds, and the first error is shown.

A rank that dies leaves the others inside a collective call that waits for up to half an hour.
Launchers clean up on one machine, not always over several. So every rank holds one plain TCP
connection to rank 0: the kernel closes it when the process dies, keep-alive closes it when the
machine does. A rank that fails says why before it goes; rank 0 tells everybody.
"""

from __future__ import annotations

import logging
import os
import secrets
import selectors
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from adora_mm import distributed
from adora_mm.faults import RunFault

LOG = logging.getLogger(__name__)
CONNECT_TIMEOUT_S = 30.0
GRACE_S = 5.0
"""How long a rank's own error may take to end the process before the news of it does."""
MESSAGE_BYTES = 1000
OPEN_PORTS = "let TCP connections between the machines through (docs/distributed.md)"
KEEP_ALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}
"""Seconds and counts: a machine that is gone is noticed after 35 s."""


class Peers:
    """One rank's line to the others; `close` at a regular end, `tell` before an irregular one."""

    def __init__(
        self, lines: dict[int, socket.socket], leave: Callable[[str], Any] | None = None
    ) -> None:
        """`lines` are sockets by rank: all the others' on rank 0, only rank 0's elsewhere."""
        self._lines = lines
        self._leave = leave or _leave_with_news
        self._closing, self._heard = threading.Event(), threading.Event()
        self._news = ""
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._watch, name="peers", daemon=True)
        self._thread.start()

    def tell(self, message: str) -> None:
        """Say why this rank stops; the others print it and end."""
        rank, _ = distributed.place()
        self._closing.set()
        self._send(f"rank {rank} stopped: {message}", to=list(self._lines))

    def news(self, wait_s: float = 2.0) -> str:
        """Which rank stopped first and why, if one did; a broken collective call is noticed sooner
        than the reason arrives, hence the wait."""
        self._heard.wait(wait_s)
        return self._news

    def close(self) -> None:
        """Leave without alarming anybody."""
        if not self._closing.is_set():
            self._closing.set()
            self._send("", to=list(self._lines))
        self._wake.close()
        self._thread.join(timeout=GRACE_S)
        for line in self._lines.values():
            line.close()

    def _send(self, text: str, *, to: list[int]) -> None:
        data = (text.encode("utf-8", "replace")[: MESSAGE_BYTES - 1] or b"\0") + b"\n"
        for rank in to:
            try:
                self._lines[rank].sendall(data)
            except OSError:
                continue  # it is gone already

    def _watch(self) -> None:
        waiting = selectors.DefaultSelector()
        waiting.register(self._woken, selectors.EVENT_READ, None)
        for rank, line in self._lines.items():
            waiting.register(line, selectors.EVENT_READ, rank)
        while not self._closing.is_set():
            for key, _ in waiting.select():
                if key.data is None:
                    return
                news = _read(key.fileobj)
                if news == "\0":  # a regular end
                    waiting.unregister(key.fileobj)
                    continue
                self._hear(key.data, news or f"rank {key.data} is gone (killed, or its machine)")
                return

    def _hear(self, source: int, news: str) -> None:
        self._news = news
        self._heard.set()
        self._send(news, to=[rank for rank in self._lines if rank != source])
        # This rank may have failed in the same moment; then its own error says more.
        if not self._closing.wait(GRACE_S):
            self._leave(news)


def connect(leave: Callable[[str], Any] | None = None) -> Peers | None:
    """Join all ranks; collective. None when there is only one, or when rank 0 cannot listen: then
    only the launcher and the collectives' own time limit notice a dead rank. Raises RunFault when
    they do not reach rank 0."""
    rank, world_size = distributed.place()
    if world_size == 1:
        return None
    together = distributed.on_one_machine()
    host = "127.0.0.1" if together else os.environ["MASTER_ADDR"]
    lines: dict[int, socket.socket] = {}
    if rank == 0:
        try:
            server = _listen(host if together else "", backlog=world_size)
        except OSError as error:
            LOG.warning("ranks are not watched: rank 0 cannot listen (%s)", error)
            distributed.broadcast(None)
            return None
        with server:
            secret = secrets.token_hex(16)
            distributed.broadcast((server.getsockname()[1], secret))
            lines = _accept(server, secret, world_size)
    else:
        address = distributed.broadcast(None)
        if address is None:
            return None
        port, secret = address
        try:
            line = socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S)
            line.sendall(f"{secret} {rank}\n".encode())
        except OSError as error:
            where = f"rank 0 at {host}:{port}"
            raise RunFault(f"rank {rank} cannot reach {where} ({error}); {OPEN_PORTS}") from error
        lines = {0: line}
    for line in lines.values():
        _keep_alive(line)
    return Peers(lines, leave)


def _listen(host: str, *, backlog: int) -> socket.socket:
    """A port on one address, or on all when `host` is empty: what MASTER_ADDR means differs between
    machines (host names of loopback, translated addresses), and only those who know the secret of
    the process group are let in, during start-up."""
    if host or not socket.has_dualstack_ipv6():
        return socket.create_server((host, 0), backlog=backlog)
    return socket.create_server(
        (host, 0), family=socket.AF_INET6, dualstack_ipv6=True, backlog=backlog
    )


def _accept(server: socket.socket, secret: str, world_size: int) -> dict[int, socket.socket]:
    """Lines of all other ranks; whoever does not know the secret is sent away.

    Raises RunFault when some do not come.
    """
    lines: dict[int, socket.socket] = {}
    deadline = time.monotonic() + CONNECT_TIMEOUT_S
    while len(lines) < world_size - 1:
        try:
            server.settimeout(max(0.01, deadline - time.monotonic()))
            line, _ = server.accept()
        except TimeoutError as error:
            came = f"{len(lines) + 1} of {world_size} ranks"
            raise RunFault(f"only {came} reached rank 0; {OPEN_PORTS}") from error
        line.settimeout(5.0)
        word, _, rank = _read(line).partition(" ")
        if secrets.compare_digest(word.encode(), secret.encode()) and rank.isdigit():
            lines[int(rank)] = line
        else:
            line.close()
    return lines


def _read(line: Any) -> str:
    """The next line of text; empty when the other side is gone."""
    data = b""
    try:
        while not data.endswith(b"\n") and len(data) < MESSAGE_BYTES:
            piece = line.recv(MESSAGE_BYTES)
            if not piece:
                break
            data += piece
    except OSError:
        return ""
    return data.decode("utf-8", "replace").rstrip("\n")


def _keep_alive(line: socket.socket) -> None:
    line.settimeout(None)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEP_ALIVE.items():
        if name in vars(socket):  # Linux; other systems keep their own times
            line.setsockopt(socket.IPPROTO_TCP, vars(socket)[name], value)


def leave(message: str) -> None:
    """End this process now, from any thread, with one line."""
    sys.stderr.write(f"adora: error: {message}\n")
    sys.stderr.flush()
    os._exit(1)


def _leave_with_news(news: str) -> None:
    leave(f"this rank ends because {news}")
