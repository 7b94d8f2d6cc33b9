"""What people see: plain lines in a file, bars and tables on a terminal."""

from __future__ import annotations

import pytest

from adora_mm.metrics import console as console_module
from adora_mm.metrics.console import PHASES, ConsoleLog, clock
from adora_mm.validation import EvalResult

METRICS = {"reward/accuracy": 0.5, "reward/mean": 0.55, "rollout/length_mean": 12.0}


def result(step: int, mode: str, correct: int) -> EvalResult:
    return EvalResult(
        step=step, name="val", mode=mode, n=10, correct=correct, accuracy=correct / 10, low=0.1,
        high=0.9, mean_tokens=5.0, truncated_frac=0.0, unparsed_frac=0.1, timeout_frac=0.0,
    )  # fmt: skip


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until its only value is changed."""
    time = [100.0]
    monkeypatch.setattr(console_module.time, "monotonic", lambda: time[0])
    return time


def run_two_steps(log: ConsoleLog, now: list[float]) -> None:
    """Steps of 10 s and an evaluation of 20 s after the first."""
    log.phase("evaluate")
    now[0] += 50
    for step in (1, 2):
        for name in ("rollout", "reward", "update"):
            log.phase(name)
            now[0] += 10 / 3
        log.step(step, METRICS, 10.0)
        if step == 1:
            log.phase("evaluate")
            now[0] += 20
    log.close()


def test_a_file_gets_a_line_per_step_with_the_time_left(
    capsys: pytest.CaptureFixture[str], now: list[float]
) -> None:
    run_two_steps(ConsoleLog(enabled=True, total_steps=4), now)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "step 1/4  acc 0.50  reward 0.55  len 12.0  10.0 s  ETA 0:30"
    # two steps took 40 s with the evaluation between them; that before the first is not counted
    assert lines[1].endswith("ETA 0:40")
    assert len(lines) == 2, "no bars"


def test_a_terminal_gets_bars_for_the_run_and_the_phase(
    capsys: pytest.CaptureFixture[str], now: list[float]
) -> None:
    log = ConsoleLog(enabled=True, total_steps=4, terminal=True)
    run_two_steps(log, now)
    log.phase("rollout")
    now[0] += 1
    assert log._bars is not None
    log._bars._progress.refresh()
    log.close()
    text = capsys.readouterr().out
    assert "step 2 of 4" in text
    assert "0:40 left" in text
    assert PHASES["rollout"] in text
    assert "0:01, 0:02 left" in text, "the rollouts took 3.3 s last time"


@pytest.mark.parametrize(
    "options", [{"enabled": False}, {"enabled": True, "progress": False}], ids=["rank 1", "off"]
)
def test_no_bars_on_other_ranks_or_when_switched_off(options: dict, now: list[float]) -> None:
    log = ConsoleLog(total_steps=4, terminal=True, **options)
    assert log._bars is None
    run_two_steps(log, now)


def test_an_evaluation_is_a_table_on_a_terminal_and_lines_in_a_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    before = [result(0, "greedy", 2), result(0, "sampled", 3)]
    now = [result(5, "greedy", 6), result(5, "sampled", 1)]
    ConsoleLog(enabled=True, total_steps=4, terminal=True).evaluation(now, [*before, *now])
    table = capsys.readouterr().out
    assert "step 5" in table
    assert "6 of 10" in table
    assert "+40.0 points" in table
    assert "-20.0 points" in table
    ConsoleLog(enabled=True, total_steps=4).evaluation(now, [*before, *now])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("  eval val greedy: 60.0% of 10 [10.0%, 90.0%]")
    assert len(lines) == 2


def test_times_read_well() -> None:
    assert [clock(s) for s in (9.9, 250, 3723)] == ["0:09", "4:10", "1:02:03"]
