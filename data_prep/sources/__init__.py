"""Where problems come from: one small file per source, listed in `SOURCES`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from data_prep.sources import (
    contests,
    dapo,
    dynamath,
    geometry3k,
    geoqa,
    gsm8k,
    jsonl,
    kk,
    math500,
    mathverse,
    mathvision,
    mathvista,
    mmk12,
    mmmath,
    olympiadbench,
    pgps9k,
    unigeo,
    wemath,
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
    hub: str = ""
    """Name on the Hugging Face hub, where this project reads the set in that form."""
    evaluation_only: bool = False
    """A benchmark: `audit` finds a folder of it unfit to train on."""


SOURCES: dict[str, Source] = {
    "geometry3k": Source(
        read=geometry3k.read,
        licence=geometry3k.LICENCE,
        summary="3,002 geometry problems with diagrams (train, val, test)",
        needs="the original folders, the parquet files of hiyouga/geometry3k, or that hub name",
        hub="hiyouga/geometry3k",
    ),
    "mathvision": Source(
        read=mathvision.read,
        licence=mathvision.LICENCE,
        summary="MATH-Vision, 304 problems (testmini) or 3,040 (test); for evaluation",
        needs="the folder with testmini.jsonl or test.jsonl and images/, or the hub name",
        hub="MathLLMs/MathVision",
        evaluation_only=True,
    ),
    "gsm8k": Source(
        read=gsm8k.read,
        licence=gsm8k.LICENCE,
        summary="8,792 word problems, text only (train, test)",
        needs="train.jsonl or test.jsonl, the folder of both, or the hub name",
        hub="openai/gsm8k",
    ),
    "geoqa": Source(
        read=geoqa.read,
        licence=geoqa.LICENCE,
        summary="GeoQA, 5,010 geometry problems with diagrams, Chinese (8,031 English ones: R1-V)",
        needs="the folder with json/ and image/, the parquet files of R1-V, or their hub name",
        hub="leonardPKU/GEOQA_R1V_Train_8K",
    ),
    "geoqa_plus": Source(
        read=partial(geoqa.read, name="geoqa_plus"),
        licence=geoqa.LICENCE,
        summary="GeoQA+, 7,528 geometry problems with diagrams, Chinese, GeoQA's among them",
        needs="the folder with json/ and image/",
    ),
    "unigeo": Source(
        read=unigeo.read,
        licence=unigeo.LICENCE,
        summary="UniGeo's 4,998 calculations: GeoQA's problems in English (train, val, test)",
        needs="calculation_train.jsonl, _val, _test, converted from the pickles (docs/data.md)",
    ),
    "pgps9k": Source(
        read=pgps9k.read,
        licence=pgps9k.LICENCE,
        summary="9,022 geometry problems with 4,000 diagrams (train, test)",
        needs="the unpacked archive, with PGPS9K/ and Diagram/",
    ),
    "wemath": Source(
        read=wemath.read,
        licence=wemath.LICENCE,
        summary="We-Math, 1,740 visual problems with choices (testmini); for evaluation",
        needs="the folder with testmini.json and the pictures, or the hub name",
        hub="We-Math/We-Math",
        evaluation_only=True,
    ),
    "mmk12": Source(
        read=mmk12.read,
        licence=mmk12.LICENCE,
        summary="MMK12, 15,616 (train) and 2,000 (test) school problems with pictures",
        needs="the parquet files, or the hub name",
        hub="FanqingM/MMK12",
    ),
    "mmmath": Source(
        read=mmmath.read,
        licence=mmmath.LICENCE,
        summary="MM-Math, 5,929 middle-school problems with pictures and solutions (train)",
        needs="the folder with MM_Math.jsonl and the pictures",
    ),
    "dapo": Source(
        read=dapo.read,
        licence=dapo.LICENCE,
        summary="DAPO-Math-17k, about 17,400 competition problems, text only (train)",
        needs="dapo-math-17k.parquet, its folder, or the hub name",
        hub="BytedTsinghua-SIA/DAPO-Math-17k",
    ),
    **{
        name: Source(
            read=contests.reader(name),
            licence=contests.LICENCE,
            summary=f"{title}, {contests.SETS[name][0]} problems, text only; for evaluation",
            needs=f"{contests.SETS[name][1][0]}.jsonl, or a folder with it",
            evaluation_only=True,
        )
        for name, title in contests.TITLES.items()
    },
    "mathverse": Source(
        read=mathverse.read,
        licence=mathverse.LICENCE,
        summary="MathVerse, 788 problems in six versions; for evaluation",
        needs="the folder with testmini.json or testmini_text_only.json, and images/",
        evaluation_only=True,
    ),
    "mathvista": Source(
        read=mathvista.read,
        licence=mathvista.LICENCE,
        summary="MathVista testmini, 1,000 problems; evaluation only",
        needs="the folder with testmini.json and images/",
        evaluation_only=True,
    ),
    "dynamath": Source(
        read=dynamath.read,
        licence=dynamath.LICENCE,
        summary="DynaMath, 501 seeds in one or more variants; for evaluation",
        needs="the folder with dataset.json and image/, or the folder of several such",
        evaluation_only=True,
    ),
    "olympiadbench": Source(
        read=olympiadbench.read,
        licence=olympiadbench.LICENCE,
        summary="OlympiadBench, 675 English maths problems in text; for evaluation",
        needs="the file (.jsonl or .json), or the folder of one",
        evaluation_only=True,
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
        summary="any table, columns named with --map",
        needs="the .jsonl, .json, .parquet or .arrow file, a folder of them, or a hub name",
    ),
    "parquet": Source(
        read=jsonl.read,
        licence="that of your file (--licence)",
        summary="the same as jsonl",
        needs="the .jsonl, .json, .parquet or .arrow file, a folder of them, or a hub name",
    ),
}

__all__ = ["SOURCES", "BadRows", "Source"]
