"""CheckerPool: many checks at once, each within a wall-clock and a memory limit, order kept.

The caller's thread decides what the bounded path can decide, which is nearly everything; the rest
goes to spawned worker processes that are started when the first such check comes. A worker that
exceeds its time is killed and replaced, so no check can change another one's verdict. No signals
and no event loop are used, and no thread is left running: the pool works from any thread, from
asyncio (`asyncio.to_thread`), in Ray actors and in DataLoader workers.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType

from adora_mm.types import Verdict
from adora_mm.verify import worker
from adora_mm.verify.check import Choices, verdict
from adora_mm.verify.profiles import Profile, get_profile
from adora_mm.verify.worker import Job

START_TIMEOUT_S = 60.0
CHECKS_PER_WORKER = 2_000
"""A worker is replaced after so many checks: sympy's caches never shrink."""
MAX_FAILED_STARTS = 3
_WORKER_CODE = "from adora_mm.verify.worker import main; main()"
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[2])


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    connection: Connection
    ready: bool = False
    checks: int = 0
    index: int | None = None
    deadline: float = 0.0


def _launch(memory_mb: int) -> tuple[subprocess.Popen[bytes], Connection]:
    """A fresh interpreter that serves checks over one inherited socket."""
    ours, theirs = socket.socketpair()
    environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [_PACKAGE_ROOT, environment.get("PYTHONPATH", "")])
    )
    with theirs:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                _WORKER_CODE,
                str(theirs.fileno()),
                str(memory_mb),
                str(os.getpid()),
            ],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
        )
    return process, Connection(ours.detach())


