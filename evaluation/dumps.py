"""Published answers of other harnesses: one small reader per format, listed in `FORMATS`.

A reader gives a `DumpRow` per answer. Golds come with the row where the format has them, else from
the benchmark's own problems. `label` is what the other harness decided, if it says so.
"""

from __future__ import annotations

import ast
import csv
import json
import string
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

from data_prep.sources.rows import RowError, jsonl_rows, parse_object

MAX_LIST_CHARS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpRow:
    """One published answer."""

    problem: str
    """The data set's own id, without any prefix."""
    sample: int
    response: str
    question: str = ""
    answer: str | None = None
    choices: tuple[str, ...] = ()
    label: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpFormat:
    """One format as the command line lists it."""

    read: Callable[[Path], Iterator[DumpRow]]
    benchmark: str
    """Whose profile scores it unless --benchmark says otherwise; empty: --benchmark is needed."""
    prefix: str
    """What this project puts before the data set's ids; used when golds come from the problems."""
    summary: str


def _mathv(path: Path) -> Iterator[DumpRow]:
    for where, record in _json_lines(path):
        yield DumpRow(
            problem=_text(record, "id", where),
            sample=0,
            response=_response(record.get("response")),
            label=record.get("correct") if isinstance(record.get("correct"), bool) else None,
        )


def _mathvista(path: Path) -> Iterator[DumpRow]:
    records = _json(path)
    if not isinstance(records, dict):
        raise ValueError(f"{path}: expected an object of problems by pid")
    for key, record in records.items():
        if not isinstance(record, dict):
            raise ValueError(f"{path}, key {key!r}: not an object")
        answer, choices = record.get("answer"), record.get("choices") or []
        if not isinstance(choices, list):
            raise ValueError(f"{path}, key {key!r}: 'choices' is not a list")
        yield DumpRow(
            problem=key,
            sample=0,
            response=_response(record.get("response")),
            question=str(record.get("question") or ""),
            answer=None if answer is None else str(answer),
            choices=tuple(map(str, choices)),
            label=record.get("true_false") if isinstance(record.get("true_false"), bool) else None,
        )


def _vlmevalkit(path: Path) -> Iterator[DumpRow]:
    for number, record in enumerate(_table(path), start=2):
        where = f"{path}, row {number}"
        if "prediction" not in record:
            raise ValueError(f"{where}: no column 'prediction'; columns: {', '.join(record)}")
        gold = "answer_option" if record.get("answer_option") else "answer"
        choices: list[str] = []
        for letter in string.ascii_uppercase:
            if not record.get(letter):
                break
            choices.append(record[letter])
        yield DumpRow(
            problem=_text(record, "index", where),
            sample=0,
            response=record["prediction"],
            question=record.get("question", ""),
            answer=_text(record, gold, where),
            choices=tuple(choices) or _list(record.get("choices", "")),
            label=_flag(record.get("hit", "")),
        )


def _qwen_math(path: Path) -> Iterator[DumpRow]:
    for where, record in _json_lines(path):
        codes, labels = record.get("code"), record.get("score")
        if not isinstance(codes, list) or "gt" not in record:
            raise ValueError(f"{where}: expected a list 'code' and a gold 'gt'")
        for sample, code in enumerate(codes):
            known = isinstance(labels, list) and sample < len(labels)
            label = labels[sample] if isinstance(labels, list) and known else None
            yield DumpRow(
                problem=_text(record, "idx", where),
                sample=sample,
                response=_response(code),
                question=str(record.get("question") or ""),
                answer=str(record["gt"]),
                label=label if isinstance(label, bool) else None,
            )


