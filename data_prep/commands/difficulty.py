"""`adora prep difficulty FOLDER --recipe NAME --out FILE`: pass rates of a policy over a set."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

from adora_mm.data import load_problems
from data_prep.commands.options import Commands, positive, with_progress


def add_to(commands: Commands) -> None:
    command = commands.add_parser("difficulty", help="pass rates of a policy over a set")
    command.set_defaults(run=_run)
    add = command.add_argument
    add("data", metavar="FOLDER[@SPLIT]")
    add(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="e.g. policy.path=... rollout.group_size=16",
    )
    add("--recipe", required=True, help="policy, prompts, rollouts and checker are this recipe's")
    add("--out", type=Path, required=True, metavar="FILE", help="pass_rates.jsonl")
    add("--limit", type=positive, help="the first problems only")


def _run(arguments: argparse.Namespace) -> None:
    from adora_mm.config import load_config

    config = load_config(arguments.recipe, arguments.overrides)
    problems = load_problems(arguments.data, limit=arguments.limit)
    if not arguments.out.parent.is_dir():
        raise ValueError(f"{arguments.out}: the folder {arguments.out.parent} does not exist")
    # torch takes seconds to import: only this command needs it
    from data_prep.difficulty import measure

    measured = measure(
        problems,
        config,
        arguments.out,
        progress=lambda batches, total: with_progress(batches, "batches", total),
    )
    rates = [row["pass_rate"] for row in measured.rows]
    bands = Counter("never" if r == 0 else "always" if r == 1 else "sometimes" for r in rates)
    counts = ", ".join(f"{band} {bands[band]}" for band in ("never", "sometimes", "always"))
    again = f"; {measured.resumed} were there already" if measured.resumed else ""
    print(f"{arguments.out}: mean pass rate {sum(rates) / len(rates):.3f}; solved {counts}{again}")
