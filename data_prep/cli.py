"""`adora prep SOURCE ... --out FOLDER`: generate or convert problems into a data folder.

Every subcommand ends in `write_folder`, so all of them share its promises: a whole folder or none,
the same bytes for the same arguments, a finished folder left alone. Mistakes end in one line on
stderr and exit code 2.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from data_prep.geometry.commands import add_scenes, add_variants
from data_prep.sources import SOURCES, BadRows
from data_prep.writer import write_folder

PROG = "adora prep"


class UsageError(ValueError):
    """The command line itself is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; 0 when the folder is there, 2 after a mistake, 130 when interrupted."""
    try:
        arguments = _parser().parse_args(argv)
        arguments.run(arguments)
    except (ValueError, OSError) as error:
        print(f"{PROG}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{PROG}: interrupted, nothing was written", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog=PROG, description="Make data folders for training and evaluation.")
    commands = parser.add_subparsers(required=True, metavar="SOURCE", parser_class=_Parser)
    _add_synthetic(commands.add_parser("synthetic", help="generate geometry problems"))
    _add_tiny_policy(commands.add_parser("tiny-policy", help="build the embedded policy"))
    add_scenes(commands.add_parser("geometry3k-scenes", help="solve and redraw annotations"))
    add_variants(commands.add_parser("geometry3k-variants", help="new problems from solved ones"))
    for name, source in SOURCES.items():
        command = commands.add_parser(name, help=source.summary)
        command.set_defaults(run=_run_source, source=name)
        _add_source_options(command, name)
    listing = commands.add_parser("list", help="sources, their licences and what they need")
    listing.set_defaults(run=_run_list)
    return parser


def _add_tiny_policy(command: argparse.ArgumentParser) -> None:
    command.set_defaults(run=_run_tiny_policy)
    add = command.add_argument
    add("--out", required=True, type=Path, metavar="FOLDER", help="the model folder to write")
    add("--pictures", type=_positive, default=20_000, help="training pictures")
    add("--eye-steps", type=_positive, default=400, help="steps of the vision tower")
    add("--steps", type=_positive, default=2500, help="supervised steps")
    add("--held-out", type=_natural, default=300, help="problems to measure on; 0 skips it")
    add("--seed", type=_natural, default=0)


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
    _add_output(command)
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


def _add_source_options(command: argparse.ArgumentParser, name: str) -> None:
    add = command.add_argument
    add("--from", dest="path", type=Path, required=True, metavar="PATH", help=SOURCES[name].needs)
    _add_output(command)
    add("--split", help="one split only (default: the source's own)")
    add("--limit", type=_positive, help="stop after this many problems")
    add("--on-bad", choices=("drop", "fail"), default="fail", help="rows that cannot be used")
    if name == "geometry3k":
        add("--no-choices", action="store_true", help="free-form: leave out the four options")
    if name == "jsonl":
        add("--map", nargs="+", default=[], metavar="FIELD=COLUMN", help="question=problem ...")
        add("--keep", default="", metavar="A,B", help="columns to keep as metadata")
        add("--name", default="", help="name of the source and prefix of ids (default: the file's)")
        add("--image-root", type=Path, help="folder of the images (default: the file's)")
        add("--licence", default="unknown", help="recorded in the manifest")


def _add_output(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="the data folder to write")
    add("--overwrite", action="store_true", help="replace a data folder that is there")


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
    _report(arguments.out, manifest)


def _run_source(arguments: argparse.Namespace) -> None:
    source = SOURCES[arguments.source]
    bad = BadRows(drop=arguments.on_bad == "drop")
    options = _source_options(arguments)
    entries = source.read(
        arguments.path, split=arguments.split, limit=arguments.limit, bad=bad, **options
    )
    manifest = write_folder(
        arguments.out,
        entries,
        source=options.get("name") or arguments.source,
        licence=arguments.licence if arguments.source == "jsonl" else source.licence,
        arguments=_recorded(arguments, options),
        dropped=bad.dropped,
        overwrite=arguments.overwrite,
    )
    _report(arguments.out, manifest)


def _source_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keywords that only this source's `read` takes."""
    if arguments.source == "geometry3k":
        return {"keep_choices": not arguments.no_choices}
    if arguments.source == "jsonl":
        return {
            "columns": _pairs(arguments.map, "--map", "FIELD=COLUMN"),
            "keep": _names(arguments.keep),
            "name": arguments.name or arguments.path.stem,
            "image_root": arguments.image_root,
        }
    return {}


def _recorded(arguments: argparse.Namespace, options: Mapping[str, Any]) -> dict[str, Any]:
    """What reproduces the folder, without this machine's folders: of paths, the last name only."""
    common = {
        "from": arguments.path.name,
        "split": arguments.split,
        "limit": arguments.limit,
        "on_bad": arguments.on_bad,
    }
    return common | {key: value for key, value in options.items() if key != "image_root"}


def _report(folder: Path, manifest: Mapping[str, Any]) -> None:
    splits = ", ".join(f"{name} {count}" for name, count in manifest["splits"].items())
    line = f"{folder}: {manifest['problems']} problems ({splits}), {manifest['images']} images"
    dropped = ", ".join(f"{reason} {count}" for reason, count in manifest["dropped"].items())
    print(line + (f"; dropped: {dropped}" if dropped else ""))


def _run_list(arguments: argparse.Namespace) -> None:
    print("synthetic   generated geometry problems with diagrams; needs nothing")
    print("geometry3k-scenes, geometry3k-variants   solved and redrawn from annotation files")
    for name, source in SOURCES.items():
        print(f"{name:<11} {source.summary}")
        print(f"{'':<11} licence: {source.licence}; --from: {source.needs}")


def _positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {value!r}")
    return int(value)


def _natural(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, not {value!r}")
    return int(value)


def _pairs(items: Sequence[str], option: str, form: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for item in items:
        key, mark, value = item.partition("=")
        if not (key and mark and value):
            raise UsageError(f"{option}: {item!r} is not of the form {form}")
        if key in pairs:
            raise UsageError(f"{option}: {key!r} is given twice")
        pairs[key] = value
    return pairs


def _counts(items: Sequence[str]) -> dict[str, int]:
    pairs = _pairs(items, "--count", "SPLIT=N, e.g. train=2000")
    for name, value in pairs.items():
        if not value.isdecimal() or int(value) < 1:
            raise UsageError(f"--count: {name}={value} is not a whole number from 1")
    return {name: int(value) for name, value in pairs.items()}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _families(text: str | None) -> list[str] | dict[str, float] | None:
    names = _names(text or "")
    if not names:
        return None
    if not any("=" in name for name in names):
        return names
    try:
        pairs = _pairs(names, "--families", "NAME=WEIGHT")
        return {name: float(value) for name, value in pairs.items()}
    except ValueError as error:
        raise UsageError(f"--families: {error}") from error