FORMATS: dict[str, DumpFormat] = {
    "mathv": DumpFormat(
        read=_mathv,
        benchmark="mathvision",
        prefix="mathvision-",
        summary="outputs/*.jsonl of MATH-V: id, response, correct; golds from --data",
    ),
    "mathvista": DumpFormat(
        read=_mathvista,
        benchmark="mathvista",
        prefix="mathvista-",
        summary="output_*.json of MathVista: response, answer, choices, true_false by pid",
    ),
    "vlmevalkit": DumpFormat(
        read=_vlmevalkit,
        benchmark="",
        prefix="",
        summary=".xlsx, .tsv, .csv or .json of VLMEvalKit: index, question, prediction, answer",
    ),
    "qwen-math": DumpFormat(
        read=_qwen_math,
        benchmark="math500",
        prefix="",
        summary=".jsonl of Qwen2.5-Math: idx, question, gt, code (list), score (list)",
    ),
}


def _json_lines(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for where, line in jsonl_rows(path):
        try:
            yield where, parse_object(line)
        except RowError as error:
            raise ValueError(f"{where}: {error}") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error})") from error


def _table(path: Path) -> Iterator[dict[str, str]]:
    """Rows of a table as texts, by column."""
    kind = path.suffix.lower()
    if kind == ".xlsx":
        yield from _sheet(path)
    elif kind in (".tsv", ".csv"):
        yield from _separated(path, "\t" if kind == ".tsv" else ",")
    elif kind == ".json":
        records = _json(path)
        if not isinstance(records, list):
            raise ValueError(f"{path}: expected a list of rows")
        for number, record in enumerate(records, start=1):
            if not isinstance(record, dict):
                raise ValueError(f"{path}, row {number}: not an object")
            yield {key: _response(value) for key, value in record.items()}
    else:
        raise ValueError(f"{path}: .xlsx, .tsv, .csv or .json is read (a pickle runs code: never)")


def _separated(path: Path, delimiter: str) -> Iterator[dict[str, str]]:
    """Rows of a text table; a byte order mark is no part of the first column's name."""
    csv.field_size_limit(sys.maxsize)  # responses and base64 images are long
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file, delimiter=delimiter)
        try:
            for row in rows:
                yield {key: value or "" for key, value in row.items() if key is not None}
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}, line {rows.line_num + 1}: not readable ({error})") from error


def _sheet(path: Path) -> Iterator[dict[str, str]]:
    """Rows of the first sheet. An answer that begins with "=" was stored as a formula: its text
    counts, because the writer had no value to store for it."""
    try:
        import openpyxl
        from openpyxl.utils.escape import unescape
        from openpyxl.utils.exceptions import InvalidFileException
    except ImportError as error:
        raise ValueError(f"{path}: .xlsx needs openpyxl: pip install 'adora-mm[dumps]'") from error
    try:
        with closing(openpyxl.load_workbook(path, read_only=True)) as book:
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some writers state a wrong size; cells would be left out
            names: list[str] | None = None
            for row in sheet.iter_rows(values_only=True):
                cells = [unescape(_response(value)) for value in row]
                if names is None:
                    names = cells
                    continue
                pairs = zip_longest(names, cells, fillvalue="")  # a row ends with its last cell
                yield {name: text for name, text in pairs if name}
    except (OSError, BadZipFile, InvalidFileException, KeyError, IndexError, SyntaxError) as error:
        raise ValueError(f"{path}: not a readable .xlsx file ({error})") from error


def _text(record: Mapping[str, Any], column: str, where: str) -> str:
    value = record.get(column)
    if value is None or str(value) == "":
        raise ValueError(f"{where}: no {column!r}; columns: {', '.join(map(str, record))}")
    return str(value)


def _response(value: object) -> str:
    """A text as it is; no reply is empty; other values as they print."""
    return value if isinstance(value, str) else "" if value is None else str(value)


def _list(text: str) -> tuple[str, ...]:
    """A list as Python or JSON writes it (`literal_eval` runs nothing); empty for all else."""
    if not text.startswith("[") or len(text) > MAX_LIST_CHARS:
        return ()
    try:
        values = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return ()
    return tuple(str(value) for value in values) if isinstance(values, list) else ()


def _flag(text: str) -> bool | None:
    known = {"1": True, "1.0": True, "true": True, "0": False, "0.0": False, "false": False}
    return known.get(text.strip().lower())
