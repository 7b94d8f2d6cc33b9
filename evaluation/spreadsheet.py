"""The first sheet of an .xlsx file as rows of texts, with the standard library alone.

An .xlsx file is a zip of XML (ECMA-376): cells hold numbers, inline texts, or places in a table of
shared texts. Styles, formulas (their stored value counts) and dates as dates are left aside.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
MAX_PART_BYTES = 2_000_000_000


def read_xlsx(path: Path) -> Iterator[dict[str, str]]:
    """Rows by the names in the first row; empty cells are empty texts.

    Raises ValueError for a file that is no such spreadsheet.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            sheets = sorted(name for name in names if re.fullmatch(r"xl/worksheets/.+\.xml", name))
            if not sheets or any(info.file_size > MAX_PART_BYTES for info in archive.infolist()):
                raise ValueError(f"{path}: no sheet of a usable size in this .xlsx file")
            shared: list[str] = []
            if "xl/sharedStrings.xml" in names:
                table = ElementTree.fromstring(archive.read("xl/sharedStrings.xml"))
                shared = [_joined(entry) for entry in table.iter(f"{_MAIN}si")]
            sheet = ElementTree.fromstring(archive.read(sheets[0]))
    except (OSError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise ValueError(f"{path}: not a readable .xlsx file ({error})") from error
    header: list[str] = []
    for row in sheet.iter(f"{_MAIN}row"):
        cells = _cells(row, shared)
        if not header:
            width = max(cells, default=-1) + 1
            header = [cells.get(place, "") for place in range(width)]
            continue
        yield {name: cells.get(place, "") for place, name in enumerate(header) if name}


def _cells(row: ElementTree.Element, shared: list[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for place, cell in enumerate(row.iter(f"{_MAIN}c")):
        kind, value = cell.get("t", "n"), cell.find(f"{_MAIN}v")
        if kind == "inlineStr":
            text = _joined(cell)
        elif value is None or value.text is None:
            continue
        elif kind == "s":
            text = shared[int(value.text)]
        else:
            text = value.text
        found[_column(cell.get("r", ""), place)] = text
    return found


def _joined(node: ElementTree.Element) -> str:
    text = "".join(part.text or "" for part in node.iter(f"{_MAIN}t"))
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 16)), text)


def _column(reference: str, place: int) -> int:
    """`C7` is column 2; a cell without a reference stands at its place in the row."""
    letters = re.match(r"[A-Z]+", reference)
    if letters is None:
        return place
    number = 0
    for letter in letters.group():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1
