"""Fixtures of the report's tests; the run folder itself is written by `report_run.py`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `report_run` is found in every import mode

from report_run import write_run


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run of 60 steps."""
    return write_run(tmp_path / "run")


@pytest.fixture
def append() -> Callable[[Path, str], None]:
    """Append raw text to a file, as a trainer that dies while writing would."""

    def _append(path: Path, text: str) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)

    return _append
