"""How weights get from rank 0 to the servers: over the network, or as files.

A transfer makes ready for a server, in that server's thread, and cuts the weights into parcels. A
parcel is a function that gives it to one server and says which parameters were set there.
"""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from safetensors.torch import save_file
from torch import Tensor

from adora_mm.config import VllmConfig
from adora_mm.rollout.vllm_client import Server, ServerGone
from adora_mm.rollout.weight_link import (
    TRAINER,
    LinkBroken,
    WeightLink,
    address_towards,
    open_store,
)
from adora_mm.rollout.weight_sync import Field, buckets, pack

Parcel = Callable[[Server], list[str]]
T = TypeVar("T")


class Transfer(Protocol):
    def prepare(self, server: Server) -> None:
        """Raises ServerGone."""

    def parcels(self, named: Iterator[tuple[str, Tensor]]) -> Iterator[Parcel]:
        """Each is good until the next one is asked for; it raises ServerGone."""

    def close(self) -> None: ...


class FileTransfer:
    """Writes a file that all servers load, and deletes it."""

    def __init__(self, config: VllmConfig, folder: Path) -> None:
        self._bucket_bytes, self._timeout_s = config.sync_bucket_mb * 2**20, config.sync_timeout_s
        self._path = folder.absolute() / "weights.safetensors"

    def prepare(self, server: Server) -> None:
        """Nothing to do."""

    def parcels(self, named: Iterator[tuple[str, Tensor]]) -> Iterator[Parcel]:
        for bucket in buckets(_copies(named), self._bucket_bytes):
            save_file(dict(bucket), self._path)
            try:
                yield self._load
            finally:
                self._path.unlink()

    def _load(self, server: Server) -> list[str]:
        reports = server.workers("adora_load_file", str(self._path), timeout_s=self._timeout_s)
        return list(reports[0]["loaded"])

    def close(self) -> None:
        """Nothing to do."""


class BroadcastTransfer:
    """Sends packed rows of bytes over a link to each server."""

    def __init__(
        self,
        config: VllmConfig,
        servers: Sequence[Server],
        device: torch.device,
        say: Callable[[str], None],
    ) -> None:
        """Raises ValueError when rank 0 cannot listen at the configured address."""
        self._config, self._device, self._say = config, device, say
        self._host = config.transfer_host or address_towards([server.url for server in servers])
        self._timeout_s = config.sync_timeout_s
        self._store = open_store(self._host, config.transfer_port, timeout_s=self._timeout_s)
        self._links: dict[Server, WeightLink] = {}
        self._numbers = itertools.count()
        self._run = secrets.token_hex(4)

    def prepare(self, server: Server) -> None:
        """Link the server, unless its workers still hold the link of the last update.

        Raises ValueError for a server of several engines: only one of them would be reached.
        """
        link = self._links.get(server)
        told = server.workers("adora_place", timeout_s=self._timeout_s)
        if any(worker["engines"] != 1 for worker in told):
            raise ValueError(
                f"{server.url} runs with --data-parallel-size; start one server for each engine"
            )
        if link is not None and all(worker["link"] == link.name for worker in told):
            return
        self._drop(server)
        server.compared = False  # perhaps started anew
        devices = {self._device.type, *(worker["device"] for worker in told)}
        wanted = self._config.transfer_backend
        if wanted == "nccl" or (wanted == "auto" and devices == {"cuda"}):
            try:
                self._links[server] = self._join(server, "nccl", len(told))
                return
            except ServerGone as error:
                if wanted == "nccl":
                    raise
                self._say(f"weights go over gloo, not NCCL: {error}")
        self._links[server] = self._join(server, "gloo", len(told))

    def parcels(self, named: Iterator[tuple[str, Tensor]]) -> Iterator[Parcel]:
        over_nccl = any(link.backend == "nccl" for link in self._links.values())
        rows = pack(
            named,
            self._config.sync_bucket_mb * 2**20,
            device=self._device if over_nccl else torch.device("cpu"),
            pinned=self._device.type == "cuda" and not over_nccl,
        )
        for fields, row in rows:
            yield partial(self._give, fields=fields, row=row)

    def close(self) -> None:
        for server in list(self._links):
            self._drop(server)

    def _give(self, server: Server, fields: list[Field], row: Tensor) -> list[str]:
        link = self._links[server]
        told = {"fields": fields, "num_bytes": len(row)}
        try:
            call = ("adora_receive", json.dumps(told))
            reports, _ = self._both(server, call, lambda: link.broadcast(row.to(link.device)))
        except ServerGone:
            self._drop(server)
            raise
        return list(reports[0]["loaded"])

    def _join(self, server: Server, backend: str, num_workers: int) -> WeightLink:
        name = f"{self._run}-{next(self._numbers)}"
        size = num_workers + 1
        told = {
            "host": self._host, "port": self._store.port, "name": name, "size": size,
            "backend": backend, "timeout_s": self._timeout_s,
        }  # fmt: skip

        def connect() -> WeightLink:
            return WeightLink(
                self._store, name, rank=TRAINER, size=size, backend=backend,
                device=self._device, timeout_s=self._timeout_s,
            )  # fmt: skip

        _, link = self._both(server, ("adora_join", json.dumps(told)), connect)
        return link

    def _both(
        self, server: Server, call: tuple[str, str], own: Callable[[], T]
    ) -> tuple[list[Any], T]:
        """The workers' part and ours at once. Raises ServerGone for either."""
        with ThreadPoolExecutor(1) as pool:
            theirs = pool.submit(server.workers, *call, timeout_s=self._timeout_s)
            try:
                ours = own()
            except LinkBroken as error:
                raise ServerGone(f"{server.url}: {error}") from error
            return theirs.result(), ours

    def _drop(self, server: Server) -> None:
        link = self._links.pop(server, None)
        if link is not None:
            link.close()


def _copies(named: Iterator[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """On the host and lasting: a gathered parameter is gone when the next one comes."""
    for name, weight in named:
        yield name, weight.detach().to("cpu", copy=True).contiguous()
