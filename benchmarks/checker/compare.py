"""Speed of the checker beside math-verify and mathruler, in one run on one core.

    python benchmarks/checker/compare.py --peers PYTHON [--data FOLDER] [--pairs N]

PYTHON is an interpreter of an environment of its own with the two peers (their sympy versions need
not be ours): `python -m venv /tmp/peers && /tmp/peers/bin/pip install -r
benchmarks/checker/requirements.txt`. Each checker gets the same pairs in its own process: every
MATH-500 gold against itself and against its neighbour, and real solutions of about 1,000 characters
that end in the gold in a box, checked against it and against the neighbour's. Caches are empty at
the start; the order is the file's. Times are CPU seconds: a busy machine changes them little.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKERS = ("adora_mm", "math_verify", "mathruler")
Check = Callable[[str, str], bool]


def load(data: Path) -> list[tuple[str, str]]:
    """(gold, solution) of MATH-500."""
    lines = (data / "text/math500.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["answer"], row["solution"]) for row in map(json.loads, lines)]


def pairs_of(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(answer, gold): each gold against itself, then against its neighbour."""
    golds = [gold for gold, _ in rows]
    return [(g, g) for g in golds] + list(zip(golds[1:], golds, strict=False))


def responses_of(rows: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """(response, gold): about 1,000 characters of real text, then the boxed gold."""
    found = []
    for gold, solution in rows:
        text = (solution.replace("\\boxed", "") + " ") * (1 + 1_000 // max(1, len(solution)))
        found.append((f"{text[:960]} Therefore the answer is \\boxed{{{gold}}}.", gold))
    return found


def adora_mm() -> tuple[Check, Check]:
    sys.path.insert(0, str(ROOT))
    from adora_mm.verify.check import decide_answer, decide_response
    from adora_mm.verify.profiles import PROFILES

    reward = PROFILES["reward"]

    def answer(text: str, gold: str) -> bool:
        verdict = decide_answer(text, gold, None, reward)
        return verdict is not None and verdict.correct

    def response(text: str, gold: str) -> bool:
        verdict = decide_response(text, gold, None, reward)
        return verdict is not None and verdict.correct

    return answer, response


def math_verify() -> tuple[Check, Check]:
    from math_verify import parse, verify

    def answer(text: str, gold: str) -> bool:
        return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(f"\\boxed{{{text}}}")))

    def response(text: str, gold: str) -> bool:
        return bool(verify(parse(f"\\boxed{{{gold}}}"), parse(text)))

    return answer, response


def mathruler() -> tuple[Check, Check]:
    from mathruler.grader import extract_boxed_content, grade_answer

    def response(text: str, gold: str) -> bool:
        return bool(grade_answer(extract_boxed_content(text), gold))

    return lambda text, gold: bool(grade_answer(text, gold)), response


def measure(name: str, data: Path, count: int) -> dict[str, float | str]:
    """Pairs and responses per second, percentiles of one pair, and how many were accepted."""
    answer, response = {"adora_mm": adora_mm, "math_verify": math_verify, "mathruler": mathruler}[
        name
    ]()
    rows = load(data)[:count]
    answer("1", "2")  # imports that wait for the first call do not count
    times, accepted = [], [0, 0]
    for index, (text, gold) in enumerate(pairs_of(rows)):
        start = time.process_time()
        right = answer(text, gold)
        times.append(time.process_time() - start)
        accepted[index >= len(rows)] += right
    texts = responses_of(rows)
    others = [(text, gold) for (text, _), (_, gold) in pairwise(texts)]
    start = time.process_time()
    right_responses = sum(response(text, gold) for text, gold in texts)
    middle = time.process_time()
    for text, gold in others:
        response(text, gold)
    end = time.process_time()
    times.sort()
    return {
        "checker": name,
        "pairs_per_s": len(times) / sum(times),
        "p50_ms": times[len(times) // 2] * 1e3,
        "p99_ms": times[int(len(times) * 0.99)] * 1e3,
        "max_ms": times[-1] * 1e3,
        "self_accepted": accepted[0] / len(rows),
        "neighbour_accepted": accepted[1],
        "right_responses_per_s": len(texts) / (middle - start),
        "wrong_responses_per_s": len(others) / (end - middle),
        "responses_correct": right_responses / len(rows),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", default=sys.executable, help="interpreter with the peers")
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--pairs", type=int, default=500, help="MATH-500 problems to use")
    parser.add_argument("--only", choices=CHECKERS, help="measure one here, print JSON")
    args = parser.parse_args()
    if args.only:
        print(json.dumps(measure(args.only, args.data, args.pairs)))
        return 0
    results = []
    for name in CHECKERS:
        python = sys.executable if name == "adora_mm" else args.peers
        command = [python, __file__, "--only", name, "--data", str(args.data)]
        done = subprocess.run(
            [*command, "--pairs", str(args.pairs)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            print(f"{name}: failed: {done.stderr.strip().splitlines()[-1:]}")
            continue
        results.append(json.loads(done.stdout.strip().splitlines()[-1]))
    columns = list(results[0])
    print("| " + " | ".join(columns) + " |")
    print("|" + "---|" * len(columns))
    for row in results:
        cells = [f"{v:,.3g}" if isinstance(v, float) and v < 100 else
                 f"{v:,.0f}" if isinstance(v, float) else str(v) for v in row.values()]  # fmt: skip
        print("| " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
