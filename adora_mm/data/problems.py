"""Data folders and `.jsonl` files as checked `Problem` records, and what identifies their content.

A folder holds `problems.jsonl`, `images/` and a `manifest.json` that is written last, so a missing
manifest means an interrupted run, and the manifest's checksum tells a changed file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adora_mm.data.images import read_image
from adora_mm.data.messages import embedded_image, read_messages
from adora_mm.types import Problem

FORMAT_VERSION = 1
_REQUIRED = ("id", "question", "answer")
_TEXT_FIELDS = (*_REQUIRED, "source", "split", "answer_type")
_LIST_FIELDS = ("images", "choices")
_FIELDS = frozenset((*_TEXT_FIELDS, *_LIST_FIELDS, "messages", "metadata"))


def problem_record(problem: Problem, images: Sequence[str]) -> dict[str, Any]:
    """One line of `problems.jsonl`; `images` replaces the problem's own paths (names or hashes)."""
    record: dict[str, Any] = {
        "id": problem.id,
        "question": problem.question,
        "answer": problem.answer,
        "images": list(images),
        "choices": list(problem.choices),
        "source": problem.source,
        "split": problem.split,
        "answer_type": problem.answer_type,
        "metadata": dict(problem.metadata),
    }
    if problem.messages:  # absent otherwise: fingerprints of folders without them stay
        record["messages"] = [dict(message) for message in problem.messages]
    return record


def load_problems(
    folder: str | Path, *, split: str | None = None, limit: int | None = None
) -> list[Problem]:
    """Problems of a data folder, or of a `.jsonl` file, in file order.

    `folder` may name the split itself: `data/geo3k@train`. `limit` keeps the first problems of the
    split. Every row is checked, also those of other splits, but images are not opened (see
    `check_images`). Raises ValueError naming the file and row, or the splits that exist.
    """
    path, split = _split_suffix(folder, split)
    if limit is not None and limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    file = _problems_file(path)
    problems = _parse_file(file)
    chosen = [problem for problem in problems if split is None or problem.split == split]
    if not problems:
        raise ValueError(f"{file}: holds no problems")
    if not chosen:
        existing = ", ".join(repr(name) for name in sorted({each.split for each in problems}))
        raise ValueError(f"{path}: no problems in split {split!r}; splits there: {existing}")
    return chosen[:limit]


def _split_suffix(folder: str | Path, split: str | None) -> tuple[Path, str | None]:
    text = os.fspath(folder)
    if "@" not in text or Path(text).exists():
        return Path(text), split
    name, _, suffix = text.rpartition("@")
    if split is not None and split != suffix:
        raise ValueError(f"{text}: names split {suffix!r}, but split={split!r} was asked for")
    return Path(name), suffix


def _problems_file(path: Path) -> Path:
    """The file to parse, after the manifest of a folder has vouched for its bytes."""
    if path.is_file():
        return path
    if not path.is_dir():
        raise ValueError(f"{path}: no such data folder; make one with adora prep")
    manifest_file, file = path / "manifest.json", path / "problems.jsonl"
    if not manifest_file.is_file():
        raise ValueError(f"{path}: incomplete folder: no manifest.json; run adora prep again")
    try:
        manifest = json.loads(manifest_file.read_bytes())
        version, expected = manifest["format_version"], manifest["problems_sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{manifest_file}: not a manifest of adora prep; run it again") from error
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: has format {version}, this release reads {FORMAT_VERSION}")
    if not file.is_file() or hashlib.sha256(file.read_bytes()).hexdigest() != expected:
        raise ValueError(
            f"{file}: missing or changed since the manifest was written; run adora prep again with "
            "--overwrite, or load the .jsonl file itself"
        )
    return file


