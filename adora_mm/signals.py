"""SIGTERM and Ctrl-C: the first asks the run to save and stop, a second one stops it at once.

Launchers pass on the terminal's Ctrl-C that their processes got as well, so two signals within a
second are one wish.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SAME_WISH_S = 1.0


class Stopped(Exception):
    """The run was asked to stop, and did so after saving what can be saved."""

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(message)
        self.exit_code = 128 + signum


class StopWish:
    """Whether this process was asked to stop; `signum` is 0 until then."""

    def __init__(self, say: Callable[[str], None], leave: Callable[[int], Any] = os._exit) -> None:
        self.signum = 0
        self._say, self._leave = say, leave
        self._since = 0.0

    def __call__(self, signum: int, frame: FrameType | None = None) -> None:
        """The signal handler."""
        now = time.monotonic()
        if self.signum and now - self._since > SAME_WISH_S:
            sys.stderr.write("adora: stopped at once; nothing more was saved\n")
            sys.stderr.flush()
            self._leave(128 + signum)
        if not self.signum:
            self.signum, self._since = signum, now
            name = signal.Signals(signum).name
            self._say(f"{name}: saving and stopping; once more stops at once")


@contextmanager
def stop_wish(say: Callable[[str], None]) -> Iterator[StopWish]:
    """Catch SIGTERM and SIGINT for the length of a `with` block (in the main thread only)."""
    wish = StopWish(say)
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return
    before = {number: signal.signal(number, wish) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
