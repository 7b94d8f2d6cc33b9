r"""The labelled table: each row of `pairs/*.tsv` is a gold, a prediction and the right verdict.

Each false verdict that is met later becomes a row there. Rows are decided under the reward profile,
and all of them in process, without a worker.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from adora_mm.verify.check import decide_answer
from adora_mm.verify.profiles import PROFILES

FOLDER = Path(__file__).parent / "pairs"


def read_rows() -> list[tuple[str, str, str, str, tuple[str, ...] | None]]:
    rows = []
    for path in sorted(FOLDER.glob("*.tsv")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            verdict, gold, prediction, *rest = line.split("\t")
            options = tuple(rest[0].split(";;")) if rest else None
            rows.append((f"{path.stem}:{number}", verdict, gold, prediction, options))
    return rows


ROWS = read_rows()


def test_the_table_is_large_enough_and_well_formed() -> None:
    assert len(ROWS) >= 300
    assert {row[1] for row in ROWS} == {"+", "-"}


@pytest.mark.parametrize(
    ("where", "sign", "gold", "prediction", "options"), ROWS, ids=[row[0] for row in ROWS]
)
def test_row(
    where: str, sign: str, gold: str, prediction: str, options: tuple[str, ...] | None
) -> None:
    verdict = decide_answer(prediction, gold, options, PROFILES["reward"])
    assert verdict is not None, "the bounded path has to decide every row"
    assert verdict.correct == (sign == "+"), f"{gold!r} against {prediction!r}: {verdict.reason}"
