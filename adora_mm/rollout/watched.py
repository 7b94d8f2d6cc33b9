"""A rollout engine under watch: a call that raises is repeated, one that hangs ends the process.

An engine that hangs holds the only thread that could raise, so a timer writes where every thread
stands, says what happened, and leaves; the last checkpoint is the way on.
"""

from __future__ import annotations

import faulthandler
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch

from adora_mm.faults import RunFault
from adora_mm.processor import Prompt
from adora_mm.rollout.sampling import Finished, RolloutBackend, Sampling
from adora_mm.types import Completion

T = TypeVar("T")


class RolloutError(RunFault):
    """A rollout engine that failed as often as it may."""


class WatchedBackend:
    """Any backend, with time limits and retries; used like the backend itself."""

    def __init__(
        self,
        backend: RolloutBackend,
        *,
        timeout_s: float,
        retries: int,
        folder: Path,
        say: Callable[[str], None],
        leave: Callable[[str], None],
    ) -> None:
        """`leave(message)` ends the process; `folder` gets the stacks of a hang."""
        self.backend = backend
        self.timeout_s, self.retries = timeout_s, retries
        self.folder, self.say, self.leave = folder, say, leave

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """As the backend's; repeated after an error, which changes nothing: sampling is keyed.

        Raises RolloutError after the last retry. Mistakes (ValueError) and logits that are not
        finite (NonFiniteError) are not repeated. `finished` hears of a prompt again when repeated.
        """
        return self._guarded("generate", lambda: self.backend.generate(prompts, sampling, finished))

    def update_weights(self, named_weights: object, *, version: int) -> dict[str, float]:
        """As the backend's; not repeated: reading the weights may be collective."""
        with self._clock("update_weights"):
            return self.backend.update_weights(named_weights, version=version)

    def sleep(self, *, weights_follow: bool = False) -> None:
        with self._clock("sleep"):
            self.backend.sleep(weights_follow=weights_follow)

    def wake(self) -> None:
        self._guarded("wake", self.backend.wake)

    def close(self) -> None:
        self.backend.close()

    def _guarded(self, name: str, call: Callable[[], T]) -> T:
        for attempt in range(self.retries + 1):
            try:
                with self._clock(name):
                    return call()
            except RunFault:
                raise
            except (RuntimeError, OSError) as error:
                reason = (
                    f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
                )
            if attempt < self.retries:
                self.say(f"rollout engine: {name} failed ({reason}); once more")
                if torch.cuda.is_available():
                    torch.cuda.empty_cache()
        raise RolloutError(
            f"the rollout engine failed in {name} {self.retries + 1} times ({reason}); go on from "
            "the last checkpoint with --resume"
        )

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        timer = threading.Timer(self.timeout_s, self._hangs, [name])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _hangs(self, name: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        stacks = self.folder / "rollout-hang.txt"
        with stacks.open("w") as file:
            faulthandler.dump_traceback(file, all_threads=True)
        self.leave(
            f"the rollout engine did not answer {name} within {self.timeout_s:g} s "
            f"(faults.rollout_timeout_s); where every thread stood is in {stacks}. Go on from the "
            "last checkpoint with --resume"
        )
