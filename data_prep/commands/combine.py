"""`adora prep mix`, `split`, `filter` and `card`: new folders from old ones, and their card."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adora_mm.data import load_problems, mix
from adora_mm.files import write_atomically
from adora_mm.types import Problem
from data_prep.card import CARD, CardFacts, data_card
from data_prep.commands.options import (
    Commands,
    UsageError,
    add_output,
    names,
    natural,
    pairs,
    positive,
    report,
    share,
    with_progress,
)
from data_prep.pass_rates import Stages, load_rates, stages_of
from data_prep.stored import licences, manifest_of, origin, stored_entries
from data_prep.writer import Entry, write_folder


def add_to(commands: Commands) -> None:
    _add_mix(commands.add_parser("mix", help="one set of several, in given shares"))
    _add_split(commands.add_parser("split", help="split a set by problem family"))
    _add_filter(commands.add_parser("filter", help="by pass rate, or without what an audit found"))
    card = commands.add_parser("card", help="write card.md into a folder that has none")
    card.add_argument("folder", type=Path, metavar="FOLDER")
    card.set_defaults(run=_run_card)


def _add_mix(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_run_mix, command="mix")
    add = command.add_argument
    add("sets", nargs="+", metavar="FOLDER[@SPLIT][=WEIGHT]", help="weights for all or for none")
    add_output(command)
    add("--size", type=positive, help="problems (default: as many as fit without repeating one)")
    add("--seed", type=natural, default=0)


def _run_mix(arguments: argparse.Namespace) -> None:
    sets, weights = _weighted(arguments.sets)
    loaded = [load_problems(name) for name in sets]
    mixed = mix(loaded, seed=arguments.seed, weights=weights, size=arguments.size)
    if len({problem.id for problem in mixed}) < len(mixed):
        most = len(mix(loaded, seed=arguments.seed, weights=weights))
        raise ValueError(f"--size {arguments.size} repeats problems; {most} fit without repeating")
    _write(
        arguments,
        stored_entries(mixed),
        total=len(mixed),
        source="mix",
        sets=sets,
        recorded={"weights": weights, "size": arguments.size, "seed": arguments.seed},
    )


def _weighted(words: Sequence[str]) -> tuple[list[str], list[float] | None]:
    cut = [word.rpartition("=") if "=" in word else (word, "", "") for word in words]
    given = [weight for _, mark, weight in cut if mark]
    if given and len(given) < len(words):
        raise UsageError(f"{len(given)} of {len(words)} sets have a weight: give all or none")
    try:
        weights = [float(weight) for weight in given]
    except ValueError as error:
        raise UsageError(f"weights must be numbers: {error}") from error
    return [name for name, _, _ in cut], weights or None


def _add_split(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_run_split, command="split")
    add = command.add_argument
    add("data", metavar="FOLDER[@SPLIT]")
    add_output(command)
    add("--shares", nargs="+", required=True, metavar="SPLIT=SHARE", help="train=0.8 val=0.2")
    add(
        "--by",
        default="wording,picture",
        metavar="A,B",
        help="what makes a family: source, wording, picture, metadata.NAME "
        "(default: wording,picture)",
    )
    add("--seed", type=natural, default=0)


def _run_split(arguments: argparse.Namespace) -> None:
    from data_prep.grouping import deal, families  # loads numpy, which nothing else here needs

    problems = load_problems(arguments.data)
    keys = names(arguments.by)
    if not keys:
        raise UsageError("--by: name at least one key")
    shares = _shares(arguments.shares)
    groups = families(problems, keys)
    split_of = deal(groups, shares, arguments.seed)
    entries = stored_entries(
        replace(problem, split=split_of[index]) for index, problem in enumerate(problems)
    )
    recorded = {"shares": shares, "by": keys, "seed": arguments.seed, "families": len(groups)}
    _write(
        arguments,
        entries,
        total=len(problems),
        source=_source(arguments.data),
        sets=[arguments.data],
        recorded=recorded,
    )


def _shares(words: Sequence[str]) -> dict[str, float]:
    found = pairs(words, "--shares", "SPLIT=SHARE, e.g. train=0.8")
    try:
        return {name: float(value) for name, value in found.items()}
    except ValueError as error:
        raise UsageError(f"--shares: {error}") from error


def _add_filter(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_run_filter, command="filter")
    add = command.add_argument
    add("data", metavar="FOLDER[@SPLIT]")
    add_output(command)
    add("--rates", type=Path, metavar="FILE", help="what adora prep difficulty wrote")
    add("--min", type=share, default=0.0, dest="low", help="smallest pass rate that is kept")
    add("--max", type=share, default=1.0, dest="high", help="largest pass rate that is kept")
    add("--stages", type=positive, help="a curriculum: splits stage1 (easiest) to stageN, equal")
    add("--audit", type=Path, metavar="FILE", help="drop what blocks in this FOLDER.audit.json")


def _run_filter(arguments: argparse.Namespace) -> None:
    if arguments.rates is None and arguments.audit is None:
        raise UsageError("give --rates or --audit: without either there is nothing to filter by")
    if arguments.rates is None and (
        arguments.stages or (arguments.low, arguments.high) != (0.0, 1.0)
    ):
        raise UsageError("--min, --max and --stages need --rates")
    problems: Sequence[Problem] = load_problems(arguments.data)
    dropped: dict[str, int] = {}
    if arguments.audit is not None:
        unfit = _unfit_ids(arguments.audit)
        kept = [problem for problem in problems if problem.id not in unfit]
        dropped["unfit in the audit"] = len(problems) - len(kept)
        problems = kept
    recorded: dict[str, Any] = {"audit": arguments.audit is not None}
    if arguments.rates is not None:
        rates = load_rates(arguments.rates)
        chosen = stages_of(problems, rates, arguments.low, arguments.high, arguments.stages)
        problems, dropped = _staged(chosen), dropped | dict(chosen.dropped)
        recorded |= {"min": arguments.low, "max": arguments.high, "stages": arguments.stages}
        recorded |= {"rates": rates.settings}
    if not problems:
        raise ValueError(f"nothing is left of {arguments.data}: {dropped}")
    _write(
        arguments,
        stored_entries(problems),
        total=len(problems),
        source=_source(arguments.data),
        sets=[arguments.data],
        recorded=recorded,
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def _staged(chosen: Stages) -> list[Problem]:
    """The kept problems with their pass rate in the metadata, easiest first when in stages."""
    return [
        replace(
            problem,
            split=stage or problem.split,
            metadata={**problem.metadata, "pass_rate": rate},
        )
        for problem, rate, stage in chosen.kept
    ]


def _run_card(arguments: argparse.Namespace) -> None:
    problems = load_problems(arguments.folder)
    facts = CardFacts()
    for problem in problems:
        facts.add(problem, len(problem.images))
    file = arguments.folder / CARD
    write_atomically(file, data_card(manifest_of(str(arguments.folder)), facts))
    print(file)


def _unfit_ids(file: Path) -> set[str]:
    try:
        content = json.loads(file.read_bytes())
        return {each["problem_id"] for each in content["findings"] if each["blocking"]}
    except FileNotFoundError as error:
        raise ValueError(f"{file}: no such file; adora prep audit writes it") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: not an audit's JSON file") from error


def _source(data: str) -> str:
    return str(manifest_of(data).get("source", Path(data).stem))


def _write(
    arguments: argparse.Namespace,
    entries: Iterator[Entry],
    *,
    total: int,
    source: str,
    sets: Sequence[str],
    recorded: Mapping[str, Any],
    dropped: Mapping[str, int] | None = None,
) -> None:
    manifest = write_folder(
        arguments.out,
        with_progress(entries, "writing", total),
        source=source,
        licence=licences(sets),
        arguments={"made_by": arguments.command, "sets": [origin(s) for s in sets], **recorded},
        dropped=dropped,
        overwrite=arguments.overwrite,
    )
    report(arguments.out, manifest)
