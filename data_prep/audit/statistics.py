"""What a set consists of: golds by kind, lengths, pictures and how often a wording comes back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.audit.pictures import Picture, image_tokens
from data_prep.texts import tokens_of, wording_of

_INTEGER = re.compile(r"[-+]?\d+")
_DECIMAL = re.compile(r"[-+]?\d*\.\d+")
_LETTER = re.compile(r"\(?[A-Z]\)?")
_WORDS = re.compile(r"[^\W\d_]{2,}(?:[\s,.;'-]+[^\W\d_]+)*[.]?")


def answer_kind(gold: str) -> str:
    """How a gold looks: `integer`, `decimal`, `letter`, `expression` or `words`."""
    bare = gold.strip().strip("$").replace(",", "")
    for kind, pattern in (("integer", _INTEGER), ("decimal", _DECIMAL), ("letter", _LETTER)):
        if pattern.fullmatch(bare):
            return kind
    return "words" if _WORDS.fullmatch(bare) else "expression"


def describe(
    problems: Sequence[Problem],
    looks: Mapping[Path, Picture],
    *,
    min_pixels: int,
    max_pixels: int,
    prompt_tokens: Sequence[int],
) -> dict[str, Any]:
    """Counts and spreads, ready for JSON; `prompt_tokens` may be empty."""
    used = [looks[path] for problem in problems for path in problem.images]
    good = [look for look in used if not look.fault]
    wordings = Counter(wording_of(tokens_of(problem.question)) for problem in problems)
    return {
        "problems": len(problems),
        "splits": _counts(problem.split or "(none)" for problem in problems),
        "sources": _counts(problem.source or "(none)" for problem in problems),
        "answer_kinds": _counts(
            "choice" if problem.choices else answer_kind(problem.answer) for problem in problems
        ),
        "options": _counts(str(len(problem.choices)) for problem in problems),
        "pictures_per_problem": _counts(str(len(problem.images)) for problem in problems),
        "different_wordings": len(wordings),
        "most_common_wording": max(wordings.values(), default=0),
        "question_chars": spread([len(problem.question) for problem in problems]),
        "answer_chars": spread([len(problem.answer) for problem in problems]),
        "picture_px": spread([max(look.width, look.height) for look in good]),
        "image_tokens": spread(
            [image_tokens(look.width, look.height, min_pixels, max_pixels) for look in good]
        ),
        "prompt_tokens": spread(prompt_tokens),
    }


def spread(values: Sequence[int]) -> dict[str, Any]:
    """Smallest, median, 95th percentile, largest and mean, and a histogram of at most 20 bars."""
    if not values:
        return {}
    ordered = sorted(values)
    last = len(ordered) - 1
    return {
        "min": ordered[0],
        "median": ordered[last // 2],
        "p95": ordered[round(0.95 * last)],
        "max": ordered[-1],
        "mean": round(sum(ordered) / len(ordered), 2),
        "histogram": histogram(ordered),
    }


def histogram(ordered: Sequence[int], bars: int = 20) -> list[tuple[int, int]]:
    """(lower edge, count) of equally wide bars over sorted whole numbers."""
    low, high = ordered[0], ordered[-1]
    width = max(1, -(-(high - low + 1) // bars))
    counts = Counter((value - low) // width for value in ordered)
    return [(low + bar * width, counts[bar]) for bar in range((high - low) // width + 1)]


def _counts(values: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
