"""Scores with their uncertainty; pure functions of counts, tested against hand-made numbers.

Rows are problems, columns their samples, in order. A sample without an answer (`error`) is None and
leaves every count.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from adora_mm.metrics.intervals import wilson_interval

RESAMPLES = 5000
SEED = 0
Samples = Sequence[Sequence[bool | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """An accuracy with its 95 % interval."""

    correct: int
    n: int
    """Answers that were scored."""
    accuracy: float | None
    """None when nothing was scored."""
    low: float | None
    high: float | None
    interval: str
    """`wilson`, `clustered bootstrap`, or `none`."""


def score(samples: Samples, clusters: Sequence[str]) -> Score:
    """Accuracy over all samples; the interval takes clusters, not samples, as independent.

    One sample per problem and a cluster for each gives Wilson's interval; everything else the
    percentile bootstrap over clusters (`clusters[i]` is that of problem i). Where every answer is
    right, or every one wrong, a bootstrap has no width: then Wilson's over the clusters.
    """
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for row, cluster in zip(samples, clusters, strict=True):
        known = [value for value in row if value is not None]
        right[cluster] += sum(known)
        total[cluster] += len(known)
    names = [name for name, count in total.items() if count]
    n, correct = sum(total.values()), sum(right.values())
    if n == 0:
        return Score(correct=0, n=0, accuracy=None, low=None, high=None, interval="none")
    independent = all(total[name] == 1 for name in names)
    if independent or correct in (0, n):
        low, high = wilson_interval(len(names) if correct == n else correct, len(names))
        return Score(
            correct=correct, n=n, accuracy=correct / n, low=low, high=high, interval="wilson"
        )
    counts = np.array([[right[name], total[name]] for name in names], dtype=np.float64)
    low, high = percentiles(_resampled_ratio(counts))
    return Score(
        correct=correct,
        n=n,
        accuracy=correct / n,
        low=low,
        high=high,
        interval="clustered bootstrap",
    )


def _resampled_ratio(counts_C2: np.ndarray) -> np.ndarray:
    """Sum of the first column over sum of the second, for `RESAMPLES` draws of whole clusters."""
    return np.concatenate(
        [(w @ counts_C2[:, 0]) / (w @ counts_C2[:, 1]) for w in _weights(len(counts_C2))]
    )


def _weights(clusters: int) -> list[np.ndarray]:
    """How often each cluster is drawn, in lots that fit into memory; seeded."""
    rng = np.random.default_rng(SEED)
    lot = max(1, min(RESAMPLES, 4_000_000 // clusters))
    sizes = [lot] * (RESAMPLES // lot) + ([RESAMPLES % lot] if RESAMPLES % lot else [])
    shares = np.full(clusters, 1 / clusters)
    return [rng.multinomial(clusters, shares, size=size).astype(np.float64) for size in sizes]


def percentiles(values: np.ndarray) -> tuple[float, float]:
    """The central 95 %."""
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def pass_at_k(samples: Samples, k: int) -> float | None:
    """Chance that one of k samples is right, unbiased: 1 - C(n-c, k) / C(n, k) per problem.

    Problems with fewer than k answered samples are left out; None when all are. Source: Chen et
    al. 2021 (arXiv 2107.03374), equation 1.
    """
    chances = []
    for row in samples:
        known = [value for value in row if value is not None]
        if len(known) >= k:
            wrong = len(known) - sum(known)
            chances.append(1 - math.comb(wrong, k) / math.comb(len(known), k))
    return sum(chances) / len(chances) if chances else None


def average_at_k(samples: Samples, k: int) -> float | None:
    """Mean over problems of the accuracy of their first k samples; None without any answer."""
    means = []
    for row in samples:
        known = [value for value in row[:k] if value is not None]
        if known:
            means.append(sum(known) / len(known))
    return sum(means) / len(means) if means else None


def majority_at_k(samples: Samples, votes: Sequence[Sequence[int | None]], k: int) -> float | None:
    """Share of problems whose most frequent answer among the first k samples is right.

    Votes are class numbers, so that equal values written differently vote together; of classes with
    equally many votes the one seen first wins; answers that could not be read do not vote.
    """
    outcomes = []
    for row, classes in zip(samples, votes, strict=True):
        if all(value is None for value in row[:k]):
            continue
        winner = majority(classes[:k])
        outcomes.append(winner is not None and bool(row[list(classes).index(winner)]))
    return sum(outcomes) / len(outcomes) if outcomes else None


def majority(votes: Sequence[int | None]) -> int | None:
    """The class with most votes; of several, the first in order."""
    counts = Counter(vote for vote in votes if vote is not None)
    return max(counts, key=lambda vote: counts[vote]) if counts else None


def worst_case(samples: Samples, clusters: Sequence[str]) -> float | None:
    """Share of clusters with every problem right, for each sample, then averaged over samples.

    A cluster with an unanswered problem is left out of that sample's share.
    """
    shares = []
    for sample in range(max((len(row) for row in samples), default=0)):
        groups: dict[str, list[bool | None]] = {}
        for row, cluster in zip(samples, clusters, strict=True):
            groups.setdefault(cluster, []).append(row[sample] if sample < len(row) else None)
        whole = [all(values) for values in groups.values() if None not in values]
        if whole:
            shares.append(sum(whole) / len(whole))
    return sum(shares) / len(shares) if shares else None


# --------------------------------------------------------------------------------- two runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Second run minus first, on the problems that both answered."""

    problems: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    """95 % of the paired bootstrap over clusters."""
    only_first: int | None
    """Problems that only the first run has right; None with several samples per problem."""
    only_second: int | None
    p_mcnemar: float | None
    """Two-sided exact McNemar test; None with several samples per problem."""


def compare(
    first: Mapping[str, float], second: Mapping[str, float], clusters: Mapping[str, str]
) -> Difference:
    """Paired comparison of mean scores by problem.

    McNemar's test needs one right-or-wrong outcome per problem: it is given when all scores are 0
    or 1 (with independent problems; clusters make it too optimistic, the bootstrap not).
    Raises ValueError when the runs share no answered problem.
    """
    shared = [problem for problem in first if problem in second]
    if not shared:
        raise ValueError("the two runs have no answered problem in common")
    gains: dict[str, list[float]] = {}
    for problem in shared:
        cluster = gains.setdefault(clusters[problem], [0.0, 0.0])
        cluster[0] += second[problem] - first[problem]
        cluster[1] += 1
    low, high = percentiles(_resampled_ratio(np.array(list(gains.values()))))
    binary = all(value in (0, 1) for run in (first, second) for value in (run[p] for p in shared))
    lost = sum(first[p] > second[p] for p in shared) if binary else None
    won = sum(second[p] > first[p] for p in shared) if binary else None
    return Difference(
        problems=len(shared),
        first=sum(first[p] for p in shared) / len(shared),
        second=sum(second[p] for p in shared) / len(shared),
        difference=sum(second[p] - first[p] for p in shared) / len(shared),
        low=low,
        high=high,
        only_first=lost,
        only_second=won,
        p_mcnemar=None if lost is None or won is None else mcnemar(lost, won),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p-value that both kinds of flip are equally likely (McNemar 1947)."""
    flips, fewer = only_first + only_second, min(only_first, only_second)
    tail = sum(math.comb(flips, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**flips)) if flips else 1.0
