"""The folder of one run: created once, refused to a second run, continued on request.

config.yaml  run.json  metrics.jsonl  timings.jsonl  evals.jsonl  groups.jsonl  outcomes.jsonl
samples/train.jsonl  samples/eval.jsonl  tensorboard/  wandb/  checkpoints/  faults/  report.html
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import itertools
import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO

import yaml

from adora_mm import __version__
from adora_mm.checkpoint import latest_checkpoint
from adora_mm.config import RunConfig, dump_config
from adora_mm.files import write_atomically

FREE_SECTIONS = frozenset({"engine", "checkpoint", "checker", "faults", "logging"})
"""Sections of a recipe that say how to run and not what; they may change on resume."""
FREE_KEYS = {
    "rollout": frozenset({"max_rows", "vllm"}),
    "train": frozenset({"batching", "groups_per_microbatch", "max_tokens_per_microbatch"}),
}
"""The same for single keys."""
PACKAGES = ("torch", "transformers", "deepspeed", "numpy", "pillow", "sympy")


class RunFolderError(ValueError):
    """A run folder that cannot be used as asked."""


class RunFolder:
    """Paths of a run, its lock and its `run.json`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.faults = path / "faults"
        self._lock: TextIO | None = None
        self._info: dict[str, Any] = {}

    def check_free(self, *, resume: bool) -> None:
        """Raise RunFolderError when another run is there; writes nothing."""
        if self._started and not resume:
            raise RunFolderError(
                f"{self.path} already holds a run; add --resume to go on with it, or choose "
                "another name=... (or delete the folder)"
            )

    def open(self, config: RunConfig, *, resume: bool) -> Path | None:
        """Create the folder, or continue it; returns the checkpoint to resume from.

        Raises RunFolderError like `check_free`, when another process holds the folder, or when the
        recipe differs from the one that is being resumed.
        """
        self.check_free(resume=resume)
        self.path.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        if not self._started:
            write_atomically(self.path / "config.yaml", dump_config(config))
            return None
        self._compare(config)
        self._info = json.loads((self.path / "run.json").read_text("utf-8"))
        return latest_checkpoint(self.checkpoints)

    @property
    def _started(self) -> bool:
        return (self.path / "run.json").exists()

    def update_info(self, **values: Any) -> None:
        """Merge values into run.json."""
        self._info |= values
        write_atomically(self.path / "run.json", json.dumps(self._info, indent=1) + "\n")

    @property
    def info(self) -> Mapping[str, Any]:
        return self._info

    def close(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _take_lock(self) -> None:
        lock = (self.path / ".lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise RunFolderError(
                f"{self.path} is in use by another process; wait for it or choose another name=..."
            ) from None
        self._lock = lock

    def _compare(self, config: RunConfig) -> None:
        """Refuse to resume a run with another recipe; what only says how to run may change."""
        path = self.path / "config.yaml"
        old, new = yaml.safe_load(path.read_text("utf-8")), yaml.safe_load(dump_config(config))
        changed = _first_difference(_without_free(old), _without_free(new))
        if changed is not None:
            raise RunFolderError(
                f"{self.path} was started with another recipe (differs at `{changed}`); resume "
                "with the same one, or choose another name=..."
            )
        write_atomically(path, dump_config(config))


def check_disk(path: Path, needed_bytes: int) -> None:
    """Raise RunFolderError when the disk below `path` has less than `needed_bytes` free."""
    existing = next(p for p in (path, *path.absolute().parents) if p.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise RunFolderError(
            f"{path}: {free / 1e9:.1f} GB free, but the run's checkpoints need about "
            f"{needed_bytes / 1e9:.1f} GB; free some, lower checkpoint.keep_last, or set run_dir="
        )


def versions() -> dict[str, str]:
    """Versions of this package and of those that change numbers."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {"adora-mm": __version__, **found}


def git_revision() -> str | None:
    """The commit of the source tree, if the package runs from one."""
    root = Path(__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None  # installed somewhere, perhaps inside another repository
    try:
        done = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _without_free(recipe: dict[str, Any]) -> dict[str, Any]:
    """A recipe without the keys that may change on resume."""
    kept = {key: value for key, value in recipe.items() if key not in FREE_SECTIONS}
    for section, free in FREE_KEYS.items():
        kept[section] = {k: v for k, v in kept[section].items() if k not in free}
    return kept


def _first_difference(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    """The first line of the new recipe that the old one has otherwise; None when there is none."""
    if old == new:
        return None
    before, after = (yaml.safe_dump(recipe, sort_keys=False).splitlines() for recipe in (old, new))
    pairs = itertools.zip_longest(before, after, fillvalue="")
    return next(b.strip() or a.strip() for a, b in pairs if a != b)
