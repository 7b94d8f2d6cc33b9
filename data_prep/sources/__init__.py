"""Where problems come from: one small file per source, listed in `SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_prep.sources import geometry3k, gsm8k, jsonl, mathvision
from data_prep.sources.rows import BadRows
from data_prep.writer import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source as the command line lists it."""

    read: Callable[..., Iterator[Entry]]
    """`read(path, *, split, limit, bad, ...)`; the source's own options follow as keywords."""
    licence: str
    summary: str
    needs: str
    """What `--from` must point to."""


SOURCES: dict[str, Source] = {
    "geometry3k": Source(
        read=geometry3k.read,
        licence=geometry3k.LICENCE,
        summary="3,002 geometry problems with diagrams (train, val, test)",
        needs="the original folders, the parquet files of hiyouga/geometry3k, or that hub name",
    ),
    "mathvision": Source(
        read=mathvision.read,
        licence=mathvision.LICENCE,
        summary="MATH-Vision, 304 problems (testmini) or 3,040 (test); for evaluation",
        needs="the folder with testmini.jsonl or test.jsonl and images/",
    ),
    "gsm8k": Source(
        read=gsm8k.read,
        licence=gsm8k.LICENCE,
        summary="8,792 word problems, text only (train, test)",
        needs="train.jsonl or test.jsonl, or the folder of both",
    ),
    "jsonl": Source(
        read=jsonl.read,
        licence="that of your file (--licence)",
        summary="any .jsonl file, columns named with --map",
        needs="the file",
    ),
}

__all__ = ["SOURCES", "BadRows", "Source"]
