"""Data cards: what a folder says about itself, in Markdown, the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adora_mm.data import load_problems
from adora_mm.types import Problem
from data_prep import cli
from data_prep.writer import Entry, write_folder


def entry(number: int, **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "id": f"p{number}",
        "question": "Find x.",
        "answer": str(number),
        "source": "hand/made",
        "split": "train",
    }
    return Entry(problem=Problem(**(fields | changes)))


def write(folder: Path, *entries: Entry, dropped: dict[str, int] | None = None) -> str:
    options: dict[str, Any] = {"source": "hand", "licence": "MIT", "arguments": {"seed": 3}}
    write_folder(folder, iter(entries), dropped=dropped, **options)
    return (folder / "card.md").read_text()


def test_a_card_counts_what_is_inside(tmp_path: Path) -> None:
    card = write(
        tmp_path / "set",
        entry(1, answer_type="number", metadata={"level": 2}),
        entry(2, question="Find the longer side.", split="val"),
        entry(3, choices=("1", "2"), answer_type="choice"),
        dropped={"no answer": 4},
    )
    assert card.startswith("# hand\n\n3 problems with 0 pictures. Licence: MIT.\n")
    for row in (
        "| train | 2 |",
        "| val | 1 |",
        "| hand/made | 3 |",
        "| not said | 1 |",
        "| choice | 1 |",
        "| no answer | 4 |",
        "- `seed`: `3`",
        "`level`",
        "Questions are 7 to 21 (median 7) characters long",
    ):
        assert row in card
    assert load_problems(tmp_path / "set")[0].id == "p1"


def test_text_of_strangers_stays_in_its_block(tmp_path: Path) -> None:
    card = write(tmp_path / "set", entry(1, question="```\n# Big\n````", source="a|b"))
    assert "`````text\n```\n# Big\n````\nAnswer: 1\n`````" in card
    assert "| a\\|b | 1 |" in card


def test_a_card_is_the_same_twice_and_an_older_folder_needs_none(tmp_path: Path) -> None:
    first = write(tmp_path / "set", entry(1))
    assert first == write(tmp_path / "other", entry(1))
    (tmp_path / "set/card.md").unlink()
    options: dict[str, Any] = {"source": "hand", "licence": "MIT", "arguments": {"seed": 3}}
    write_folder(tmp_path / "set", iter([entry(1)]), **options)
    assert not (tmp_path / "set/card.md").exists()


def test_the_command_writes_the_card_of_a_folder_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    card = write(tmp_path / "set", entry(1), entry(2, split="val", choices=("1", "2")))
    (tmp_path / "set/card.md").unlink()
    assert cli.main(["card", str(tmp_path / "set")]) == 0
    assert (tmp_path / "set/card.md").read_text() == card
    assert capsys.readouterr().out == f"{tmp_path / 'set/card.md'}\n"
    assert cli.main(["card", str(tmp_path / "none")]) == 2
    assert "no such data folder" in capsys.readouterr().err
