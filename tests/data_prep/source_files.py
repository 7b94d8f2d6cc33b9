"""Small files in the forms that data sets are published in."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw

from data_prep.writer import Entry


def ids(entries: Iterable[Entry]) -> list[str]:
    return [entry.problem.id for entry in entries]


def png(size: tuple[int, int] = (24, 24), ink: int = 0) -> bytes:
    """A white square with a line whose place depends on `ink`, so that pictures differ."""
    stream = io.BytesIO()
    image = Image.new("RGB", size, "white")
    ImageDraw.Draw(image).line((0, ink % size[1], size[0], size[1] - 1), fill="black")
    image.save(stream, "PNG")
    return stream.getvalue()


def write_jsonl(file: Path, rows: Sequence[dict[str, Any] | str]) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows))
    return file


def write_json(file: Path, content: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))
    return file


def write_parquet(file: Path, rows: Sequence[dict[str, Any]]) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(list(rows)), file)
    return file


def write_arrow(file: Path, rows: Sequence[dict[str, Any]], *, stream: bool) -> Path:
    """As the cache of `datasets` writes it (a stream), or as an arrow file."""
    pyarrow = pytest.importorskip("pyarrow")
    file.parent.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist(list(rows))
    make = pyarrow.ipc.new_stream if stream else pyarrow.ipc.new_file
    with make(str(file), table.schema) as writer:
        writer.write_table(table)
    return file
