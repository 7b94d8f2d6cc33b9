"""What ranks on several machines must see alike, compared before any weight is loaded.

Machines that share no file system, or hold another checkout, would otherwise train on different
problems without an error.
"""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from adora_mm import distributed
from adora_mm.config import RunConfig, dump_config
from adora_mm.data import fingerprint
from adora_mm.distributed import FirstRankError
from adora_mm.run_folder import versions
from adora_mm.training_data import RunProblems


def check_visible(paths: Iterable[Path], remedy: str) -> None:
    """Raise FirstRankError, on all ranks, when one does not see what rank 0 sees; collective."""
    # An empty folder is often a place where nothing was mounted.
    wanted = [each for path in sorted(paths) for each in (path, path / "manifest.json")]
    seen = [str(path) for path in wanted if path.exists()]
    places = distributed.gather((socket.gethostname(), seen))
    first_machine, expected = places[0]
    for rank, (machine, found) in enumerate(places):
        missing = [path for path in expected if path not in found]
        if missing:
            raise FirstRankError(
                f"{missing[0]}: rank 0 on {first_machine} sees it, rank {rank} on {machine} does "
                f"not; keep it on a file system that all machines share, or copy it. {remedy}"
            )


def check_same_start(config: RunConfig, problems: RunProblems) -> None:
    """Raise FirstRankError, on all ranks, when a machine has another recipe, other problems or
    other packages than rank 0's; collective. Reads every picture once on each machine."""
    if distributed.on_one_machine():
        return
    facts: dict[str, str] | None = None
    if os.environ["LOCAL_RANK"] == "0":  # it speaks for its machine
        recipe = hashlib.sha256(dump_config(config).encode()).hexdigest()
        facts = {
            **versions(),
            "recipe": recipe[:12],
            "data.train": fingerprint(problems.train)[:12],
            "data.val": fingerprint(problems.val)[:12],
        }
    _compare(distributed.gather((socket.gethostname(), facts)))


def _compare(places: Iterable[tuple[str, Mapping[str, str] | None]]) -> None:
    """Machine and facts of every rank, or None for those that are spoken for."""
    (first_machine, expected), *others = places
    for rank, (machine, facts) in enumerate(others, start=1):
        for name, value in (facts or {}).items():
            if value != (expected or {})[name]:
                raise FirstRankError(
                    f"rank {rank} on {machine} starts with {name} {value}, rank 0 on "
                    f"{first_machine} with {(expected or {})[name]}; all machines need the same "
                    "command, checkout and data"
                )
