"""Rows from the files that data sets come in: parquet, arrow, JSON and JSON lines; hub names.

Parquet and arrow files are read in small batches, so memory does not grow with the file. A hub name
(`owner/name` or `owner/name@revision`) becomes a folder of the user's hub cache: downloaded where
the hub can be reached, taken from the cache where it cannot. Files that can hold code (pickles) are
never read.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data_prep.sources.rows import RawRows, RowError, image_bytes, jsonl_rows, parse_object

BATCH_ROWS = 32
BUFFER_BYTES = 1 << 20
TABLES = (".parquet", ".arrow", ".jsonl", ".json")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?")
_SNAPSHOT = re.compile(r"[0-9a-f]{40}")
_DOWNLOADED = ["*.parquet", "*.arrow", "*.jsonl", "*.json", "*.png", "*.jpg", "*.jpeg"]


def is_hub_name(path: Path) -> bool:
    """Whether `--from` names a hub data set rather than something on this disk."""
    return not path.exists() and _HUB_NAME.fullmatch(str(path)) is not None


def local_copy(path: Path) -> Path:
    """The path itself, or the folder in the hub cache of a hub name.

    Raises ValueError, with what to do instead, when the hub cannot be reached and the cache does
    not hold the set.
    """
    if not is_hub_name(path):
        return path
    from huggingface_hub import snapshot_download

    name, _, revision = str(path).partition("@")
    try:
        return Path(
            snapshot_download(
                name,
                repo_type="dataset",
                revision=revision or None,
                allow_patterns=_DOWNLOADED,
            )
        )
    except OSError as error:  # the hub's own errors are OSErrors too
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"{path}: no such file or folder, and the hub did not give it ({reason}); download it "
            "elsewhere and pass its folder"
        ) from error


def revision_of(folder: Path) -> str:
    """The commit of a folder in the hub cache, empty for any other folder."""
    return folder.name if _SNAPSHOT.fullmatch(folder.name) else ""


def split_files(
    path: Path, split_names: Mapping[str, str], split: str | None = None
) -> list[tuple[str, Path]]:
    """(split, file) of every table whose name or folder begins with a known split's name.

    `split_names` maps what files are called (`validation`) to splits (`val`), in the order wanted;
    a single file with another name counts as the first split. Names such as
    `train-00000-of-00001.parquet`, `train/0000.parquet` and `set_train.jsonl` are understood.
    """
    order = list(dict.fromkeys(split_names.values()))
    if path.is_file():
        named = _split_of(path, split_names) or split or order[0]
        return [(named, path)] if split in (None, named) else []
    found: list[tuple[int, str, Path]] = []
    for suffix in TABLES:
        for file in path.rglob(f"*{suffix}"):
            name = _split_of(file, split_names)
            if name is not None and split in (None, name):
                found.append((order.index(name), file.relative_to(path).as_posix(), file))
    return [(order[index], file) for index, _, file in sorted(found)]


def _split_of(file: Path, split_names: Mapping[str, str]) -> str | None:
    words = [word.lower() for word in re.split(r"[-_.]", file.name)]
    for word in (words[0], *words[1:-1], file.parent.name.lower()):
        if word in split_names:
            return split_names[word]
    return None


def table_rows(file: Path) -> RawRows:
    """The rows of one file, each with `file, row N` for messages; see `as_record`.

    A JSON file holds a list of objects, or an object of them, whose keys become `_key`. Raises
    ValueError for missing files and unknown kinds.
    """
    if not file.is_file():
        raise ValueError(f"{file}: no such file")
    if file.suffix not in TABLES:
        raise ValueError(f"{file}: not a table that is read; known: {', '.join(TABLES)}")
    if file.suffix == ".jsonl":
        return jsonl_rows(file)
    return _json_rows(file) if file.suffix == ".json" else _arrow_rows(file)


def split_rows(files: Iterable[tuple[str, Path]]) -> RawRows:
    """The rows of several tables as (split, number within the split, the table's folder, row).

    The folder is resolved, so that paths of pictures can be looked up inside it.
    """
    numbers: Counter[str] = Counter()
    for split, file in files:
        for where, row in table_rows(file):
            numbers[split] += 1
            yield where, (split, numbers[split], file.parent.resolve(), row)


def as_record(row: Any) -> Mapping[str, Any]:
    """The columns of a row. Raises RowError for a line or a member that is not a JSON object."""
    if isinstance(row, bytes):
        return parse_object(row)
    if not isinstance(row, Mapping):
        raise RowError("not JSON", "not a JSON object")
    return row


def _json_rows(file: Path) -> RawRows:
    try:
        content = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{file}: not JSON ({error})") from error
    keyed: Iterable[tuple[Any, Any]]
    if isinstance(content, dict):
        keyed = content.items()
    elif isinstance(content, list):
        keyed = enumerate(content, start=1)
    else:
        raise ValueError(f"{file}: neither a list nor an object of problems")
    for number, (key, record) in enumerate(keyed, start=1):
        named = record | {"_key": str(key)} if isinstance(record, dict) else record
        yield f"{file}, row {number}", named


def _arrow_rows(file: Path) -> RawRows:
    try:
        import pyarrow
    except ImportError as error:
        raise ValueError(
            f"{file}: {file.suffix} files need pyarrow: pip install pyarrow"
        ) from error
    number = 0
    try:
        for batch in _batches(file):
            for row in batch.to_pylist():
                number += 1
                yield f"{file}, row {number}", row
    except (OSError, pyarrow.ArrowException) as error:
        raise ValueError(f"{file}: cannot be read as {file.suffix[1:]} ({error})") from error


def _batches(file: Path) -> Iterator[Any]:
    """Small record batches; arrow files come as a stream (the `datasets` cache) or as a file."""
    import pyarrow
    from pyarrow import ipc, parquet

    if file.suffix == ".parquet":
        # one row group after another, page by page: by default whole groups are read ahead
        with parquet.ParquetFile(file, buffer_size=BUFFER_BYTES, pre_buffer=False) as table:
            for group in range(table.num_row_groups):
                yield from table.iter_batches(BATCH_ROWS, row_groups=[group], use_threads=False)
        return
    with pyarrow.memory_map(str(file)) as source:
        try:
            reader = iter(ipc.open_stream(source))
        except pyarrow.ArrowInvalid:
            whole = ipc.open_file(source)
            reader = (whole.get_batch(index) for index in range(whole.num_record_batches))
        for batch in reader:
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


def cell(record: Mapping[str, Any], column: str) -> Any:
    """The value of a column; `reward_model.ground_truth` looks inside nested columns."""
    if column in record:
        return record[column]
    value: Any = record
    for name in column.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return None
        value = value[name]
    return value


def cell_images(record: Mapping[str, Any], column: str, folder: Path) -> tuple[bytes, ...]:
    """The encoded pictures of a column: bytes, `{"bytes", "path"}`, a path, or a list of these.

    Paths are looked up inside `folder`. Raises RowError for anything else.
    """
    value = cell(record, column)
    if value is None or value == "":
        return ()
    return tuple(
        _picture(each, column, folder) for each in (value if isinstance(value, list) else [value])
    )


def _picture(value: object, column: str, folder: Path) -> bytes:
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str) and value:
        return image_bytes(folder, value)
    raise RowError(f"bad {column}", f"column {column!r} holds no image, but {value!r:.60}")
