"""What the subcommands of `adora prep` share: argument types, options, a progress bar, one line."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

T = TypeVar("T")


class UsageError(ValueError):
    """The command line itself is wrong."""


class Parser(argparse.ArgumentParser):
    """A parser whose mistakes are one line, told by `main` like every other one."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


class Commands(Protocol):
    """The subparsers that a group of commands adds itself to."""

    def add_parser(self, name: str, *, help: str) -> argparse.ArgumentParser: ...


def add_output(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("--out", type=Path, required=True, metavar="FOLDER", help="the data folder to write")
    add("--overwrite", action="store_true", help="replace a data folder that is there")


def report(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Print what was written, in one line."""
    splits = ", ".join(f"{name} {count}" for name, count in manifest["splits"].items())
    line = f"{folder}: {manifest['problems']} problems ({splits}), {manifest['images']} images"
    dropped = ", ".join(f"{reason} {count}" for reason, count in manifest["dropped"].items())
    print(line + (f"; dropped: {dropped}" if dropped else ""))


def with_progress(items: Iterable[T], label: str, total: int | None = None) -> Iterator[T]:
    """The items, with a bar on stderr while they pass; silent where stderr is no terminal."""
    if not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        yield from progress.track(items, total=total, description=label)


def positive(value: str) -> int:
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1, not {value!r}")
    return int(value)


def natural(value: str) -> int:
    if not value.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0, not {value!r}")
    return int(value)


def share(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {value!r}")
    return number


def pairs(items: Sequence[str], option: str, form: str) -> dict[str, str]:
    """`KEY=VALUE` words as a dict. Raises UsageError for other forms and repeated keys."""
    found: dict[str, str] = {}
    for item in items:
        key, mark, value = item.partition("=")
        if not (key and mark and value):
            raise UsageError(f"{option}: {item!r} is not of the form {form}")
        if key in found:
            raise UsageError(f"{option}: {key!r} is given twice")
        found[key] = value
    return found


def names(text: str) -> list[str]:
    """The names in `A,B, C`."""
    return [name.strip() for name in text.split(",") if name.strip()]
