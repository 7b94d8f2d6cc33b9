r"""The labelled table: each row of `pairs/*.tsv` is a gold, a prediction and the right verdict.

Each false verdict that is met later becomes a row there. Columns: `+` or `-`, gold, prediction, and
where needed the options (joined by `;;`) and the profile. Rows are decided under the reward profile
if none is named, and all of them in process, without a worker. `pairs/*.jsonl` holds whole
responses.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adora_mm.verify.check import decide_answer, decide_response
from adora_mm.verify.profiles import PROFILES

FOLDER = Path(__file__).parent / "pairs"


Row = tuple[str, str, str, str, tuple[str, ...] | None, str]


def read_rows() -> list[Row]:
    rows = []
    for path in sorted(FOLDER.glob("*.tsv")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            verdict, gold, prediction, *rest = line.split("\t")
            options = rest[0].split(";;") if rest and rest[0] else None
            profile = rest[1] if len(rest) > 1 and rest[1] else "reward"
            choices = tuple(options) if options else None
            rows.append((f"{path.stem}:{number}", verdict, gold, prediction, choices, profile))
    return rows


def read_responses() -> list[Any]:
    return [
        pytest.param(json.loads(line), id=f"{path.stem}:{number}")
        for path in sorted(FOLDER.glob("*.jsonl"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
    ]


ROWS = read_rows()
RESPONSES = read_responses()


def test_the_tables_are_large_enough_and_well_formed() -> None:
    assert len(ROWS) >= 300
    assert len(RESPONSES) >= 100
    responses = [param.values[0]["label"] for param in RESPONSES]
    for labels in ({row[1] for row in ROWS}, set(responses)):
        assert labels == {"+", "-"}


@pytest.mark.parametrize(
    ("where", "sign", "gold", "prediction", "options", "profile"),
    ROWS,
    ids=[row[0] for row in ROWS],
)
def test_row(
    where: str,
    sign: str,
    gold: str,
    prediction: str,
    options: tuple[str, ...] | None,
    profile: str,
) -> None:
    verdict = decide_answer(prediction, gold, options, PROFILES[profile])
    assert verdict is not None, "the bounded path has to decide every row"
    assert verdict.correct == (sign == "+"), f"{gold!r} against {prediction!r}: {verdict.reason}"


@pytest.mark.parametrize("row", RESPONSES)
def test_response(row: dict[str, Any]) -> None:
    profile = PROFILES[row.get("profile", "reward")]
    verdict = decide_response(row["response"], row["gold"], row.get("choices"), profile)
    assert verdict is not None, "the bounded path has to decide every response"
    assert verdict.correct == (row["label"] == "+"), verdict.reason
