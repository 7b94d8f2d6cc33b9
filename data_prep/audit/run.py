"""One audit from the command line: what is loaded, compared and written."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from adora_mm.config import load_config
from adora_mm.data import load_problems
from adora_mm.files import write_atomically
from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from data_prep.audit import KINDS, Limits, Report, audit
from data_prep.audit.pictures import QWEN_MAX_PIXELS, QWEN_MIN_PIXELS
from data_prep.commands.options import with_progress
from data_prep.sources import SOURCES
from data_prep.stored import folder_and_split, set_name

_TRAINED_ON = re.compile(r"train.*|stage\d+")
UNFIT = 1
"""Exit code of an audit that found something that blocks."""


def run_audit(arguments: argparse.Namespace) -> int:
    """Audit, write the page and the JSON file, print a summary; 0 when fit, `UNFIT` when not."""
    if arguments.report is not None and arguments.report.suffix != ".html":
        raise ValueError(
            f"--report {arguments.report}: must end in .html; the JSON file goes beside it"
        )
    problems = load_problems(arguments.data)
    folder, split = folder_and_split(arguments.data)
    folder = folder.resolve()
    against = {} if arguments.only_against else evaluation_sets(folder, split)
    against |= {name: load_problems(name) for name in arguments.against}
    with CheckerPool(arguments.workers) as pool:
        report = audit(
            problems,
            name=set_name(arguments.data),
            pool=pool,
            against=against,
            limits=_limits(arguments),
            benchmark=_benchmark(problems),
            progress=with_progress,
        )
    page = arguments.report or folder.parent / f"{folder.name}.audit.html"
    _write(report, page, problems, against)
    _print(report, page)
    return 0 if report.fit else UNFIT


def evaluation_sets(folder: Path, split: str) -> dict[str, Sequence[Problem]]:
    """What must not be trained on: held-out splits of the folder and of the data folders beside it.

    Every split counts as held out but `train...` and the stages of a curriculum.
    """
    found: dict[str, Sequence[Problem]] = {}
    for place in sorted(folder.parent.iterdir()):
        splits = [] if place.name.startswith(".") else _held_out(place)
        if place == folder:
            splits = [name for name in splits if split and name != split]
        problems = load_problems(place) if splits else []
        for name in splits:
            found[f"{place.name}@{name}"] = [p for p in problems if p.split == name]
    return found


def _held_out(folder: Path) -> list[str]:
    """The held-out splits of a data folder, by its manifest; none for anything else."""
    try:
        splits = list(json.loads((folder / "manifest.json").read_bytes())["splits"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return sorted(name for name in splits if name and not _TRAINED_ON.fullmatch(name))


def _limits(arguments: argparse.Namespace) -> Limits:
    low, high = arguments.min_pixels, arguments.max_pixels
    if arguments.recipe is None:
        if arguments.model:
            raise ValueError("--model needs --recipe, whose prompt limit holds")
        return Limits(min_pixels=low or QWEN_MIN_PIXELS, max_pixels=high or QWEN_MAX_PIXELS)
    if low or high:
        raise ValueError("--min-pixels and --max-pixels are the recipe's: leave them out")
    config = load_config(arguments.recipe)
    # transformers takes seconds to import: only prompts of a recipe need it
    from data_prep.audit.prompt_lengths import prompt_lengths, recipe_processor

    processor = recipe_processor(config, arguments.model)
    sees = processor.image_processor is not None
    return Limits(
        min_pixels=processor.image_processor.size["shortest_edge"] if sees else QWEN_MIN_PIXELS,
        max_pixels=processor.image_processor.size["longest_edge"] if sees else QWEN_MAX_PIXELS,
        measure_prompts=partial(
            prompt_lengths, processor=processor, max_prompt_tokens=config.data.max_prompt_tokens
        ),
    )


def _benchmark(problems: Sequence[Problem]) -> str:
    """Why these are not for training, or nothing: the sources that are evaluation sets."""
    sources = {problem.source for problem in problems}
    named = sorted(name for name in sources if name in SOURCES and SOURCES[name].evaluation_only)
    return f"{', '.join(named)}: an evaluation set, not to be trained on" if named else ""


def _write(
    report: Report,
    page: Path,
    problems: Sequence[Problem],
    against: Mapping[str, Sequence[Problem]],
) -> None:
    from data_prep.audit.page import render

    text = json.dumps(report.as_json(), indent=1, ensure_ascii=False)
    write_atomically(page.with_suffix(".json"), text + "\n")
    write_atomically(page, render(report, problems, against))


def _print(report: Report, page: Path) -> None:
    for kind, count in report.counts.items():
        weight = "blocks" if KINDS[kind].blocking else "warning"
        first = next(f for f in report.findings if f.kind == kind)
        where = f"{first.problem_id}: " if first.problem_id else ""
        print(f"{count:6} {weight:8} {KINDS[kind].title}; first: {where}{first.message}")
    compared = ", ".join(report.compared_with) or "no evaluation set"
    print(f"{report.name}: {'fit' if report.fit else 'NOT fit'} to train on; {compared}; {page}")
