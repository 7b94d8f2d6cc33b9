"""Write a data folder: `problems.jsonl`, `images/`, a data card, `manifest.json` last.

The folder is built under a hidden sibling name, synced, and renamed as a whole, so a reader sees
either nothing or everything; a killed run leaves only the hidden sibling, which the next run
clears. That sibling is locked while it is written: two runs for the same folder cannot mix.
Images are named by their content. Entries are consumed one at a time and their bytes are dropped
once written. No clock, host or path enters a file, so the same entries and arguments give the same
bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import filecmp
import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adora_mm.data import FORMAT_VERSION, Fingerprint, problem_record
from adora_mm.files import sync, write_atomically
from adora_mm.types import Problem
from data_prep.card import CARD, CardFacts, data_card

FORMAT = "adora-mm problems"
_OWN_NAMES = frozenset({"problems.jsonl", "images", CARD, "manifest.json"})
_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
    (b"II*\x00", "tif"),
    (b"MM\x00*", "tif"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A problem with its encoded images, before they have a place on disk."""

    problem: Problem
    """`images` must be empty: the writer decides the paths."""
    images: tuple[bytes, ...] = ()
    """Encoded files (PNG, JPEG, ...), stored unchanged."""


def write_folder(
    folder: Path,
    entries: Iterable[Entry],
    *,
    source: str,
    licence: str,
    arguments: Mapping[str, Any],
    dropped: Mapping[str, int] | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write `entries` as one finished folder and return its manifest.

    `arguments` are what reproduces the folder (JSON values). `dropped` (reason -> count) is read
    after the last entry, so that a source may fill it while it streams. A finished folder with the
    same content is left untouched; any other existing folder is refused unless `overwrite`, which
    replaces data folders only. Raises ValueError for bad entries (naming the problem), for no
    entries at all, and for a folder that must not be touched.
    """
    folder = Path(folder).resolve()
    header: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "source": source,
        "licence": licence,
        "arguments": _plain(arguments, "arguments"),
    }
    _refuse_early(folder, header, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked_sibling(folder) as partial:
        tally = _write_content(partial, entries)
        manifest = header | tally.summary() | {"dropped": dict(sorted((dropped or {}).items()))}
        write_atomically(partial / CARD, data_card(manifest, tally.card))
        text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomically(partial / "manifest.json", text)
        sync(partial)
        if _same_content(folder, partial):
            shutil.rmtree(partial)
        else:
            _publish(partial, folder, overwrite)
    return manifest


@dataclass(slots=True)
class _Tally:
    """What the manifest says about the content, counted while streaming."""

    ids: set[str] = field(default_factory=set)
    image_names: set[str] = field(default_factory=set)
    splits: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    digest: Any = field(default_factory=hashlib.sha256)
    fingerprint: Fingerprint = field(default_factory=Fingerprint)
    card: CardFacts = field(default_factory=CardFacts)

    def summary(self) -> dict[str, Any]:
        return {
            "problems": len(self.ids),
            "images": len(self.image_names),
            "splits": dict(sorted(self.splits.items())),
            "sources": dict(sorted(self.sources.items())),
            "problems_sha256": self.digest.hexdigest(),
            "fingerprint": self.fingerprint.hexdigest(),
        }


def _write_content(partial: Path, entries: Iterable[Entry]) -> _Tally:
    (partial / "images").mkdir()
    tally = _Tally()
    with (partial / "problems.jsonl").open("wb") as file:
        for entry in entries:
            line = _write_entry(partial, entry, tally)
            tally.digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    if not tally.ids:
        raise ValueError("no problems to write: the source gave no rows for these arguments")
    for name in sorted(tally.image_names):
        sync(partial / "images" / name)
    sync(partial / "images")
    return tally


def _write_entry(partial: Path, entry: Entry, tally: _Tally) -> bytes:
    problem = entry.problem
    if not problem.id or problem.id in tally.ids:
        raise ValueError(f"problem id {problem.id!r} is empty or used twice; ids must be unique")
    if problem.images:
        raise ValueError(f"problem {problem.id!r} carries image paths; give the bytes in the Entry")
    hashes = [hashlib.sha256(data).hexdigest() for data in entry.images]
    names = [
        _write_image(partial, data, sha256, problem.id, tally)
        for data, sha256 in zip(entry.images, hashes, strict=True)
    ]
    try:
        record = problem_record(problem, [f"images/{name}" for name in names])
        line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        tally.fingerprint.add(problem, hashes)
    except (TypeError, ValueError) as error:
        raise ValueError(f"problem {problem.id!r} cannot be written as JSON: {error}") from error
    tally.ids.add(problem.id)
    tally.splits[problem.split] += 1
    tally.sources[problem.source] += 1
    tally.card.add(problem, len(entry.images))
    return line


def _write_image(partial: Path, data: bytes, sha256: str, problem_id: str, tally: _Tally) -> str:
    name = f"{sha256[:16]}.{_extension(data, problem_id)}"
    path = partial / "images" / name
    if name not in tally.image_names:
        path.write_bytes(data)
        tally.image_names.add(name)
    elif path.read_bytes() != data:
        raise ValueError(f"problem {problem_id!r}: two different images share the name {name}")
    return name


def _extension(data: bytes, problem_id: str) -> str:
    for magic, extension in _MAGIC:
        if data.startswith(magic):
            return extension
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    raise ValueError(
        f"problem {problem_id!r}: image of {len(data)} bytes is not PNG, JPEG, GIF, BMP, TIFF or "
        "WebP; convert it first"
    )


def _plain(value: Mapping[str, Any], what: str) -> dict[str, Any]:
    """The value as JSON would give it back, so that it compares equal to a stored manifest's."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False, sort_keys=True))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be JSON values: {error}") from error
    return plain


def _refuse_early(folder: Path, header: Mapping[str, Any], overwrite: bool) -> None:
    """Before any work: refuse what can never be replaced, or would surely differ."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ValueError(f"{folder}: exists and is not a folder; choose another output folder")
    foreign = sorted({path.name for path in folder.iterdir()} - _OWN_NAMES)
    if foreign:
        raise ValueError(
            f"{folder}: holds {foreign[0]!r}, which is not part of a data folder, so it is never "
            "replaced; choose another output folder"
        )
    manifest = folder / "manifest.json"
    if overwrite or not any(folder.iterdir()):
        return
    if not manifest.is_file():
        raise ValueError(f"{folder}: unfinished (no manifest.json); delete it or use --overwrite")
    try:
        stored = json.loads(manifest.read_bytes())
    except ValueError as error:
        raise ValueError(f"{manifest}: not JSON ({error}); use --overwrite") from error
    difference = _first_difference(stored, header)
    if difference:
        raise ValueError(
            f"{folder}: already holds other data ({difference}); choose another output folder or "
            "use --overwrite"
        )


def _first_difference(stored: Any, header: Mapping[str, Any]) -> str:
    """The first header value that a stored manifest has otherwise; empty when they agree."""
    if not isinstance(stored, dict):
        return "its manifest is not an object"
    for key, value in header.items():
        old = stored.get(key)
        if isinstance(old, dict) and isinstance(value, dict):
            for name in sorted(old.keys() | value.keys()):
                if old.get(name) != value.get(name):
                    return f"{name} {old.get(name)!r} there, {value.get(name)!r} now"
        elif old != value:
            return f"{key} {old!r} there, {value!r} now"
    return ""


def _same_content(folder: Path, partial: Path) -> bool:
    """Whether the finished `folder` has the bytes of `partial` (images by name and size).

    The card does not count: it follows from the rest, and older folders have none.
    """
    for name in ("manifest.json", "problems.jsonl"):
        if not (folder / name).is_file():
            return False
        if not filecmp.cmp(folder / name, partial / name, shallow=False):
            return False
    return _image_sizes(folder) == _image_sizes(partial)


def _image_sizes(folder: Path) -> dict[str, int]:
    if not (folder / "images").is_dir():
        return {}
    return {path.name: path.stat().st_size for path in (folder / "images").iterdir()}


def _publish(partial: Path, folder: Path, overwrite: bool) -> None:
    """Rename `partial` to `folder`; an old folder steps aside first and is deleted last."""
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    if not folder.exists():
        partial.rename(folder)
    elif not overwrite:
        raise ValueError(
            f"{folder}: already holds different content; choose another output folder or use "
            "--overwrite"
        )
    else:
        aside = folder.with_name(f".{folder.name}.replaced")
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
        partial.rename(folder)
        shutil.rmtree(aside)
    sync(folder.parent)


@contextlib.contextmanager
def _locked_sibling(folder: Path) -> Iterator[Path]:
    """An empty `.<name>.partial` next to `folder`, held by one writer; removed on an error."""
    partial = folder.with_name(f".{folder.name}.partial")
    descriptor = _lock_directory(partial, folder)
    try:
        for leftover in partial.iterdir():  # of a run that was killed: its lock died with it
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        yield partial
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def _lock_directory(partial: Path, folder: Path) -> int:
    while True:
        partial.mkdir(exist_ok=True)
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if partial.exists() and os.path.samestat(os.fstat(descriptor), partial.stat()):
                return descriptor
        except BlockingIOError as error:
            os.close(descriptor)
            raise ValueError(f"{folder}: another run is writing it now; wait for it") from error
        os.close(descriptor)  # another run renamed it between the two calls: take a fresh one
