"""`adora eval`: measure a model on a data folder."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path


def main(argv: Sequence[str] | None = None) -> int:
    """Run an evaluation and print its result; mistakes raise ValueError."""
    parser = argparse.ArgumentParser(prog="adora eval", description=__doc__)
    parser.add_argument("--model", required=True, help="HF folder, hub name, or `embedded`")
    parser.add_argument("--data", required=True, help="data folder, path or path@split")
    parser.add_argument("--out", required=True, type=Path, help="folder for the results")
    parser.add_argument("--samples", type=int, default=0, help="per problem; 0 is greedy")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--max-new-tokens", type=int, default=96)
    parser.add_argument("--max-prompt-tokens", type=int, default=4096)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--system-prompt", default="")
    parser.add_argument("--min-pixels", type=int)
    parser.add_argument("--max-pixels", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checker-workers", type=int, default=2)
    arguments = parser.parse_args(argv)
    from evaluation.run import EvalRun, run

    names = {field.name for field in fields(EvalRun)}
    result = run(EvalRun(**{k: v for k, v in vars(arguments).items() if k in names}))
    print(
        f"{result.mode}: {result.correct} of {result.n} correct, {result.accuracy:.1%} "
        f"[{result.low:.1%}, {result.high:.1%}]; truncated {result.truncated_frac:.1%}, unparsed "
        f"{result.unparsed_frac:.1%}, check timed out {result.timeout_frac:.1%}; "
        f"{result.mean_tokens:.1f} tokens; {arguments.out}"
    )
    return 0
