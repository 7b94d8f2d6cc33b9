"""Append-only JSON lines: a row is on disk when `write` returns; a resumed run cuts the tail."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from adora_mm.files import write_atomically


class JsonlWriter:
    """Rows of one file, each with a `step`."""

    def __init__(self, path: Path, *, keep_until_step: int) -> None:
        """Open for appending; later rows and a half-written last line are dropped."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            _truncate(path, keep_until_step)
        # A lone surrogate in somebody's data must not stop a run.
        self._file = path.open("a", encoding="utf-8", errors="replace")

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; NaN and infinities become null, since JSON has no word for them.

        Raises OSError that names the file when the disk is full; a resumed run cuts the half row.
        """
        try:
            self._file.write(json.dumps(_plain(row), ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise OSError(
                f"{self.path}: cannot be written ({error.strerror}); is the disk full? Free some "
                "and go on with --resume"
            ) from error

    def close(self) -> None:
        # What a full disk did not take must not raise again; the row is told as lost already.
        with contextlib.suppress(OSError):
            self._file.close()


def _truncate(path: Path, last_step: int) -> None:
    kept = []
    # Only \n ends a row: texts may hold other line separators of Unicode.
    for line in path.read_bytes().split(b"\n"):
        if not line:
            continue
        try:
            row = json.loads(line)
        except ValueError:
            break  # a line that was being written when the run was killed
        if row["step"] <= last_step:
            kept.append(line)
    write_atomically(path, b"".join(line + b"\n" for line in kept).decode("utf-8", "replace"))


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
