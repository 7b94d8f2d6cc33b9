"""`responses.jsonl`: each sample exactly once, whatever is killed or runs at the same time."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from evaluation.responses import Response, ResponseFile, read_responses, sample_id


def row(problem: str, sample: int = 0, text: str = "4", reason: str = "stop") -> Response:
    return Response(
        id=sample_id(problem, sample),
        problem=problem,
        sample=sample,
        text=text,
        finish_reason=reason,
        num_tokens=1,
        error="HTTP 500" if reason == "error" else "",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "responses.jsonl"


def test_rows_come_back_as_they_were_written(path: Path) -> None:
    hostile = row("b", text='line\nbreak, \u2028, "quotes", \x00 and \\boxed{1}')
    ResponseFile(path, "run").append([row("a"), hostile])
    assert read_responses(path, "run") == {"a#0": row("a"), "b#0": hostile}


def test_an_answered_sample_is_not_written_again(path: Path) -> None:
    ResponseFile(path, "run").append([row("a", text="first")])
    again = ResponseFile(path, "run")
    assert again.answered == {"a#0"}
    again.append([row("a", text="second"), row("b")])
    assert path.read_bytes().count(b"\n") == 2
    assert read_responses(path, "run")["a#0"].text == "first"


def test_a_sample_twice_in_one_lot_is_written_once(path: Path) -> None:
    ResponseFile(path, "run").append([row("a"), row("a")])
    assert path.read_bytes().count(b"\n") == 1


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_line_that_a_kill_cut_short_is_removed(path: Path, cut: int) -> None:
    ResponseFile(path, "run").append([row("a"), row("b")])
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut])
    assert set(read_responses(path, "run")) == {"a#0"}
    resumed = ResponseFile(path, "run")
    assert resumed.answered == {"a#0"}
    resumed.append([row("b"), row("c")])
    assert set(read_responses(path, "run")) == {"a#0", "b#0", "c#0"}
    assert path.read_bytes().startswith(whole)


def test_a_failure_is_tried_again_and_replaced(path: Path) -> None:
    ResponseFile(path, "run").append([row("a", text="", reason="error")])
    resumed = ResponseFile(path, "run")
    assert resumed.answered == set()
    assert read_responses(path, "run")["a#0"].finish_reason == "error"
    resumed.append([row("a")])
    assert read_responses(path, "run")["a#0"] == row("a")
    ResponseFile(path, "run").append([row("a", reason="error")])
    assert read_responses(path, "run")["a#0"] == row("a"), "an answer is never replaced"


def test_what_another_process_wrote_meanwhile_counts(path: Path) -> None:
    one, two = ResponseFile(path, "run"), ResponseFile(path, "run")
    one.append([row("a", text="of one")])
    two.append([row("a", text="of two"), row("b")])
    assert two.answered == {"a#0", "b#0"}
    assert read_responses(path, "run")["a#0"].text == "of one"


def test_many_writers_at_once_lose_and_repeat_nothing(path: Path) -> None:
    names = [f"p{i}" for i in range(40)]

    def write() -> None:
        own = ResponseFile(path, "run")
        for name in names:
            own.append([row(name, text="x" * 3000)])

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes().count(b"\n") == len(names)
    assert set(read_responses(path, "run")) == {sample_id(name, 0) for name in names}


def test_rows_of_another_run_are_refused(path: Path) -> None:
    ResponseFile(path, "run").append([row("a")])
    with pytest.raises(ValueError, match=r"row 1: is of another run .* choose another --out"):
        ResponseFile(path, "other")
    with pytest.raises(ValueError, match="another run"):
        read_responses(path, "other")


@pytest.mark.parametrize("line", [b"{}\n", b"[1]\n", b"not json\n", b'{"run": "run"}\n'])
def test_a_damaged_row_is_named(path: Path, line: bytes) -> None:
    path.write_bytes(line)
    with pytest.raises(ValueError, match="row 1: not a response"):
        read_responses(path, "run")


def test_no_file_says_what_to_run(path: Path) -> None:
    with pytest.raises(ValueError, match="run adora eval generate"):
        read_responses(path, "run")


def test_a_full_disk_is_an_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    file = ResponseFile(path, "run")
    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OSError, match="No space"):
        file.append([row("a")])
    assert file.answered == set()
