"""A rollout engine in a process of its own, so that it generates while this one trains.

The engine's calls travel over a pipe, tensors through shared memory. An error inside is raised
here; a process that dies ends the run, since its weights are gone with it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.multiprocessing

from adora_mm.faults import RunFault
from adora_mm.processor import Prompt
from adora_mm.rollout.sampling import Finished, RolloutBackend, Sampling
from adora_mm.rollout.weight_sync import Traffic
from adora_mm.types import Completion

Build = Callable[..., RolloutBackend]


class ProcessBackend:
    """Used like the engine that `build(**options)` makes in the other process."""

    def __init__(self, build: Build, **options: Any) -> None:
        """Starts the process and waits until the engine stands; raises what building it raised."""
        context = torch.multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve,
            args=(theirs, torch.get_num_threads(), build, options),
            name="rollouts",
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._lock = threading.Lock()
        self._receive()

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        with self._lock:
            self._send("generate", (list(prompts), sampling))
            rows: dict[int, list[Completion]] = {}
            while (message := self._receive()) is not None:
                place, rows[place] = message
                if finished is not None:
                    finished(place, rows[place])
        return [rows[place] for place in range(len(prompts))]

    def update_weights(self, named_weights: object, *, version: int) -> dict[str, float]:
        """Weights go one at a time: the other side never holds a second copy of the policy."""
        assert isinstance(named_weights, Iterable)
        with self._lock:
            self._send("update_weights", version)
            traffic = Traffic()
            for name, weight in traffic.watch(named_weights):
                self._send("weight", (name, weight.detach().cpu().clone()))
            self._send("end", None)
            self._receive()
        return {"sync/bytes": float(traffic.bytes)}

    def sleep(self, *, weights_follow: bool = False) -> None:
        self._call("sleep")

    def wake(self) -> None:
        self._call("wake")

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.join(timeout=10)

    def _call(self, name: str) -> None:
        with self._lock:
            self._send(name, None)
            self._receive()

    def _send(self, name: str, value: object) -> None:
        try:
            self._pipe.send((name, value))
        except OSError as error:
            raise self._dead() from error

    def _receive(self) -> Any:
        try:
            worked, value = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise self._dead() from error
        if not worked:
            raise value
        return value

    def _dead(self) -> RunFault:
        self._process.join(timeout=5)
        return RunFault(
            f"the rollout process died (exit code {self._process.exitcode}; -9 is often the "
            "system short of memory); go on from the last checkpoint with --resume"
        )


def _serve(pipe: Connection, threads: int, build: Build, options: dict[str, Any]) -> None:
    """The other process: build the engine, then answer calls until the pipe closes."""
    torch.set_num_threads(threads)
    with contextlib.suppress(EOFError, KeyboardInterrupt, BrokenPipeError):
        try:
            backend = build(**options)
        except Exception as error:
            pipe.send((False, error))
            return
        pipe.send((True, None))
        while True:
            name, value = pipe.recv()
            try:
                _answer(pipe, backend, name, value)
                pipe.send((True, None))
            except Exception as error:
                pipe.send((False, error))


def _answer(pipe: Connection, backend: RolloutBackend, name: str, value: Any) -> None:
    if name == "generate":
        prompts, sampling = value
        backend.generate(prompts, sampling, lambda place, rows: pipe.send((True, (place, rows))))
    elif name == "update_weights":
        weights = _weights(pipe)
        try:
            backend.update_weights(weights, version=value)
        finally:
            for _ in weights:  # after an error: what is still on its way is not wanted
                pass
    elif name == "wake":
        backend.wake()
    else:
        backend.sleep()


def _weights(pipe: Connection) -> Iterable[tuple[str, torch.Tensor]]:
    while True:
        word, value = pipe.recv()
        if word == "end":
            return
        yield value
