"""Data folders as material for new ones: their problems as entries, licences and origin."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from adora_mm.data.images import read_image
from adora_mm.types import Problem
from data_prep.writer import Entry


def stored_entries(problems: Iterable[Problem]) -> Iterator[Entry]:
    """Loaded problems with their pictures, which are read one problem at a time.

    Raises ImageError when a picture cannot be read.
    """
    for problem in problems:
        images = tuple(read_image(path, problem.id) for path in problem.images)
        yield Entry(problem=replace(problem, images=()), images=images)


def folder_and_split(data: str) -> tuple[Path, str]:
    """The folder or file that `FOLDER@SPLIT` names, and the split, empty for all."""
    if Path(data).exists() or "@" not in data:
        return Path(data), ""
    folder, _, split = data.rpartition("@")
    return Path(folder), split


def manifest_of(data: str) -> Mapping[str, Any]:
    """The manifest of a data folder; empty for a `.jsonl` file."""
    file = folder_and_split(data)[0] / "manifest.json"
    manifest: Mapping[str, Any] = json.loads(file.read_bytes()) if file.is_file() else {}
    return manifest


def licences(sets: Iterable[str]) -> str:
    """The licences of several data folders, each once."""
    found = (str(manifest_of(data).get("licence", "unknown")) for data in sets)
    return "; ".join(dict.fromkeys(found))


def set_name(data: str) -> str:
    """The folder's name and the split, without this machine's folders."""
    folder, split = folder_and_split(data)
    return folder.resolve().name + (f"@{split}" if split else "")


def origin(data: str) -> dict[str, Any]:
    """What identifies a set in another manifest: its name without this machine's folders, its
    fingerprint."""
    return {"set": set_name(data), "fingerprint": manifest_of(data).get("fingerprint", "")}