class CheckerPool:
    """Checks responses in parallel; usable as a context manager and from several threads."""

    def __init__(self, workers: int = 2, timeout_s: float = 5.0, memory_mb: int = 1024) -> None:
        if workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        if timeout_s <= 0:
            raise ValueError(f"timeout_s must be positive, not {timeout_s}")
        if memory_mb < 256:
            raise ValueError(f"memory_mb must be at least 256 (sympy needs it), not {memory_mb}")
        self.size, self.timeout_s, self.memory_mb = workers, timeout_s, memory_mb
        self.timeouts = 0
        """Checks that ended as `timeout` since the pool was made."""
        self.sent = 0
        """Checks that needed a worker since the pool was made."""
        self._lock = threading.Lock()
        self._workers: list[_Worker] = []
        self._closed = False
        self._failed_starts = 0

    def check_many(
        self,
        items: Iterable[tuple[str, str, Sequence[str] | None]],
        *,
        profile: str | Profile = "reward",
    ) -> list[Verdict]:
        """Verdicts of (response, gold, choices) triples, in order; no content makes it raise."""
        policy = get_profile(profile)
        return self.run(
            [("response", response, gold, choices, policy) for response, gold, choices in items]
        )

    def check_answers(
        self,
        items: Iterable[tuple[str, str, Sequence[str] | None]],
        *,
        profile: str | Profile = "reward",
    ) -> list[Verdict]:
        """Like `check_many` for answers that were already extracted."""
        policy = get_profile(profile)
        return self.run(
            [("answer", answer, gold, choices, policy) for answer, gold, choices in items]
        )

    def run(self, jobs: list[Job]) -> list[Verdict]:
        """Decide jobs in the caller where that is possible, in workers where it is not."""
        if self._closed:
            raise RuntimeError("the CheckerPool is closed")
        verdicts = [worker.decide(job) for job in jobs]
        waiting = [index for index, decided in enumerate(verdicts) if decided is None]
        if waiting:
            with self._lock:
                self._run_in_workers(jobs, verdicts, deque(waiting))
        return [decided for decided in verdicts if decided is not None]

    # -- workers ------------------------------------------------------------------------------
    def _run_in_workers(
        self, jobs: list[Job], verdicts: list[Verdict | None], waiting: deque[int]
    ) -> None:
        self.sent += len(waiting)
        try:
            while waiting or any(w.index is not None for w in self._workers):
                self._start(min(self.size, len(waiting)))
                for free in self._workers:
                    if waiting and free.ready and free.index is None:
                        self._give(free, waiting.popleft(), jobs)
                self._collect(jobs, verdicts)
                if self._failed_starts >= MAX_FAILED_STARTS:
                    self._give_up(waiting, verdicts)
        except BaseException:
            # An interrupt between two messages would leave a pipe out of step: start afresh.
            self._stop_all()
            raise

    def _start(self, wanted: int) -> None:
        missing = wanted - sum(w.index is None for w in self._workers)
        for _ in range(min(missing, self.size - len(self._workers))):
            process, connection = _launch(self.memory_mb)
            self._workers.append(
                _Worker(process, connection, deadline=time.monotonic() + START_TIMEOUT_S)
            )

    def _give(self, free: _Worker, index: int, jobs: list[Job]) -> None:
        free.index = index
        free.checks += 1
        free.deadline = time.monotonic() + self.timeout_s
        try:
            free.connection.send(jobs[index])
        except (BrokenPipeError, OSError):
            free.deadline = 0.0

    def _collect(self, jobs: list[Job], verdicts: list[Verdict | None]) -> None:
        busy = [w for w in self._workers if w.index is not None or not w.ready]
        if not busy:
            return
        patience = max(0.0, min(w.deadline for w in busy) - time.monotonic())
        heard = wait([w.connection for w in busy], timeout=patience)
        now = time.monotonic()
        for busy_worker in busy:
            if busy_worker.connection in heard:
                self._receive(busy_worker, verdicts)
            elif now >= busy_worker.deadline:
                self._fail(busy_worker, verdicts, f"no verdict within {self.timeout_s:g} s")

    def _receive(self, from_worker: _Worker, verdicts: list[Verdict | None]) -> None:
        try:
            message = from_worker.connection.recv()
        except (EOFError, OSError):
            self._fail(from_worker, verdicts, "the worker of this check died (memory or crash)")
            return
        if not from_worker.ready:
            from_worker.ready = True
            self._failed_starts = 0
            return
        assert from_worker.index is not None
        verdicts[from_worker.index] = message
        self.timeouts += message.outcome == "timeout"
        from_worker.index = None
        if from_worker.checks >= CHECKS_PER_WORKER or message.outcome == "timeout":
            self._remove(from_worker)

    def _fail(self, failed: _Worker, verdicts: list[Verdict | None], reason: str) -> None:
        never_ready, index = not failed.ready, failed.index
        self._remove(failed)
        if index is not None:
            verdicts[index] = verdict("timeout", None, reason)
            self.timeouts += 1
        elif never_ready:
            self._failed_starts += 1

    def _give_up(self, waiting: deque[int], verdicts: list[Verdict | None]) -> None:
        """Checks that need a worker are timeouts where none can start; the caller goes on."""
        warnings.warn(
            f"no checker worker could start with memory_mb={self.memory_mb}: "
            f"{len(waiting)} checks count as timeouts",
            RuntimeWarning,
            stacklevel=5,
        )
        self._failed_starts = 0
        self.timeouts += len(waiting)
        while waiting:
            verdicts[waiting.popleft()] = verdict("timeout", None, "no checker worker could start")

    def _remove(self, gone: _Worker) -> None:
        self._workers.remove(gone)
        gone.connection.close()
        gone.process.kill()
        gone.process.wait(timeout=10)

    def _stop_all(self) -> None:
        for each in list(self._workers):
            self._remove(each)

    # -- life ---------------------------------------------------------------------------------
    def close(self) -> None:
        """Stop all workers; the pool cannot be used afterwards."""
        with self._lock:
            self._closed = True
            self._stop_all()

    def __enter__(self) -> CheckerPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        """A pool travels to another process by its settings; workers start there anew."""
        return {"workers": self.size, "timeout_s": self.timeout_s, "memory_mb": self.memory_mb}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__init__(**state)  # type: ignore[misc]


__all__ = ["CheckerPool", "Choices"]
