"""Which data sets are on this machine: prepared folders, published files, the hub cache."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from data_prep.sources import SOURCES, Source


def find_local(folders: Iterable[Path]) -> dict[str, list[str]]:
    """Source -> what was found in the folders, one level below them, and in the hub cache.

    A raw data set counts when its source reads a first problem from it. Folders that are missing
    hold nothing.
    """
    found: dict[str, list[str]] = {}
    for folder in _candidates(folders):
        prepared = _prepared(folder)
        if prepared is not None:
            name, count = prepared
            found.setdefault(name, []).append(f"{folder} (prepared, {count} problems)")
            continue
        for name, source in SOURCES.items():
            if name not in ("jsonl", "parquet") and _reads(source, folder):
                found.setdefault(name, []).append(f"{folder} (as published)")
    for name, source in SOURCES.items():
        if source.hub and _cached(source.hub):
            found.setdefault(name, []).append(f"{source.hub} (hub cache)")
    return found


def _candidates(folders: Iterable[Path]) -> list[Path]:
    there = [folder for folder in folders if folder.is_dir()]
    below = [path for folder in there for path in sorted(folder.iterdir()) if path.is_dir()]
    return [path for path in (*there, *below) if not path.name.startswith(".")]


def _prepared(folder: Path) -> tuple[str, int] | None:
    """The source and the number of problems of a data folder; None for any other folder."""
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
        return str(manifest["source"]), int(manifest["problems"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _reads(source: Source, folder: Path) -> bool:
    try:
        return next(source.read(folder, limit=1), None) is not None
    except (ValueError, OSError):
        return False


def _cached(name: str) -> bool:
    from huggingface_hub.constants import HF_HUB_CACHE

    snapshots = Path(HF_HUB_CACHE) / f"datasets--{name.replace('/', '--')}" / "snapshots"
    return snapshots.is_dir() and any(snapshots.iterdir())
