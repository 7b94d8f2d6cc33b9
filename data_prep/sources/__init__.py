"""Where problems come from: one small file per source, listed in `SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from data_prep.sources import (
    dynamath,
    geometry3k,
    gsm8k,
    jsonl,
    kk,
    math500,
    mathverse,
    mathvision,
    mathvista,
    olympiadbench,
)
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
    "mathverse": Source(
        read=mathverse.read,
        licence=mathverse.LICENCE,
        summary="MathVerse, 788 problems in six versions; for evaluation",
        needs="the folder with testmini.json or testmini_text_only.json, and images/",
    ),
    "mathvista": Source(
        read=mathvista.read,
        licence=mathvista.LICENCE,
        summary="MathVista testmini, 1,000 problems; evaluation only",
        needs="the folder with testmini.json and images/",
    ),
    "dynamath": Source(
        read=dynamath.read,
        licence=dynamath.LICENCE,
        summary="DynaMath, 501 seeds in one or more variants; for evaluation",
        needs="the folder with dataset.json and image/, or the folder of several such",
    ),
    "olympiadbench": Source(
        read=olympiadbench.read,
        licence=olympiadbench.LICENCE,
        summary="OlympiadBench, 675 English maths problems in text; for evaluation",
        needs="the file (.jsonl or .json), or the folder of one",
    ),
    "math": Source(
        read=math500.read,
        licence=math500.LICENCE,
        summary="MATH-500, text only; for evaluation",
        needs="math500.jsonl or its folder",
    ),
    "kk": Source(
        read=kk.read,
        licence=kk.LICENCE,
        summary="Knights and Knaves, 3 to 7 people (train 4,500, test 500), text only",
        needs="the folder with 3ppl_test.parquet ...",
    ),
    "jsonl": Source(
        read=jsonl.read,
        licence="that of your file (--licence)",
        summary="any .jsonl file, columns named with --map",
        needs="the file",
    ),
}

__all__ = ["SOURCES", "BadRows", "Source"]
