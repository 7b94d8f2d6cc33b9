"""`adora check`: one verdict with its parsed forms, or a file of pairs with a progress bar."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from adora_mm.types import Verdict
from adora_mm.verify.answers import parse_answer
from adora_mm.verify.pool import CheckerPool
from adora_mm.verify.profiles import PROFILES, Profile, get_profile
from adora_mm.verify.single import check_answer, check_response
from adora_mm.verify.syntax import render
from adora_mm.verify.worker import Job

BATCH = 256
_BAR = 30


def main(argv: Sequence[str]) -> int:
    """Run the command; 0 when the answer is correct or the file was done, 1 when it is not.

    Raises ValueError with one line for a mistake in the arguments or in the file.
    """
    args = _parser().parse_args(list(argv))
    if args.file is not None:
        return _check_file(args)
    if args.gold is None or (args.answer is None) == (args.response is None):
        raise ValueError("give --gold with --answer or --response, or --file PAIRS.jsonl")
    return _check_one(args)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="adora check", description=__doc__)
    parser.add_argument("--gold", help="the right answer: a value, a choice letter or a text")
    parser.add_argument("--answer", help="an answer that was already extracted")
    parser.add_argument("--response", help="a whole response; the final answer is found first")
    parser.add_argument("--choices", nargs="+", metavar="TEXT", help="options A, B, C, ...")
    parser.add_argument("--profile", default="reward", choices=sorted(PROFILES))
    parser.add_argument(
        "--file", type=Path, help="JSON lines with gold, answer or response, and choices if any"
    )
    parser.add_argument("--output", type=Path, help="verdicts; default: FILE.verdicts.jsonl")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--memory", type=int, default=1024, metavar="MB", help="of each worker")
    return parser


def _check_one(args: argparse.Namespace) -> int:
    if args.answer is not None:
        verdict = check_answer(args.answer, args.gold, choices=args.choices, profile=args.profile)
    else:
        verdict = check_response(
            args.response, args.gold, choices=args.choices, profile=args.profile
        )
    print(f"verdict    {verdict.outcome}")
    print(f"reason     {verdict.reason}")
    print(f"extracted  {verdict.extracted}")
    print(f"gold       {describe(args.gold)}")
    if verdict.extracted:
        print(f"answer     {describe(verdict.extracted)}")
    return 0 if verdict.correct else 1


def describe(text: str) -> str:
    """The parsed form of an answer in one line."""
    answer = parse_answer(text)
    if answer.error:
        return f"not readable: {answer.error}"
    shown = []
    for item in answer.items:
        label = f"{item.label} = " if item.label else ""
        tree = item.relation if item.relation is not None and not item.chain else None
        values = " = ".join(render(node) for node in item.chain) or (
            render(tree) if tree else f"words: {item.words}"
        )
        shown.append(f"{label}{values}{f' [{item.unit.name}]' if item.unit else ''}")
    return (" or " if answer.alternatives else ", ").join(shown)


# -- files ------------------------------------------------------------------------------------
def _check_file(args: argparse.Namespace) -> int:
    rows = list(_read_rows(args.file))
    output = args.output or args.file.with_suffix(".verdicts.jsonl")
    counts: Counter[str] = Counter()
    unfinished = output.with_name(output.name + ".part")
    profile = get_profile(args.profile)
    with (
        CheckerPool(args.workers, args.timeout, args.memory) as pool,
        unfinished.open("w", encoding="utf-8") as sink,
    ):
        for start in range(0, len(rows), BATCH):
            batch = rows[start : start + BATCH]
            for row, verdict in zip(batch, pool.run(_jobs(batch, profile)), strict=True):
                counts[verdict.outcome] += 1
                sink.write(json.dumps(_result(row, verdict), ensure_ascii=False) + "\n")
            _show_progress(start + len(batch), len(rows))
        sink.flush()
        os.fsync(sink.fileno())
    unfinished.replace(output)
    total = max(1, len(rows))
    print(f"{len(rows)} pairs, {counts['correct'] / total:.2%} correct: {dict(counts)}")
    print(f"verdicts in {output}")
    return 0


def _read_rows(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}:{number}: not JSON ({error.msg})") from error
        if not isinstance(row, dict) or "gold" not in row or not {"answer", "response"} & set(row):
            raise ValueError(f"{path}:{number}: needs `gold`, and `answer` or `response`")
        yield row


def _jobs(rows: list[dict[str, Any]], profile: Profile) -> list[Job]:
    jobs: list[Job] = []
    for row in rows:
        kind = "answer" if "answer" in row else "response"
        jobs.append((kind, str(row[kind]), str(row["gold"]), row.get("choices") or None, profile))
    return jobs


def _result(row: dict[str, Any], verdict: Verdict) -> dict[str, Any]:
    kept = {key: row[key] for key in ("id", "gold", "answer") if key in row}
    return kept | {
        "outcome": verdict.outcome, "extracted": verdict.extracted, "reason": verdict.reason,
    }  # fmt: skip


def _show_progress(done: int, total: int) -> None:
    """A bar on a terminal, nothing in a log."""
    if not sys.stderr.isatty():
        return
    filled = _BAR * done // max(1, total)
    end = "\n" if done == total else ""
    bar = "#" * filled + "-" * (_BAR - filled)
    print(f"\r[{bar}] {done}/{total}", end=end, file=sys.stderr, flush=True)
