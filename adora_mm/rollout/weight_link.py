"""A line for weights from the trainer to one server: a process group of their own.

Each server has its own group with rank 0 of the trainer, so one that dies breaks nothing for the
others, and there is nothing to rebuild among them. The groups know nothing of the trainer's own
process group, nor of vLLM's. All meet at one store, which listens on rank 0's machine.

NCCL would end the process when a collective fails or takes too long; here that is switched off, and
the time is taken by ourselves. Both sides import this module; it needs no vLLM.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import PrefixStore, TCPStore

TRAINER = 0
"""The trainer's rank in every link; a server's workers follow."""
POLL_S = 0.002
CONNECT_TIMEOUT_S = 10.0
_ENVIRONMENT = threading.Lock()
"""Links to several servers are made at once."""


class LinkBroken(RuntimeError):
    """The other side is gone, too slow, or cannot be reached this way."""


class WeightLink:
    """One end of the line; making it waits for all others of its group."""

    def __init__(
        self,
        store: TCPStore,
        name: str,
        *,
        rank: int,
        size: int,
        backend: str,
        device: torch.device,
        timeout_s: float,
    ) -> None:
        """`backend` is nccl or gloo; `name` is the same on all sides, and new for each link. Raises
        LinkBroken when the others do not come within `timeout_s` or the line carries nothing."""
        self.name, self.backend, self.timeout_s = name, backend, timeout_s
        self.device = device if backend == "nccl" else torch.device("cpu")
        try:
            prefixed = PrefixStore(name, store)
            make = _nccl if backend == "nccl" else _gloo
            self._group: Any = make(prefixed, store, rank, size, timeout_s)
        except (RuntimeError, OSError, AttributeError) as error:  # a torch without NCCL lacks it
            raise LinkBroken(f"no {backend} link: {_short(error)}") from error
        # NCCL connects at the first collective: now, where it can still be told apart.
        self.broadcast(torch.zeros(1, dtype=torch.uint8, device=self.device))

    def broadcast(self, row: Tensor) -> None:
        """The trainer's bytes to all others, whose `row` is overwritten. Raises LinkBroken."""
        options = dist.BroadcastOptions()
        options.rootRank, options.rootTensor = TRAINER, 0
        try:
            work = self._group.broadcast([row], options)
            if self.backend == "nccl":
                self._await(work)
            work.wait()
        except RuntimeError as error:
            raise LinkBroken(f"{self.backend}: {_short(error)}") from error

    def close(self) -> None:
        if self.backend == "nccl":
            self._group.abort()
        self._group = None

    def _await(self, work: Any) -> None:
        deadline = time.monotonic() + self.timeout_s
        while not work.is_completed():
            if time.monotonic() > deadline:
                self._group.abort()
                raise LinkBroken(f"not through after {self.timeout_s:g} s")
            time.sleep(POLL_S)


def open_store(host: str, port: int, *, timeout_s: float) -> TCPStore:
    """Where links meet, listening at this address alone; port 0 takes a free one.

    Raises ValueError when the address is not this machine's or is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listening = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ValueError(
            f"cannot listen at {host} port {port} for the servers' workers ({error}); set "
            "rollout.vllm.transfer_host and transfer_port, or rollout.vllm.weight_transfer=files"
        ) from error
    port = listening.getsockname()[1]
    return TCPStore(
        host,
        port,
        is_master=True,
        timeout=timedelta(seconds=timeout_s),
        wait_for_workers=False,
        master_listen_fd=listening.detach(),
    )


def join_store(host: str, port: int, *, timeout_s: float) -> TCPStore:
    """The worker's side. Raises LinkBroken."""
    try:
        return TCPStore(host, port, is_master=False, timeout=timedelta(seconds=timeout_s))
    except RuntimeError as error:
        raise LinkBroken(f"the trainer's {host} port {port} does not answer") from error


def address_towards(urls: list[str]) -> str:
    """This machine's address in the connections to these servers; loopback only if all have it."""
    found = "127.0.0.1"
    for url in urls:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        with socket.create_connection((str(parts.hostname), port), CONNECT_TIMEOUT_S) as line:
            own = str(line.getsockname()[0])
        if not own.startswith("127.") and own != "::1":
            found = own
    return found


def _gloo(store: PrefixStore, meeting: TCPStore, rank: int, size: int, timeout_s: float) -> Any:
    group: Any = dist.ProcessGroupGloo
    options = group._Options()
    # The address that faces the trainer: gloo's own choice is whatever the host's name resolves to.
    own = address_towards([f"tcp://{_bracketed(meeting.host)}:{meeting.port}"])
    options._devices = [group.create_device(hostname=own)]
    options._threads = 1
    options._timeout = timedelta(seconds=timeout_s)
    return group(store, rank, size, options)


def _nccl(store: PrefixStore, meeting: TCPStore, rank: int, size: int, timeout_s: float) -> Any:
    options = dist.ProcessGroupNCCL.Options()
    options._timeout = timedelta(days=1)  # see `WeightLink._await`
    with _nccl_leaves_the_process_alone():
        return dist.ProcessGroupNCCL(store, rank, size, options)


@contextlib.contextmanager
def _nccl_leaves_the_process_alone() -> Iterator[None]:
    """torch reads this variable when a group is made; 0: an error ends nothing but the call."""
    name = "TORCH_NCCL_ASYNC_ERROR_HANDLING"
    with _ENVIRONMENT:
        before = os.environ.get(name)
        os.environ[name] = "0"
        try:
            yield
        finally:
            if before is None:
                del os.environ[name]
            else:
                os.environ[name] = before


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
