"""`adora prep audit FOLDER`: fit to train on? A page with pictures, a JSON file, an exit code."""

from __future__ import annotations

import argparse
from pathlib import Path

from data_prep.commands.options import Commands, positive


def add_to(commands: Commands) -> None:
    command = commands.add_parser("audit", help="is a data folder fit to train on?")
    command.set_defaults(run=_run)
    add = command.add_argument
    add("data", metavar="FOLDER[@SPLIT]", help="what is to be trained on")
    add("--against", nargs="+", default=[], metavar="FOLDER[@SPLIT]", help="evaluation sets")
    add(
        "--only-against",
        action="store_true",
        help="compare with --against alone, not with what lies beside FOLDER",
    )
    add("--recipe", metavar="NAME", help="its pixel limits and prompt limit hold")
    add("--model", help="folder whose tokenizer measures prompts (default: the recipe's policy)")
    add("--min-pixels", type=positive, help="without a recipe (default: Qwen2.5-VL's)")
    add("--max-pixels", type=positive, help="without a recipe (default: Qwen2.5-VL's)")
    add("--report", type=Path, metavar="FILE", help="default: FOLDER.audit.html (and .json)")
    add("--workers", type=positive, default=2, help="checker processes (default: 2)")


def _run(arguments: argparse.Namespace) -> int:
    # the checker, numpy and recipes take half a second to import: only this command needs them
    from data_prep.audit.run import run_audit

    return run_audit(arguments)
