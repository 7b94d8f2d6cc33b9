"""Prompts in one queue, servers that take from it, and what happens when one of them fails."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

from adora_mm.faults import RunFault
from adora_mm.rollout.sampling import Finished
from adora_mm.rollout.vllm_client import Server, ServerGone
from adora_mm.rollout.vllm_requests import StaleAnswer
from adora_mm.types import Completion

FIRST_PAUSE_S = 0.5
"""Before the second attempt; twice as long before each further one."""


class NoServerLeft(RunFault):
    """All servers failed; what they were asked for is not there."""

    @classmethod
    def because(cls, reasons: Iterable[str]) -> NoServerLeft:
        return cls(
            f"no vLLM server is left ({'; '.join(sorted(set(reasons)))}); go on from the last "
            "checkpoint with --resume"
        )


def on_each(
    servers: Sequence[Server], action: Callable[[Server], object], say: Callable[[str], None]
) -> list[Server]:
    """Do it on all servers at once; those that are still there. Raises NoServerLeft."""
    lost: dict[Server, str] = {}

    def attempt(server: Server) -> None:
        try:
            action(server)
        except ServerGone as error:
            lost[server] = str(error)

    with ThreadPoolExecutor(max(1, len(servers))) as pool:
        list(pool.map(attempt, servers))
    for reason in lost.values():
        say(f"vLLM server left out of this update: {reason}")
    left = [server for server in servers if server not in lost]
    if not left:
        raise NoServerLeft.because(lost.values() or ["none answers /health"])
    return left


class WorkQueue:
    """`count` prompts to be answered, each once."""

    def __init__(
        self, count: int, answer: Callable[[Server, int], list[Completion]], *, retries: int
    ) -> None:
        """`answer(server, index)` may raise ServerGone or StaleAnswer, which are about the server,
        and any other error, which ends the whole round."""
        self._answer, self._retries = answer, retries
        self._pending = deque(range(count))
        self._done: dict[int, list[Completion]] = {}
        self._running = 0
        self._error: BaseException | None = None
        self._changed = threading.Condition()
        self._news: SimpleQueue[int | None] = SimpleQueue()
        """Places of prompts that are done; None for every slot of a server that has ended."""
        self.lost: dict[Server, str] = {}
        """Servers that were given up, and why."""

    def run(
        self, servers: Sequence[Server], *, per_server: int, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """All answers in order; `finished` hears of each when it is there, in this thread.

        Raises NoServerLeft, or the error that ended the round.
        """
        count = len(self._pending)
        slots = [server for server in servers for _ in range(min(per_server, count))]
        with ThreadPoolExecutor(max(1, len(slots))) as pool:
            jobs = [pool.submit(self._serve, server) for server in slots]
            for job in jobs:
                job.add_done_callback(lambda _: self._news.put(None))
            working = len(jobs)
            while working:
                index = self._news.get()
                if index is None:
                    working -= 1
                elif finished is not None:
                    finished(index, self._done[index])
        if self._error is not None:
            raise self._error
        if len(self._done) < count:
            raise NoServerLeft.because(self.lost.values() or ["all were given up before"])
        return [self._done[index] for index in range(count)]

    def _serve(self, server: Server) -> None:
        while server not in self.lost and (index := self._take()) is not None:
            try:
                self._finish(index, self._attempts(server, index))
            except (ServerGone, StaleAnswer) as error:
                self.lost.setdefault(server, str(error))
                self._finish(index, None)
            except BaseException as error:  # raised again by `run`, in the caller's thread
                self._error = error
                self._finish(index, None)

    def _attempts(self, server: Server, index: int) -> list[Completion]:
        pause_s = FIRST_PAUSE_S
        for _ in range(self._retries):
            try:
                return self._answer(server, index)
            except ServerGone:
                if server in self.lost:
                    raise
                time.sleep(pause_s)
                pause_s *= 2
        return self._answer(server, index)

    def _take(self) -> int | None:
        """The next prompt; waits while others may still give theirs back. None: nothing is left."""
        with self._changed:
            while not self._pending and self._running and self._error is None:
                self._changed.wait()
            if not self._pending or self._error is not None:
                return None
            self._running += 1
            return self._pending.popleft()

    def _finish(self, index: int, answer: list[Completion] | None) -> None:
        with self._changed:
            self._running -= 1
            if answer is None:
                self._pending.append(index)
            else:
                self._done[index] = answer
                self._news.put(index)
            self._changed.notify_all()
