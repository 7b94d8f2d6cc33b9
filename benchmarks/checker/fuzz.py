"""Coverage-guided fuzzing of the checker with atheris: every input must end in a verdict, soon.

    pip install atheris==3.0.0
    python benchmarks/checker/fuzz.py --seed-corpus CORPUS
    python benchmarks/checker/fuzz.py [-runs=N] [-max_total_time=SECONDS] [CORPUS]

The first byte picks the gold and the profile; the rest is the response. Besides crashes it looks
for checks above one second, verdicts that differ between two runs, and readable answers that do
not match themselves.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "verify")]

import atheris  # noqa: E402

with atheris.instrument_imports(include=["adora_mm.verify"]):
    from adora_mm.verify.check import decide_answer, decide_response
    from adora_mm.verify.profiles import PROFILES

from hostile_answers import GOLDS, hostile  # noqa: E402

LIMIT_S = 1.0
_PROFILES = (PROFILES["reward"], PROFILES["eval"])


def one_input(data: bytes) -> None:
    """Check one response; raises when an invariant is broken."""
    if not data:
        return
    gold, profile = GOLDS[data[0] % len(GOLDS)], _PROFILES[data[0] // 128]
    text = data[1:].decode("utf-8", errors="surrogateescape")
    start = time.process_time()
    decide_response(text, gold, None, profile)
    verdict = decide_answer(text, gold, None, profile)
    elapsed = time.process_time() - start
    assert elapsed < LIMIT_S, f"{elapsed:.2f} s"
    assert verdict == decide_answer(text, gold, None, profile), "two runs differ"
    if verdict is not None and verdict.outcome != "unparsed" and len(text) < 200:
        itself = decide_answer(text, text, None, profile)
        assert itself is None or itself.correct, "a readable answer does not equal itself"


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "--seed-corpus":
        folder = Path(sys.argv[2])
        folder.mkdir(parents=True, exist_ok=True)
        for index, (_, answer, _) in enumerate(hostile(0, 2_000)):
            if len(answer) < 2_000:
                text = answer.encode("utf-8", errors="replace")
                (folder / f"{index:05d}").write_bytes(bytes([index % 256]) + text)
        return
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
