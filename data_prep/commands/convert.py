"""`adora prep SOURCE ... --out FOLDER` and `adora prep list`: public sets and your own rows."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_prep.commands.options import (
    Commands,
    add_output,
    names,
    pairs,
    positive,
    report,
    with_progress,
)
from data_prep.sources import SOURCES, BadRows
from data_prep.sources.present import find_local
from data_prep.sources.tables import is_hub_name, local_copy, revision_of
from data_prep.writer import write_folder

FREE_COLUMNS = ("jsonl", "parquet")
"""Sources whose columns the user names."""
WITH_CHOICES = ("geometry3k", "pgps9k")
"""Sources whose four options can be left out: their golds are values."""


def add_to(commands: Commands) -> None:
    for name, source in SOURCES.items():
        command = commands.add_parser(name, help=source.summary)
        command.set_defaults(run=_run_source, source=name)
        _add_options(command, name)
    listing = commands.add_parser("list", help="sources, licences, and what is on this machine")
    listing.set_defaults(run=_run_list)
    listing.add_argument(
        "folders",
        nargs="*",
        type=Path,
        default=[Path("data")],
        metavar="FOLDER",
        help="where to look for data sets, and one level below (default: data)",
    )


def _add_options(command: argparse.ArgumentParser, name: str) -> None:
    add = command.add_argument
    add("--from", dest="path", type=Path, required=True, metavar="PATH", help=SOURCES[name].needs)
    add_output(command)
    add("--split", help="one split only (default: the source's own)")
    add("--limit", type=positive, help="stop after this many problems")
    add("--on-bad", choices=("drop", "fail"), default="fail", help="rows that cannot be used")
    if name in WITH_CHOICES:
        add("--no-choices", action="store_true", help="free-form: leave out the four options")
    if name in FREE_COLUMNS:
        add("--map", nargs="+", default=[], metavar="FIELD=COLUMN", help="question=problem ...")
        add("--keep", default="", metavar="A,B", help="columns to keep as metadata")
        add("--name", default="", help="name of the source and prefix of ids (default: the file's)")
        add("--image-root", type=Path, help="folder of the images (default: the file's)")
        add("--licence", default="unknown", help="recorded in the manifest")


def _run_source(arguments: argparse.Namespace) -> None:
    source = SOURCES[arguments.source]
    bad = BadRows(drop=arguments.on_bad == "drop")
    options = _own_options(arguments)
    path = local_copy(arguments.path)
    entries = source.read(path, split=arguments.split, limit=arguments.limit, bad=bad, **options)
    manifest = write_folder(
        arguments.out,
        with_progress(entries, arguments.source, arguments.limit),
        source=options.get("name") or arguments.source,
        licence=arguments.licence if arguments.source in FREE_COLUMNS else source.licence,
        arguments=_recorded(arguments, path, options),
        dropped=bad.dropped,
        overwrite=arguments.overwrite,
    )
    report(arguments.out, manifest)


def _own_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keywords that only this source's `read` takes."""
    if arguments.source in WITH_CHOICES:
        return {"keep_choices": not arguments.no_choices}
    if arguments.source in FREE_COLUMNS:
        return {
            "columns": pairs(arguments.map, "--map", "FIELD=COLUMN"),
            "keep": names(arguments.keep),
            "name": arguments.name or arguments.path.stem,
            "image_root": arguments.image_root,
        }
    return {}


def _recorded(
    arguments: argparse.Namespace, path: Path, options: Mapping[str, Any]
) -> dict[str, Any]:
    """What reproduces the folder, without this machine's folders: of paths, the last name only."""
    from_hub = is_hub_name(arguments.path)
    common = {
        "from": str(arguments.path) if from_hub else arguments.path.name,
        "split": arguments.split,
        "limit": arguments.limit,
        "on_bad": arguments.on_bad,
    }
    revision = {"revision": revision_of(path)} if revision_of(path) else {}
    own = {key: value for key, value in options.items() if key != "image_root"}
    return common | revision | own


def _run_list(arguments: argparse.Namespace) -> None:
    found = find_local(arguments.folders)
    print("synthetic: generated geometry problems with diagrams; needs nothing")
    print("geometry3k-scenes, geometry3k-variants: solved and redrawn from annotation files")
    for name, source in SOURCES.items():
        print(f"{name}: {source.summary}")
        print(f"    licence: {source.licence}")
        print(f"    --from: {source.needs}" + (f" ({source.hub})" if source.hub else ""))
        print(f"    here: {', '.join(found.get(name, [])) or 'nothing found'}")
