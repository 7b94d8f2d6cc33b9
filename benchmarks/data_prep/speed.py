"""Seconds and peak memory of `adora prep`: pictures from parquet, and many rows of text.

    python benchmarks/data_prep/speed.py --geometry3k PATH/TO/numbered/folders --gsm8k train.jsonl

The inputs are made of real problems, repeated: 3,002 rows in the schema of `hiyouga/geometry3k`
(each picture gets a comment of its own, so that no two files are the same) and up to 100,000 rows
of GSM8K's. Each set is converted at two sizes, because memory must not grow with the rows. The
command runs as a process of its own; wall-clock time includes its start.
"""

from __future__ import annotations

import argparse
import itertools
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow
from pyarrow import parquet

from data_prep.sources import SOURCES

ROWS_PER_GROUP = 100
END_CHUNK_BYTES = 12
PROGRAM = """
import sys
from data_prep.cli import main
code = main(sys.argv[1:])
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
sys.exit(code)
"""
"""The command, then its peak resident memory; `getrusage` would count that of this process too."""


def commented(png: bytes, number: int) -> bytes:
    """The same picture as another file: a comment stands before its end."""
    chunk = b"tEXt" + f"Comment\0{number}".encode()
    framed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return png[:-END_CHUNK_BYTES] + framed + png[-END_CHUNK_BYTES:]


def geometry3k_rows(folder: Path) -> Iterator[dict[str, Any]]:
    known = list(SOURCES["geometry3k"].read(folder))
    for number, entry in enumerate(itertools.cycle(known)):
        problem = entry.problem
        yield {
            "images": [{"bytes": commented(entry.images[0], number), "path": None}],
            "problem": f"<image>{problem.question} ({number})",
            "answer": problem.answer,
        }


def write_parquet(file: Path, rows: Iterator[dict[str, Any]], count: int) -> None:
    first = pyarrow.Table.from_pylist(list(itertools.islice(rows, ROWS_PER_GROUP)))
    with parquet.ParquetWriter(file, first.schema) as writer:
        writer.write_table(first)
        for start in range(ROWS_PER_GROUP, count, ROWS_PER_GROUP):
            part = list(itertools.islice(rows, min(ROWS_PER_GROUP, count - start)))
            writer.write_table(pyarrow.Table.from_pylist(part, schema=first.schema))


def write_lines(file: Path, source: Path, count: int) -> None:
    lines = source.read_bytes().splitlines(keepends=True)
    with file.open("wb") as out:
        out.writelines(itertools.islice(itertools.cycle(lines), count))


def measure(name: str, file: Path, out: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, name, "--from", str(file), "--out", str(out)]
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said, peak_kb = process.stdout.read().strip().rsplit("\n", 1)
    _, code, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    if code:
        raise SystemExit(f"{name}: exit status {code}")
    print(
        f"{said.rsplit('/', 1)[-1]} ({file.stat().st_size / 1e6:.0f} MB in): {seconds:.1f} s, "
        f"{used.ru_utime + used.ru_stime:.1f} s of CPU, peak {int(peak_kb) / 1024:.0f} MB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--geometry3k", type=Path, required=True)
    parser.add_argument("--gsm8k", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (600, 3002):
            file = folder / f"train-{count}.parquet"
            write_parquet(file, geometry3k_rows(arguments.geometry3k), count)
            measure("geometry3k", file, folder / f"pictures-{count}")
        for count in (20_000, 100_000):
            file = folder / f"{count}" / "train.jsonl"
            file.parent.mkdir()
            write_lines(file, arguments.gsm8k, count)
            measure("gsm8k", file, folder / f"text-{count}")


if __name__ == "__main__":
    main()
