"""SIGTERM and Ctrl-C: one asks to save and stop, a later one stops at once."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from adora_mm import signals
from adora_mm.signals import StopWish, stop_wish


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_a_wish(number: signal.Signals) -> None:
    said: list[str] = []
    before = signal.getsignal(number)
    with stop_wish(said.append) as wish:
        assert wish.signum == 0
        os.kill(os.getpid(), number)
        assert wish.signum == number
    assert said == [f"{number.name}: saving and stopping; once more stops at once"]
    assert signal.getsignal(number) is before


def test_a_second_signal_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []
    wish = StopWish(lambda _: None, left.append)
    now = 100.0
    monkeypatch.setattr(signals.time, "monotonic", lambda: now)
    wish(signal.SIGTERM)
    now += 0.5  # the launcher passes on what the terminal sent already
    wish(signal.SIGTERM)
    assert left == []
    now += 1.0
    wish(signal.SIGTERM)
    assert left == [143]


def test_other_threads_leave_the_handlers_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[object] = []

    def work() -> None:
        with stop_wish(print):
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
