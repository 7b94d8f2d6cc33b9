"""`adora prep geometry3k-scenes` and `adora prep geometry3k-variants`.

The solver and the drawing code are imported when a command runs, so that other commands start fast.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from data_prep.commands.options import (
    Commands,
    add_output,
    names,
    positive,
    report,
    with_progress,
)

ARCHIVE = "the folder of Geometry3K's annotation files, or its numbered folders"


def add_to(commands: Commands) -> None:
    _add_scenes(commands.add_parser("geometry3k-scenes", help="solve and redraw annotations"))
    _add_variants(commands.add_parser("geometry3k-variants", help="new problems from solved ones"))


def _add_scenes(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_run_scenes)
    add = command.add_argument
    add("--from", dest="path", type=Path, required=True, metavar="FOLDER", help=ARCHIVE)
    add("--out", type=Path, metavar="FOLDER", help="the data folder to write (default: none)")
    add("--report", type=Path, metavar="FILE", help="what came out for each problem, as JSON")
    add("--split", choices=("train", "val", "test"), help="one split only")
    add("--trust", default="stated,picture", metavar="A,B",
        help="stated, picture, offscale, rounded (default: stated,picture)")  # fmt: skip
    add("--limit", type=positive, help="only the first problems")
    add("--image-px", type=positive, default=448, help="side of the square pictures")
    add("--workers", type=positive, default=1, help="processes (default: 1)")
    add("--overwrite", action="store_true", help="replace a data folder that is there")


def _add_variants(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_run_variants)
    add = command.add_argument
    add("--from", dest="path", type=Path, required=True, metavar="FOLDER", help=ARCHIVE)
    add_output(command)
    add("--count", type=positive, required=True, help="problems to make")
    add("--seed", type=int, default=0)
    add("--per-base", type=positive, default=4, help="at most so many from one problem")
    add("--ways", default="numbers,scale,asked", metavar="A,B",
        help="what is changed (default: numbers,scale,asked)")  # fmt: skip
    add("--image-px", type=positive, default=448, help="side of the square pictures")


def _run_scenes(arguments: argparse.Namespace) -> None:
    from data_prep.geometry.folder import write_scenes

    if arguments.out is None and arguments.report is None:
        raise ValueError("nothing to do: give --out FOLDER, --report FILE, or both")
    summary, manifest = write_scenes(
        arguments.path,
        arguments.out,
        report=arguments.report,
        split=arguments.split,
        trust=names(arguments.trust),
        limit=arguments.limit,
        image_px=arguments.image_px,
        workers=arguments.workers,
        overwrite=arguments.overwrite,
        progress=lambda items, total: with_progress(items, "solving", total),
    )
    print(_table(summary))
    if manifest is not None:
        report(arguments.out, manifest)


def _run_variants(arguments: argparse.Namespace) -> None:
    from data_prep.geometry.variants import write_variants

    manifest = write_variants(
        arguments.path,
        arguments.out,
        count=arguments.count,
        seed=arguments.seed,
        per_base=arguments.per_base,
        image_px=arguments.image_px,
        ways=names(arguments.ways),
        overwrite=arguments.overwrite,
        progress=lambda entries: with_progress(entries, "writing", arguments.count),
    )
    report(arguments.out, manifest)
    if manifest["problems"] < arguments.count:
        print(f"the bases gave no more than that with --per-base {arguments.per_base}")


def _table(summary: dict[str, Any]) -> str:
    """Outcomes by split, then the comparison with reference values."""
    columns = ("train", "val", "test", "all")
    lines = [f"{'outcome':<24}" + "".join(f"{name:>7}" for name in columns)]
    for outcome, counts in summary["outcomes"].items():
        cells = "".join(f"{counts.get(name, 0):>7}" for name in columns)
        lines.append(f"{outcome:<24}{cells}")
    lines.append(
        f"solved and determined: {summary['solved']} of {summary['problems']} "
        f"({summary['solved_percent']} %)"
    )
    for trust, counts in summary["reference"]["one_value"].items():
        words = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
        lines.append(f"reference values, {trust}: {words}")
    return "\n".join(lines)
