"""Files that are whole or not there: flush to disk, then rename."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old or the new content, never half of it.

    Lone surrogates, which UTF-8 cannot carry, become question marks. Raises OSError when the disk
    is full; the old file is then untouched and nothing is left beside it.
    """
    with written_atomically(path) as write:
        write(text)


@contextmanager
def written_atomically(path: Path) -> Iterator[Callable[[str], None]]:
    """`write_atomically` in parts: a function that adds text; the file is there at the end.

    An error inside the block leaves the old file untouched and nothing beside it.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            yield lambda text: _write(file, text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp makes it private
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _write(file: BinaryIO, text: str) -> None:
    file.write(text.encode("utf-8", errors="replace"))


def sync(path: Path) -> None:
    """Wait until a file's content, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """`sync` every file and folder below `folder`, and the folder itself."""
    for path in folder.rglob("*"):
        sync(path)
    sync(folder)
