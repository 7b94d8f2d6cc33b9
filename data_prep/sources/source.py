"""What a source is: a line of `adora prep list`, and one `read` for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.sources.rows import BadRows, RawRows, convert
from data_prep.sources.tables import local_copy
from data_prep.writer import Entry

Found = tuple[RawRows, Callable[[Any], Entry | None]]
"""Raw rows, and what makes an entry of one (None for a row of another split)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source as the command line lists and reads it."""

    name: str
    title: str
    """The set's name in messages."""
    find: Callable[..., Found]
    """`find(path, split, ...)`: what `read` runs; the source's own options follow as keywords.
    Raises ValueError, with what is expected, for a path that does not hold the set."""
    splits: tuple[str, ...] = ()
    """What may be asked for; empty where `find` decides."""
    licence: str
    summary: str
    needs: str
    """What `--from` must point to."""
    hub: str = ""
    """Name on the Hugging Face hub, where this project reads the set in that form."""
    evaluation_only: bool = False
    """A benchmark: `audit` finds a folder of it unfit to train on."""

    def read(
        self,
        path: Path,
        *,
        split: str | None = None,
        limit: int | None = None,
        bad: BadRows | None = None,
        **options: Any,
    ) -> Iterator[Entry]:
        """Entries from a file, a folder or a hub name; without `split` as the source's file says.

        Raises ValueError for an unknown split or layout, and for bad rows unless `bad` drops them.
        """
        if self.splits and split is not None and split not in self.splits:
            raise ValueError(
                f"{self.title} has no split {split!r}; its splits: {', '.join(self.splits)}"
            )
        rows, to_entry = self.find(local_copy(path), split, **options)
        yield from convert(rows, to_entry, limit=limit, bad=bad)
