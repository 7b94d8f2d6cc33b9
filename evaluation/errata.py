"""Known faults of published gold answers, one table per benchmark; scores are given with and
without those problems.

`errata/NAME.tsv` has the columns id, reason. Each row was looked at; additions welcome.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent / "errata"


def load_errata(benchmark: str) -> dict[str, str]:
    """Problem id to the reason why its gold is broken; empty without a table.

    Raises ValueError for a line that is not `id<TAB>reason`.
    """
    path = FOLDER / f"{benchmark}.tsv"
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, mark, reason = line.partition("\t")
        if not mark or not reason.strip() or name in found:
            raise ValueError(f"{path}, line {number}: expected an unused id, a tab and a reason")
        found[name] = reason.strip()
    return found
