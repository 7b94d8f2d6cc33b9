"""Responses scored per second: the published solutions of MATH-500, `--samples` variants of each.

    python benchmarks/evaluation/scoring.py --data PATH/TO/math500.jsonl --samples 40

Each problem gets its own solution, the next problem's, and both cut short, so that right, wrong and
unreadable answers are there, and all samples of a problem are put into classes for majority votes.
The time is that of the stage: reading the responses, checking, voting, writing the verdicts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path

from adora_mm.verify import CheckerPool
from data_prep.sources import BadRows
from evaluation.benchmarks import BENCHMARKS
from evaluation.problems import read_raw
from evaluation.referees import NOBODY
from evaluation.responses import Response, ResponseFile, read_responses, sample_id
from evaluation.scoring import score_responses, write_verdicts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    benchmark = BENCHMARKS["math500"]
    entries = list(read_raw(benchmark, arguments.data, bad=BadRows()))
    problems = [entry.problem for entry in entries]
    texts = [f"So we get \\boxed{{{problem.answer}}}. " for problem in problems]
    rows = [
        Response(
            id=sample_id(problem.id, sample),
            problem=problem.id,
            sample=sample,
            text=variant(problem.question, texts, place, sample),
            finish_reason="stop",
            num_tokens=None,
        )
        for place, problem in enumerate(problems)
        for sample in range(arguments.samples)
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ResponseFile(folder / "responses.jsonl", "run").append(rows)
        started, cpu = time.monotonic(), os.times()
        responses = read_responses(folder / "responses.jsonl", "run")
        with CheckerPool(arguments.workers) as pool:
            scored = score_responses(benchmark, problems, responses, pool)
        write_verdicts(folder, scored, run="run", profile=benchmark.profile, referees=NOBODY)
        elapsed, after = time.monotonic() - started, os.times()
    used = after.user + after.system - cpu.user - cpu.system
    outcomes = dict(Counter(row.outcome for row in scored))
    print(f"{len(scored)} responses: {outcomes}")
    print(f"{len(scored) / used:.0f} per CPU second, {len(scored) / elapsed:.0f} per second")


def variant(question: str, texts: list[str], place: int, sample: int) -> str:
    """A response of about a thousand characters; no two samples are the same text."""
    kind, number = sample % 4, sample // 4
    reasoning = (question + " ") * 8
    other = texts[(place + 1 + number) % len(texts)]
    ending = [texts[place], other, "Therefore the answer is", f"So it is {number}."][kind]
    return f"{reasoning[: 1000 + 7 * number]} {ending}"


if __name__ == "__main__":
    main()
