"""The metrics file: whole rows, appended, cut where a resumed run goes on."""

from __future__ import annotations

import json
import math
import resource
import signal
from pathlib import Path

import pytest

from adora_mm.metrics.jsonl import JsonlWriter


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_rows_are_on_disk_at_once(tmp_path: Path) -> None:
    writer = JsonlWriter(tmp_path / "sub/m.jsonl", keep_until_step=-1)
    writer.write({"step": 1, "a": 0.5})
    assert steps(tmp_path / "sub/m.jsonl") == [1]


def test_values_that_json_lacks_become_null(tmp_path: Path) -> None:
    writer = JsonlWriter(tmp_path / "m.jsonl", keep_until_step=-1)
    writer.write({"step": 1, "a": math.nan, "b": [math.inf, {"c": -math.inf}]})
    row = json.loads((tmp_path / "m.jsonl").read_text())
    assert row == {"step": 1, "a": None, "b": [None, {"c": None}]}


def test_a_resumed_run_cuts_later_rows_and_a_half_line(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n{"step": 4, "x"')
    writer = JsonlWriter(path, keep_until_step=2)
    writer.write({"step": 3})
    assert steps(path) == [1, 2, 3]


def test_reopening_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 0}\n{"step": 1}\n')
    JsonlWriter(path, keep_until_step=1).write({"step": 2})
    assert steps(path) == [0, 1, 2]


def test_other_line_separators_inside_a_text_do_not_end_a_row(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    JsonlWriter(path, keep_until_step=-1).write({"step": 1, "text": "a\x85b\u2028c"})
    JsonlWriter(path, keep_until_step=1).write({"step": 2})
    lines = [line for line in path.read_bytes().split(b"\n") if line]
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_a_full_disk_names_the_file_and_the_way_on(tmp_path: Path) -> None:
    """The kernel refuses to let the file grow, as a full disk does."""
    path = tmp_path / "m.jsonl"
    writer = JsonlWriter(path, keep_until_step=-1)
    writer.write({"step": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, before[1]))
    try:
        with pytest.raises(OSError, match=r"m\.jsonl: cannot be written .*--resume"):
            writer.write({"step": 2, "text": "x" * 100})
        writer.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    JsonlWriter(path, keep_until_step=1).write({"step": 2})
    assert steps(path) == [1, 2]
