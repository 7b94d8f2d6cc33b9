"""Check hostile answers in one run; report hangs, crashes, the slowest check and peak memory.

    python benchmarks/checker/hostile.py [COUNT] [SEED]

Every answer is checked in three ways: as an extracted answer, in a box under the reward profile,
and as a whole response under the eval profile, in this process; what needs a worker goes to a
CheckerPool with 512 MB. The run fails when a check takes more than 1 s, raises, grows this process
beyond 512 MB or executes anything.
"""

from __future__ import annotations

import resource
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "verify")]

from hostile_answers import CANARY, hostile  # noqa: E402

from adora_mm.verify import CheckerPool  # noqa: E402
from adora_mm.verify.profiles import PROFILES  # noqa: E402
from adora_mm.verify.worker import Job  # noqa: E402

LIMIT_S = 1.0
LIMIT_MB = 512


def jobs_of(answer: str, gold: str) -> list[Job]:
    choices = ("5", "6", "7", "8") if gold == "C" else None
    return [
        ("answer", answer, gold, choices, PROFILES["reward"]),
        ("response", f"<think>hm</think> \\boxed{{{answer}}}", gold, choices, PROFILES["reward"]),
        ("response", answer, gold, choices, PROFILES["eval"]),
    ]


def main(count: int, seed: int) -> int:
    canary = Path("/tmp") / CANARY
    canary.unlink(missing_ok=True)
    outcomes: Counter[str] = Counter()
    slowest: list[tuple[float, str, str]] = []
    began = time.monotonic()
    with CheckerPool(workers=1, timeout_s=LIMIT_S, memory_mb=LIMIT_MB) as pool:
        for kind, answer, gold in hostile(seed, count):
            for job in jobs_of(answer, gold):
                sent, start = pool.sent, time.monotonic()
                outcome = pool.run([job])[0].outcome
                elapsed = time.monotonic() - start
                outcomes[outcome] += 1
                if pool.sent == sent:
                    slowest = sorted([*slowest, (elapsed, kind, answer[:70])], reverse=True)[:8]
                else:
                    outcomes["sent to a worker"] += 1
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} answers in {time.monotonic() - began:.0f} s: {dict(outcomes)}")
    print(f"peak memory of the caller {peak_mb:.0f} MB; executed: {canary.exists()}")
    print("slowest checks in process:")
    for elapsed, kind, text in slowest:
        print(f"  {elapsed * 1000:7.1f} ms  {kind:10s} {text!r}")
    return int(canary.exists() or slowest[0][0] > LIMIT_S or peak_mb > LIMIT_MB)


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[1:]]
    sys.exit(main(numbers[0] if numbers else 100_000, numbers[1] if len(numbers) > 1 else 0))
