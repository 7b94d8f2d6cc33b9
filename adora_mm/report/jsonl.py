"""Forgiving readers for the files of a run that may still be going.

A trainer that was stopped leaves a half-written last line; a file may be missing, or hold a line
that is not what it should be. Readers here return what is readable together with notes, one
sentence each, about what was left out. They never raise because of the content of a file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adora_mm.report.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One readable row of a JSON-lines file and where it starts."""

    offset: int
    """Bytes from the start of the file."""
    row: Mapping[str, Any]


def parse_object(raw: bytes) -> Mapping[str, Any] | None:
    """The JSON object in `raw`, or None when it is anything else."""
    try:
        value = json.loads(raw.decode("utf-8", errors="replace"))
    except (ValueError, RecursionError):  # RecursionError: absurdly nested text
        return None
    return value if isinstance(value, dict) else None


def iter_lines(path: Path, notes: list[str]) -> Iterator[Line]:
    """Yield the readable rows of `path`; what is not readable is told in `notes`.

    The file is read line by line, so a samples file may be larger than memory.
    """
    if not path.is_file():
        notes.append(f"{path.name} is missing.")
        return
    broken, ends_with_newline, last_broken = 0, True, False
    offset = 0
    with path.open("rb") as file:
        for raw in file:
            start, offset = offset, offset + len(raw)
            ends_with_newline = raw.endswith(b"\n")
            if not raw.strip():
                continue
            row = parse_object(raw)
            last_broken = row is None
            broken += last_broken
            if row is not None:
                yield Line(offset=start, row=row)
    if last_broken and not ends_with_newline:
        broken -= 1
        notes.append(f"{path.name} ends in the middle of a line; that line is left out.")
    if broken:
        notes.append(f"{path.name}: left out {counted(broken, 'line')} without a JSON object.")


def row_at(path: Path, offset: int) -> Mapping[str, Any] | None:
    """Read again the row that `iter_lines` found at `offset`."""
    with path.open("rb") as file:
        file.seek(offset)
        return parse_object(file.readline())


def read_object(path: Path, notes: list[str]) -> Mapping[str, Any]:
    """The JSON object in `path`; empty, with a note, when missing or unreadable."""
    if not path.is_file():
        notes.append(f"{path.name} is missing.")
        return {}
    value = parse_object(path.read_bytes())
    if value is None:
        notes.append(f"{path.name} is not a readable JSON object; it is left out.")
        return {}
    return value


def as_number(value: object) -> float | None:
    """`value` as a finite float, or None."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:  # a JSON integer beyond the range of a float
        return None
    return number if math.isfinite(number) else None


def as_count(value: object) -> int | None:
    """`value` as a whole number from 0 to 2**53, or None."""
    number = as_number(value)
    if number is None or not 0 <= number <= 2**53 or number != int(number):
        return None
    return int(number)


def as_text(value: object) -> str:
    """`value` when it is a string or number, else the empty string."""
    if isinstance(value, str):
        return value
    number = as_number(value)
    return "" if number is None else f"{number:g}" if isinstance(value, float) else str(value)


def as_mapping(value: object) -> Mapping[str, Any]:
    """`value` when it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}
