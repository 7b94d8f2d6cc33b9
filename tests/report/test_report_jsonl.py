"""Reading files that a dying trainer, a full disk or a stranger may have left behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from adora_mm.report.jsonl import as_count, as_number, as_text, iter_lines, read_object, row_at


def read(path: Path) -> tuple[list[object], list[str]]:
    notes: list[str] = []
    return [dict(line.row) for line in iter_lines(path, notes)], notes


def test_a_missing_file_is_a_note(tmp_path: Path) -> None:
    assert read(tmp_path / "metrics.jsonl") == ([], ["metrics.jsonl is missing."])


def test_a_half_written_last_line_is_left_out_and_told(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3, "rew')
    rows, notes = read(path)
    assert rows == [{"step": 1}, {"step": 2}]
    assert notes == ["metrics.jsonl ends in the middle of a line; that line is left out."]


def test_a_complete_last_line_without_newline_counts(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n{"step": 2}')
    assert read(path) == ([{"step": 1}, {"step": 2}], [])


@pytest.mark.parametrize(
    "broken", [b"not json", b"[1, 2]", b"17", b"\xff\xfe\x00", b"[" * 100_000, b"null"]
)
def test_a_broken_line_in_the_middle_costs_only_itself(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / "evals.jsonl"
    path.write_bytes(b'{"step": 1}\n\n' + broken + b'\n{"step": 2}\n')
    rows, notes = read(path)
    assert rows == [{"step": 1}, {"step": 2}]
    assert notes == ["evals.jsonl: left out 1 line without a JSON object."]


def test_an_offset_finds_its_row_again(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "süß"}\n\nnonsense\n{"text": "b"}\n', encoding="utf-8")
    for line in iter_lines(path, []):
        assert row_at(path, line.offset) == line.row


def test_read_object_wants_an_object(tmp_path: Path) -> None:
    path, notes = tmp_path / "run.json", list[str]()
    assert read_object(path, notes) == {}
    path.write_text('["a"]')
    assert read_object(path, notes) == {}
    assert notes == [
        "run.json is missing.",
        "run.json is not a readable JSON object; it is left out.",
    ]


@pytest.mark.parametrize("value", [None, "1", True, [], float("nan"), float("inf"), 10**400])
def test_only_finite_numbers_are_numbers(value: object) -> None:
    assert as_number(value) is None


def test_counts_are_whole_and_not_negative() -> None:
    values: list[object] = [3, 3.0, 3.5, -1, 2**60]
    assert [as_count(value) for value in values] == [3, 3, None, None, None]


def test_texts_are_strings_or_numbers() -> None:
    values: list[object] = ["a", 7, 0.5, None, {}, True]
    assert [as_text(value) for value in values] == [
        "a",
        "7",
        "0.5",
        "",
        "",
        "",
    ]
