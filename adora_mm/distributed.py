"""Processes of a run: start them under any launcher, move small things between them.

One process needs no launcher: the variables that `deepspeed` or `torchrun` would set are filled in.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
import random
import socket
import struct
import sys
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from adora_mm.faults import RunFault

COLLECTIVE_TIMEOUT = timedelta(minutes=30)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class FirstRankError(ValueError):
    """A mistake that every rank knows of; the first rank of each machine tells it."""


def start(threads: int | None) -> tuple[int, int, torch.device]:
    """Join the process group through DeepSpeed; returns rank, world size and device.

    gloo on CPUs, NCCL on GPUs. Safe to call twice. Raises RunFault when the ranks do not meet.
    """
    for key, value in {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}.items():
        os.environ.setdefault(key, value)
    os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
    os.environ.setdefault("MASTER_PORT", str(free_port()))
    import deepspeed

    use_gpu = torch.cuda.is_available()
    if not use_gpu:
        # DeepSpeed would compile a shared-memory kernel for about a minute at the first start;
        # without it the collectives take plain gloo.
        sys.modules["deepspeed.comm.torch"].build_shm_op = lambda: None  # type: ignore[attr-defined]
        keep_freed_memory()
    if not on_one_machine():
        _name_interface(required=not use_gpu)
    # Also with GPUs: an optimizer that is offloaded to the host runs there.
    sharing = ranks_here() or int(os.environ["WORLD_SIZE"])
    torch.set_num_threads(threads or max(1, _cores() // sharing))
    if not deepspeed.comm.is_initialized():
        _meet("nccl" if use_gpu else "gloo")
    device = torch.device("cpu")
    if use_gpu:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    return dist.get_rank(), dist.get_world_size(), device


def _meet(backend: str) -> None:
    import deepspeed

    try:
        deepspeed.init_distributed(backend, timeout=COLLECTIVE_TIMEOUT, verbose=False)
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        place = "{RANK} of {WORLD_SIZE}, at {MASTER_ADDR}:{MASTER_PORT}".format_map(os.environ)
        raise RunFault(
            f"the processes do not meet (rank {place}): {reason}. Each machine "
            "must reach every other by TCP; docs/distributed.md says how to choose the interface"
        ) from error


def ranks_here() -> int:
    """Ranks on this machine, as torchrun or DeepSpeed's launcher says; 0 when nobody does."""
    return int(os.environ.get("LOCAL_WORLD_SIZE") or os.environ.get("LOCAL_SIZE") or 0)


def on_one_machine() -> bool:
    """Whether all ranks are on this machine, by the launcher's variables."""
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    return ranks_here() == world_size or world_size == 1 or os.environ["MASTER_ADDR"] in LOOPBACK


def _name_interface(*, required: bool) -> None:
    """Tell gloo which network interface leads to the other machines.

    By itself it takes the one of the host name, which many systems resolve to loopback: then ranks
    on other machines find nobody. With GPUs only vLLM's side groups are gloo's, so there it is not
    `required`. Where it is, raises ValueError when rank 0's address is loopback.
    """
    if "GLOO_SOCKET_IFNAME" in os.environ or not sys.platform.startswith("linux"):
        return
    name = os.environ["MASTER_ADDR"]
    try:
        address = socket.getaddrinfo(name, 9, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(address)  # of UDP: nothing is sent
            own = probe.getsockname()[0]
    except OSError:
        return  # an IPv6 address, or none: gloo chooses, or says what is wrong
    if own.startswith("127."):
        if not required:
            return
        raise ValueError(
            f"MASTER_ADDR={name} is {address[0]} on this machine, which no other reaches; give "
            "rank 0's address in the network, or set GLOO_SOCKET_IFNAME to its interface"
        )
    for _, interface in socket.if_nameindex():
        if interface_address(interface) == own:
            os.environ["GLOO_SOCKET_IFNAME"] = interface


def interface_address(interface: str) -> str | None:
    """The IPv4 address of a network interface (Linux); None when it has none."""
    get_address = 0x8915  # SIOCGIFADDR of bits/ioctls.h; the answer is a struct ifreq
    request = struct.pack("256s", interface.encode())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        try:
            answer = fcntl.ioctl(any_socket.fileno(), get_address, request)
        except OSError:
            return None
    return socket.inet_ntoa(answer[20:24])


def keep_freed_memory() -> None:
    """Tell glibc to reuse large blocks instead of giving them back to the kernel.

    A training step frees and takes gigabytes in large blocks; each time, every page faults again.
    In a virtual machine that made steps 1.3 to 8 times as slow (docs/recipes.md). No-op elsewhere.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return  # another C library
    trim_threshold, top_pad, mmap_max = -1, -2, -4  # M_* numbers of malloc.h
    mallopt(mmap_max, 0)
    mallopt(trim_threshold, 2**31 - 1)
    mallopt(top_pad, 64 * 2**20)


def place() -> tuple[int, int]:
    """Rank and world size; (0, 1) when no process group was started."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def gather(item: Any) -> list[Any]:
    """Everybody's item on every rank, in rank order; for small Python objects."""
    if place()[1] == 1:
        return [item]
    items: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(items, item)
    return items


def broadcast(item: Any) -> Any:
    """Rank 0's item on every rank."""
    if place()[1] == 1:
        return item
    box = [item]
    dist.broadcast_object_list(box, src=0)
    return box[0]


def combine(metrics: Mapping[str, float]) -> dict[str, float]:
    """Metrics over all ranks, put together by `add_up`."""
    return add_up(gather(dict(metrics)))


def add_up(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Metrics of all parts: names ending in `_max` by maximum, all others by sum."""
    total: dict[str, float] = {}
    for part in parts:
        for name, value in part.items():
            if name not in total:
                total[name] = value
            elif name.endswith("_max"):
                total[name] = max(total[name], value)
            else:
                total[name] += value
    return total


def is_first() -> bool:
    """Whether this rank writes files."""
    return place()[0] == 0


def barrier() -> None:
    if place()[1] > 1:
        dist.barrier()


def seed_all(key: str) -> None:
    """Set every global random state from `key` and the rank, so that none needs to be saved.

    Sampling has its own keyed numbers; this is for whatever else draws (dropout, libraries).
    """
    digest = hashlib.sha256(f"{key}/{place()[0]}".encode()).digest()
    number = int.from_bytes(digest[:4], "little")
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
