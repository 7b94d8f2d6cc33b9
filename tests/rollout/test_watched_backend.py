"""A rollout engine under watch: repeated when it fails, left when it hangs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from adora_mm.faults import NonFiniteError
from adora_mm.processor import Prompt
from adora_mm.rollout import Finished, Sampling
from adora_mm.rollout.watched import RolloutError, WatchedBackend
from adora_mm.types import Completion

SAMPLING = Sampling(num_completions=1, max_new_tokens=1, temperature=1.0)
DONE = [[Completion(token_ids=(1,), text="a", finish_reason="stop", logprobs=(0.0,))]]


class Engine:
    """Raises the given errors, one a call, then answers; or waits for ever."""

    def __init__(self, *errors: Exception, hangs: bool = False) -> None:
        self.errors, self.calls = list(errors), 0
        self.free = threading.Event()
        if not hangs:
            self.free.set()

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        assert self.free.wait(20)
        return DONE

    def update_weights(self, named_weights: object, *, version: int) -> dict[str, float]:
        self.version = version
        return {"sync/bytes": 0.0}

    def sleep(self, *, weights_follow: bool = False) -> None:
        """Nothing to do."""

    wake = close = sleep


def watched(engine: Engine, folder: Path, said: list[str], timeout_s: float = 60) -> WatchedBackend:
    def leave(message: str) -> None:
        said.append(message)
        engine.free.set()

    return WatchedBackend(
        engine, timeout_s=timeout_s, retries=1, folder=folder, say=said.append, leave=leave
    )


def test_a_call_that_fails_is_repeated(tmp_path: Path) -> None:
    said: list[str] = []
    engine = Engine(RuntimeError("CUDA error: misaligned address\nand more"))
    assert watched(engine, tmp_path, said).generate([], SAMPLING) == DONE
    assert said == [
        "rollout engine: generate failed (RuntimeError: CUDA error: misaligned address); once more"
    ]


def test_an_engine_that_is_dead_stops_the_run_in_one_line(tmp_path: Path) -> None:
    engine = Engine(ConnectionError("refused"), ConnectionError("refused"))
    with pytest.raises(RolloutError, match=r"failed in generate 2 times \(ConnectionError: refus"):
        watched(engine, tmp_path, []).generate([], SAMPLING)
    assert engine.calls == 2


@pytest.mark.parametrize("error", [ValueError("bad"), NonFiniteError("nan")])
def test_what_a_repetition_cannot_mend_is_not_repeated(tmp_path: Path, error: Exception) -> None:
    engine = Engine(error)
    with pytest.raises(type(error)):
        watched(engine, tmp_path, []).generate([], SAMPLING)
    assert engine.calls == 1


def test_an_engine_that_hangs_is_left_and_its_stacks_are_kept(tmp_path: Path) -> None:
    said: list[str] = []
    watched(Engine(hangs=True), tmp_path / "faults", said, timeout_s=0.2).generate([], SAMPLING)
    assert "did not answer generate within 0.2 s" in said[0]
    assert "--resume" in said[0]
    assert "in generate" in (tmp_path / "faults/rollout-hang.txt").read_text()


def test_a_quick_engine_is_never_left(tmp_path: Path) -> None:
    said: list[str] = []
    backend = watched(Engine(), tmp_path, said, timeout_s=0.2)
    backend.wake()
    assert backend.update_weights([], version=3) == {"sync/bytes": 0.0}
    backend.sleep()
    assert not threading.Event().wait(0.4)
    assert said == []
