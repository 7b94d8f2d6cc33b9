"""One check at a time: in process where the bounded path decides, else in a shared worker."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence

from adora_mm.types import Verdict
from adora_mm.verify.pool import CheckerPool
from adora_mm.verify.profiles import Profile, get_profile
from adora_mm.verify.worker import Job, decide

TIMEOUT_S = 5.0
MEMORY_MB = 1024
_lock = threading.Lock()
_pools: list[CheckerPool] = []


def check_answer(
    prediction: str,
    gold: str,
    *,
    choices: Sequence[str] | None = None,
    profile: str | Profile = "reward",
) -> Verdict:
    """Whether an extracted answer equals a gold (a value, a choice letter or a text).

    `choices` are the option texts in order A, B, C. Raises ValueError only for an unknown profile;
    whatever the strings hold ends in a Verdict.
    """
    return _check(("answer", prediction, gold, choices, get_profile(profile)))


def check_response(
    response: str,
    gold: str,
    *,
    choices: Sequence[str] | None = None,
    profile: str | Profile = "reward",
) -> Verdict:
    """Find the final answer of a response and check it; `extracted` holds what was found."""
    return _check(("response", response, gold, choices, get_profile(profile)))


def _check(job: Job) -> Verdict:
    return decide(job) or _shared_pool().run([job])[0]


def _shared_pool() -> CheckerPool:
    with _lock:
        if not _pools:
            _pools.append(CheckerPool(workers=1, timeout_s=TIMEOUT_S, memory_mb=MEMORY_MB))
            atexit.register(_pools[0].close)
        return _pools[0]
