"""`manifest.json`: everything that decides a run's responses, written before the first one.

Its hash is the run's identity: every response carries it, and a folder that was started with other
settings is refused with the name of the first one that differs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from adora_mm.files import write_atomically

SCHEMA = "adora-mm/evaluation-manifest"
SCHEMA_VERSION = 1
FREE = frozenset({"git_revision", "model.path", "data.folder"})
"""Facts that are recorded but do not make another run of it."""
_CHUNK = 1 << 22


def open_manifest(folder: Path, settings: Mapping[str, Any]) -> str:
    """Write the manifest, or compare it with the one that is there; returns the run's identity.

    Raises ValueError naming the first setting that differs.
    """
    wanted = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, **settings}
    wanted = json.loads(json.dumps(wanted, ensure_ascii=False))  # tuples become lists
    path = folder / "manifest.json"
    if path.is_file():
        stored = read_manifest(folder)
        difference = next(iter(differences(stored, wanted)), None)
        if difference is not None:
            name, old, new = difference
            raise ValueError(
                f"{folder}: was started with {name} = {_short(old)}, this is {_short(new)}; "
                "results of different settings are not mixed: choose another --out"
            )
        return identity(stored)
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "responses.jsonl").exists() or (folder / "results.json").exists():
        raise ValueError(
            f"{folder}: already holds results without a manifest; choose another --out"
        )
    write_atomically(path, json.dumps(wanted, indent=1, ensure_ascii=False) + "\n")
    return identity(wanted)


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a run; raises ValueError when the folder is none or of another version."""
    absent = f"{folder}: not an evaluation run (no readable manifest.json)"
    return read_versioned(folder / "manifest.json", SCHEMA, SCHEMA_VERSION, absent=absent)


def read_versioned(
    path: Path, schema: str, version: int, *, absent: str, again: str = ""
) -> dict[str, Any]:
    """A JSON file of one schema and version.

    Raises ValueError: `absent` for no JSON file, else what it is; `again` says what would mend it.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{absent}{again}") from error
    if not isinstance(content, dict) or content.get("schema") != schema:
        raise ValueError(f"{path}: is no {schema}{again}")
    if content.get("schema_version") != version:
        raise ValueError(
            f"{path}: has version {content.get('schema_version')}, this release reads "
            f"{version}{again}"
        )
    return content


def identity(manifest: Mapping[str, Any]) -> str:
    """Sixteen hex digits that two manifests share when they would give the same responses."""
    kept = {name: value for name, value in _leaves(manifest) if name not in FREE}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """(name, value there, value here) of every setting that decides responses and differs."""
    left, right = dict(_leaves(one)), dict(_leaves(other))
    for name in sorted(left.keys() | right.keys()):
        if name not in FREE and left.get(name) != right.get(name):
            yield name, left.get(name), right.get(name)


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def model_fingerprint(path: Path | str) -> dict[str, Any]:
    """What identifies a model: SHA-256 over a folder's files, or a hub name as it is.

    Every byte is read once, so that two checkpoints of one training run differ.
    """
    folder = Path(path)
    if not folder.is_dir():
        return {"path": str(path), "name": str(path), "sha256": None}
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or any(
            part.startswith(".") for part in file.parts[len(folder.parts) :]
        ):
            continue
        digest.update(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as data:
            while chunk := data.read(_CHUNK):
                digest.update(chunk)
    return {"path": str(path), "name": folder.name, "sha256": digest.hexdigest()}


def text_sha256(text: str) -> str:
    """Of a prompt, for the manifest."""
    return hashlib.sha256(text.encode()).hexdigest()


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
