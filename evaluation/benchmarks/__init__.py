"""The benchmarks: one small file per family, listed in `BENCHMARKS` by name."""

from __future__ import annotations

from evaluation.benchmarks import (
    aime,
    amc,
    dynamath,
    folder,
    geometry3k,
    geoqa,
    gsm8k,
    kk,
    math500,
    mathverse,
    mathvision,
    mathvista,
    olympiadbench,
    wemath,
)
from evaluation.benchmarks.base import PROMPTS, Benchmark

_FAMILIES = (
    mathvision,
    mathverse,
    mathvista,
    dynamath,
    wemath,
    geometry3k,
    geoqa,
    olympiadbench,
    math500,
    gsm8k,
    aime,
    amc,
    kk,
    folder,
)
BENCHMARKS: dict[str, Benchmark] = {
    benchmark.name: benchmark for family in _FAMILIES for benchmark in family.BENCHMARKS
}


def get_benchmark(name: str) -> Benchmark:
    """The benchmark of a name; raises ValueError that lists the names."""
    if name not in BENCHMARKS:
        raise ValueError(f"no benchmark {name!r}; there are: {', '.join(BENCHMARKS)}")
    return BENCHMARKS[name]


__all__ = ["BENCHMARKS", "PROMPTS", "Benchmark", "get_benchmark"]
