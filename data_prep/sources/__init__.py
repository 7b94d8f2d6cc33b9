"""Where problems come from: one small file per source, listed in `SOURCES`."""

from __future__ import annotations

from data_prep.sources import (
    competition_math,
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
from data_prep.sources.source import Source

SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        geometry3k.SOURCE,
        mathvision.SOURCE,
        gsm8k.SOURCE,
        geoqa.SOURCE,
        geoqa.PLUS,
        unigeo.SOURCE,
        pgps9k.SOURCE,
        wemath.SOURCE,
        mmk12.SOURCE,
        mmmath.SOURCE,
        dapo.SOURCE,
        *contests.SOURCES,
        mathverse.SOURCE,
        mathvista.SOURCE,
        dynamath.SOURCE,
        olympiadbench.SOURCE,
        competition_math.SOURCE,
        math500.SOURCE,
        kk.SOURCE,
        jsonl.SOURCE,
        jsonl.PARQUET,
    )
}

__all__ = ["SOURCES", "BadRows", "Source"]
