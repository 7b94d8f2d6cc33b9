"""Questions as tokens, and pairs of questions that say nearly the same.

Two questions are near when the Jaccard index of their three-token shingles is at least `NEAR` and
they hold the same numbers: the same wording with other numbers is another problem. At the limit one
word of twenty may differ. Candidates come from MinHash with banding (Broder 1997; Leskovec et al.,
Mining of Massive Datasets, ch. 3): 96 minima in 24 bands of 4 find a pair at the limit with
probability 0.99. Every candidate is then compared exactly.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np

NEAR = 0.65
SHINGLE = 3
BANDS, ROWS = 24, 4
CROWD = 64
"""In a band's bucket with more members, each is compared with the first of them only."""
_PRIME = np.uint64((1 << 31) - 1)
_TOKEN = re.compile(r"\d+(?:\.\d+)?|[\u3040-\u9fff]|[^\W\d_]+|[-+*/^=<>]")
_SKIPPED = re.compile(
    r"\\(?:left|right|displaystyle|text|mathrm|mathbf|textbf|overline|quad|qquad)\b"
)


def tokens_of(text: str) -> tuple[str, ...]:
    """Words, numbers and operators in lower case; spacing, brackets and LaTeX dress left out."""
    return tuple(_TOKEN.findall(_SKIPPED.sub(" ", text).lower()))


def numbers_of(tokens: Sequence[str]) -> Counter[str]:
    return Counter(token for token in tokens if token[0].isdigit())


def wording_of(tokens: Sequence[str]) -> str:
    """The tokens with every number masked: equal for problems that differ in their values only."""
    return " ".join("#" if token[0].isdigit() else token for token in tokens)


def shingles_of(tokens: Sequence[str]) -> frozenset[tuple[str, ...]]:
    size = min(SHINGLE, len(tokens))
    return frozenset(tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1))


def say_the_same(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether two token lists are near: the same numbers, and most shingles shared."""
    if tuple(one) == tuple(other):
        return True
    if numbers_of(one) != numbers_of(other):
        return False
    left, right = shingles_of(one), shingles_of(other)
    return len(left & right) >= NEAR * len(left | right)


def near_texts(texts: Sequence[Sequence[str]]) -> Iterator[tuple[int, int]]:
    """Index pairs (i < j) of different token lists that say the same, each pair once."""
    signatures = _signatures(texts)
    seen: set[tuple[int, int]] = set()
    for band in range(BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for index, values in enumerate(signatures[:, band]):
            buckets[values.tobytes()].append(index)
        for members in buckets.values():
            for pair in _candidates(members):
                if pair not in seen:
                    seen.add(pair)
                    one, other = (texts[index] for index in pair)
                    if tuple(one) != tuple(other) and say_the_same(one, other):
                        yield pair


def _candidates(members: Sequence[int]) -> Iterator[tuple[int, int]]:
    if len(members) <= CROWD:
        yield from combinations(members, 2)
    else:
        yield from ((members[0], index) for index in members[1:])


def _signatures(texts: Sequence[Sequence[str]]) -> np.ndarray:
    """[texts, bands, rows]: MinHash by universal hashing modulo 2^31 - 1."""
    rng = np.random.default_rng(0)
    scale = rng.integers(1, int(_PRIME), BANDS * ROWS, dtype=np.uint64)
    shift = rng.integers(0, int(_PRIME), BANDS * ROWS, dtype=np.uint64)
    signatures = np.zeros((len(texts), BANDS * ROWS), dtype=np.uint32)
    for index, tokens in enumerate(texts):
        marks = [zlib.crc32(" ".join(shingle).encode()) for shingle in shingles_of(tokens)]
        values = np.array(sorted(marks) or [0], dtype=np.uint64) % _PRIME
        signatures[index] = ((values[:, None] * scale + shift) % _PRIME).min(axis=0)
    return signatures.reshape(len(texts), BANDS, ROWS)
