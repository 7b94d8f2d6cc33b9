"""What every source shares: one loop over rows, and one policy for rows that cannot be used.

A source turns its files into (where, raw row) pairs and a function from a raw row to an `Entry`
that raises `RowError`. `convert` runs them: it checks images, refuses a second use of an id, and
either stops at the first bad row (naming it) or counts it by reason and goes on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adora_mm.data import image_fault, inside
from data_prep.writer import Entry

RawRows = Iterable[tuple[str, Any]]
"""Where a row stands (file and row, for messages) with the row as the source stores it."""


class RowError(ValueError):
    """A row that cannot become a problem."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        """A few words that a manifest can count, the same for all rows of this kind."""


@dataclass(slots=True, kw_only=True)
class BadRows:
    """Stop at bad rows, or drop and count them."""

    drop: bool = False
    dropped: Counter[str] = field(default_factory=Counter)
    """Reason -> rows, filled while the entries are read."""

    def add(self, where: str, error: RowError) -> None:
        """Count the row, or raise ValueError that says where it stands and what would skip it."""
        if not self.drop:
            raise ValueError(f"{where}: {error} (--on-bad drop skips such rows)") from error
        self.dropped[error.reason] += 1


def convert(
    rows: RawRows,
    to_entry: Callable[[Any], Entry | None],
    *,
    limit: int | None = None,
    bad: BadRows | None = None,
) -> Iterator[Entry]:
    """Entries of the usable rows, at most `limit`; bad rows go to `bad` (default: stop).

    A row that `to_entry` turns into None belongs to another split and is passed over.
    """
    bad = bad or BadRows()
    seen: set[str] = set()
    for where, row in rows:
        if limit is not None and len(seen) >= limit:
            return
        try:
            entry = to_entry(row)
            if entry is None:
                continue
            _check(entry, seen)
        except RowError as error:
            bad.add(where, error)
            continue
        seen.add(entry.problem.id)
        yield entry


def _check(entry: Entry, seen: set[str]) -> None:
    if entry.problem.id in seen:
        raise RowError("duplicate id", f"id {entry.problem.id!r} was used before")
    for number, data in enumerate(entry.images, start=1):
        fault = image_fault(data)
        if fault is not None:
            raise RowError("bad image", f"image {number}: {fault}")


def jsonl_rows(file: Path) -> Iterator[tuple[str, bytes]]:
    """The non-empty lines of a file. Raises ValueError when there is no such file."""
    if not file.is_file():
        raise ValueError(f"{file}: no such file")
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield f"{file}, row {number}", line


def parse_object(data: bytes) -> dict[str, Any]:
    """A JSON object, or RowError."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RowError("not JSON", f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise RowError("not JSON", "not a JSON object")
    return record


def text(record: Mapping[str, Any], column: str) -> str:
    """A required text; numbers become text (142.0 -> 142), anything else is a RowError."""
    if column not in record:
        there = ", ".join(sorted(record)) or "none"
        raise RowError(f"no {column}", f"no column {column!r}; columns there: {there}")
    value = record[column]
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value.strip():
        raise RowError(f"empty {column}", f"column {column!r} must be a text, not {value!r}")
    return value.strip()


def texts(record: Mapping[str, Any], column: str) -> tuple[str, ...]:
    """A list of texts; a missing column or null is an empty list."""
    values = record.get(column) or []
    if not isinstance(values, list):
        raise RowError(f"bad {column}", f"column {column!r} must be a list, not {values!r}")
    return tuple(text({column: value}, column) for value in values)


def kept(record: Mapping[str, Any], *columns: str) -> dict[str, Any]:
    """Those of the columns that hold a value, for the metadata."""
    return {name: record[name] for name in columns if record.get(name) is not None}


def image_bytes(folder: Path, name: str) -> bytes:
    """The encoded image `folder/name`, or RowError when it is missing or lies outside."""
    try:
        return inside(folder, name).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RowError("bad image", f"image {name!r} cannot be read ({reason})") from error
