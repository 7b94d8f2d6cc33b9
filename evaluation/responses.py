"""`responses.jsonl`: one row per sample, appended for ever, each sample answered exactly once.

Every append holds the file's lock, cuts off a last line that a killed process left unfinished,
looks for rows that other processes wrote since, and adds only what is missing. A failed sample
(`error`) does not count as answered: the next run tries it again, and its answer then replaces the
failure. Rows carry the identity of their run, so that two runs in one file are noticed.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One sample as the engine returned it."""

    id: str
    """`problem#sample`; the same whatever the number of workers."""
    problem: str
    sample: int
    text: str
    finish_reason: str
    """`stop`, `length` (cut off at the token limit), `abort`, or `error` (no answer came)."""
    num_tokens: int | None
    """None when the engine does not say."""
    error: str = ""
    """One line, for `error` only."""


def sample_id(problem_id: str, sample: int) -> str:
    """The id of one sample of a problem."""
    return f"{problem_id}#{sample}"


class ResponseFile:
    """Append-only access for one process of possibly several."""

    def __init__(self, path: Path, run: str) -> None:
        self.path, self.run = path, run
        self.answered: set[str] = set()
        """Ids with an answer, as of the last look at the file."""
        self._offset = self._lines = 0
        with self._locked() as descriptor:
            self._catch_up(descriptor)

    def append(self, rows: Sequence[Response]) -> None:
        """Add rows whose ids are not answered yet; on the disk when this returns."""
        with self._locked() as descriptor:
            self._catch_up(descriptor)
            fresh = {row.id: row for row in rows if row.id not in self.answered}
            lines = "".join(_line(row, self.run) for row in fresh.values())
            if not lines:
                return
            data = lines.encode("utf-8", errors="replace")
            while data:
                data = data[os.write(descriptor, data) :]
            os.fsync(descriptor)
            self._catch_up(descriptor)

    def _locked(self) -> _Locked:
        return _Locked(self.path)

    def _catch_up(self, descriptor: int) -> None:
        """Read what came since the last look, and cut off an unfinished last line."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    os.ftruncate(descriptor, self._offset)
                    return
                self._offset, self._lines = self._offset + len(line), self._lines + 1
                row = _parse(line, self.path, self._lines, self.run)
                if row is not None and row.finish_reason != "error":
                    self.answered.add(row.id)


class _Locked:
    """The file, open for appending and locked against other processes."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)

    def __enter__(self) -> int:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self._descriptor

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def read_responses(path: Path, run: str) -> dict[str, Response]:
    """The last row of each id. Raises ValueError for a missing file and for rows of another run.

    An unfinished last line, of a run that was killed or goes on, is left out.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no responses; run adora eval generate first")
    found: dict[str, Response] = {}
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            row = _parse(line, path, number, run) if line.endswith(b"\n") else None
            if row is None:
                continue
            if row.id not in found or found[row.id].finish_reason == "error":
                found[row.id] = row
    return found


def _line(row: Response, run: str) -> str:
    return json.dumps({"run": run, **asdict(row)}, ensure_ascii=False) + "\n"


def _parse(line: bytes, path: Path, number: int, run: str) -> Response | None:
    """The row of a line; None for an empty one."""
    if not line.strip():
        return None
    try:
        record: Mapping[str, Any] = json.loads(line)
        row = Response(**{key: value for key, value in record.items() if key != "run"})
    except (ValueError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}, row {number}: not a response ({error})") from error
    if record.get("run") != run:
        raise ValueError(
            f"{path}, row {number}: is of another run ({record.get('run')}, this is {run}); "
            "results of different settings are not mixed: choose another --out"
        )
    return row
