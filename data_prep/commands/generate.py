"""`adora prep synthetic` and `adora prep tiny-policy`: what is made without any data set."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_prep.commands.options import (
    Commands,
    UsageError,
    add_output,
    names,
    natural,
    pairs,
    positive,
    report,
)


def add_to(commands: Commands) -> None:
    _add_synthetic(commands.add_parser("synthetic", help="generate geometry problems"))
    _add_tiny_policy(commands.add_parser("tiny-policy", help="build the embedded policy"))


def _add_tiny_policy(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_run_tiny_policy)
    add = command.add_argument
    add("--out", required=True, type=Path, metavar="FOLDER", help="the model folder to write")
    add("--pictures", type=positive, default=20_000, help="training pictures")
    add("--eye-steps", type=positive, default=400, help="steps of the vision tower")
    add("--steps", type=positive, default=2500, help="supervised steps")
    add("--held-out", type=natural, default=300, help="problems to measure on; 0 skips it")
    add("--seed", type=natural, default=0)


def _run_tiny_policy(arguments: argparse.Namespace) -> None:
    if arguments.out.exists():
        raise ValueError(f"{arguments.out} exists; choose another --out")
    # torch takes seconds to import: only this command needs it
    from data_prep.tiny_policy import Perception, Pictures, WarmStart, build

    card = build(
        arguments.out,
        Pictures(count=arguments.pictures),
        Perception(steps=arguments.eye_steps, seed=arguments.seed),
        WarmStart(steps=arguments.steps, seed=arguments.seed),
        held_out=arguments.held_out,
        log=lambda line: print(line, flush=True),
    )
    print(f"{arguments.out}: {card['held_out']}")


def _add_synthetic(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_run_synthetic)
    add_output(command)
    add = command.add_argument
    add("--count", nargs="+", required=True, metavar="SPLIT=N", help="e.g. train=2000 val=300")
    add("--seed", type=int, default=0)
    add("--families", metavar="A,B", help="names, or name=weight, with commas (default: all)")
    add("--image-px", type=int, default=224, help="side of the square pictures (default: 224)")
    add("--min-difficulty", type=int, default=1)
    add("--max-difficulty", type=int, default=5)
    add("--givens", choices=("picture", "text"), default="picture", help="where the values stand")
    add("--variants", type=int, default=1, help="training pictures per problem (default: 1)")
    add(
        "--label-grid-px",
        type=int,
        default=0,
        metavar="PX",
        help="lay the upper left corners of labels on a grid this wide (default: 0, no grid)",
    )


def _run_synthetic(arguments: argparse.Namespace) -> None:
    # sympy and the drawing code take a second to import: only the generator needs them
    from data_prep.synthetic import write_synthetic

    manifest = write_synthetic(
        arguments.out,
        counts=_counts(arguments.count),
        seed=arguments.seed,
        families=_families(arguments.families),
        image_px=arguments.image_px,
        min_difficulty=arguments.min_difficulty,
        max_difficulty=arguments.max_difficulty,
        givens=arguments.givens,
        variants=arguments.variants,
        label_grid_px=arguments.label_grid_px,
        overwrite=arguments.overwrite,
    )
    report(arguments.out, manifest)


def _counts(items: Sequence[str]) -> dict[str, int]:
    found = pairs(items, "--count", "SPLIT=N, e.g. train=2000")
    for name, value in found.items():
        if not value.isdecimal() or int(value) < 1:
            raise UsageError(f"--count: {name}={value} is not a whole number from 1")
    return {name: int(value) for name, value in found.items()}


def _families(text: str | None) -> list[str] | dict[str, float] | None:
    chosen = names(text or "")
    if not chosen:
        return None
    if not any("=" in name for name in chosen):
        return chosen
    try:
        weights = pairs(chosen, "--families", "NAME=WEIGHT")
        return {name: float(value) for name, value in weights.items()}
    except ValueError as error:
        raise UsageError(f"--families: {error}") from error