def _parse_file(file: Path) -> list[Problem]:
    folder = Path(os.path.abspath(file.parent))
    rows_by_id: dict[str, int] = {}
    problems: list[Problem] = []
    with file.open("rb") as lines:
        for row, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                problem = _parse_row(line, folder)
            except ValueError as error:
                raise ValueError(f"{file}, row {row}: {error}") from error
            if problem.id in rows_by_id:
                raise ValueError(
                    f"{file}, row {row}: id {problem.id!r} was used in row "
                    f"{rows_by_id[problem.id]}; ids must be unique"
                )
            rows_by_id[problem.id] = row
            problems.append(problem)
    return problems


def _parse_row(line: bytes, folder: Path) -> Problem:
    try:
        record = json.loads(line, parse_constant=_refuse_constant)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from error
    if not isinstance(record, dict):
        raise ValueError("not a JSON object")
    messages = _take_messages(record) if "messages" in record else ()
    for name in _REQUIRED:
        if not (isinstance(record.get(name), str) and record[name].strip()):
            raise ValueError(f"{name!r} must be a non-empty string, not {record.get(name)!r}")
    unknown = sorted(set(record) - _FIELDS)
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; put extra values under 'metadata'")
    texts = {name: _text(record.get(name, ""), name) for name in _TEXT_FIELDS}
    metadata = record.get("metadata", {})
    if not isinstance(metadata, dict):
        raise ValueError("'metadata' must be an object")
    return Problem(
        images=tuple(inside(folder, name) for name in _texts(record, "images")),
        choices=_texts(record, "choices"),
        messages=messages,
        metadata=metadata,
        **texts,
    )


def _take_messages(record: dict[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """A row's messages; its images and, unless it has one, its question are filled in from them."""
    own = _texts(record, "images")
    read = read_messages(record["messages"], tags=bool(own))
    record["question"] = record.get("question") or read.question
    named = [address for address in read.addresses if address is not None]
    for address in named:
        if embedded_image(address) is not None:
            raise ValueError("an image in base64; adora prep jsonl writes such images to files")
    if named and own:
        raise ValueError("images are named in 'messages' and in 'images'; name them once")
    if named:
        record["images"] = named
    if len(record.get("images", ())) != len(read.addresses):
        raise ValueError(
            f"'messages' have {len(read.addresses)} image parts, but {len(named or own)} images "
            "are named"
        )
    return read.messages


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON; use null or a string")


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name!r} must be a string, not {value!r}")
    return value


def _texts(record: Mapping[str, Any], name: str) -> tuple[str, ...]:
    values = record.get(name, [])
    if not isinstance(values, list):
        raise ValueError(f"{name!r} must be a list of strings, not {values!r}")
    return tuple(_text(value, name) for value in values)


def inside(folder: Path, name: str) -> Path:
    """`folder/name`. Raises ValueError when the name points outside (data comes from strangers)."""
    path = Path(os.path.normpath(folder / name))
    if not name or "\0" in name or not path.is_relative_to(folder):
        raise ValueError(f"image path {name!r} must stay inside {folder}")
    return path


class Fingerprint:
    """SHA-256 over problems in order, images by content: equal folders agree wherever they lie."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def add(self, problem: Problem, image_sha256: Sequence[str]) -> None:
        record = problem_record(problem, image_sha256)
        line = json.dumps(record, sort_keys=True, ensure_ascii=True, allow_nan=False)
        self._digest.update(line.encode() + b"\n")

    def hexdigest(self) -> str:
        return self._digest.hexdigest()


def fingerprint(problems: Iterable[Problem]) -> str:
    """Fingerprint of loaded problems; equals the manifest's when a whole folder was loaded.

    Reads every image file once. Raises ImageError when one cannot be read.
    """
    whole = Fingerprint()
    known: dict[Path, str] = {}
    for problem in problems:
        for path in problem.images:
            if path not in known:
                known[path] = hashlib.sha256(read_image(path, problem.id)).hexdigest()
        whole.add(problem, [known[path] for path in problem.images])
    return whole.hexdigest()
