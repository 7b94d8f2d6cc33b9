"""DAPO-Math-17k made to its schema; AIME and AMC from their real files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from source_files import write_jsonl, write_parquet

from adora_mm.data import load_problems
from data_prep import cli
from data_prep.sources import SOURCES, BadRows, contests, dapo

BEFORE = (
    "Solve the following math problem step by step. The last line of your response should be of "
    "the form Answer: $Answer (without quotes) where $Answer is the answer to the problem.\n\n"
)
AFTER = '\n\nRemember to put your answer on its own line after "Answer:".'


def dapo_row(index: str, question: str = "Solve $x=1$.", answer: str = "34") -> dict[str, Any]:
    return {
        "data_source": "math_dapo",
        "prompt": [{"role": "user", "content": f"{BEFORE}{question}{AFTER}"}],
        "reward_model": {"ground_truth": answer, "style": "rule"},
        "extra_info": {"index": index},
    }


def test_dapo_keeps_each_problem_once_and_drops_the_instruction(tmp_path: Path) -> None:
    rows = [dapo_row("a"), dapo_row("b", "Remember 2+2?", "-4"), dapo_row("a"), dapo_row("b", "c")]
    rows.append(dapo_row("another index", "Remember 2+2?", "-4"))
    write_parquet(tmp_path / "data/dapo-math-17k.parquet", rows * 3)
    entries = list(dapo.read(tmp_path))
    assert [(e.problem.id, e.problem.question, e.problem.answer) for e in entries] == [
        ("dapo-a", "Solve $x=1$.", "34"),
        ("dapo-b", "Remember 2+2?", "-4"),
    ]


def test_dapo_processed_form_and_bad_rows(tmp_path: Path) -> None:
    plain = {"prompt": "1+1?", "solution": "2", "extra_info": {"index": "p"}}
    turns = [{"role": "user", "content": "a"}] * 2
    rows = [
        plain,
        plain | {"prompt": BEFORE, "extra_info": {"index": "q"}},
        plain | {"prompt": turns, "extra_info": {"index": "r"}},
        plain | {"extra_info": {}},
        {"prompt": "1+1?", "extra_info": {"index": "s"}},
    ]
    file = write_jsonl(tmp_path / "dapo.jsonl", rows)
    bad = BadRows(drop=True)
    assert [e.problem.id for e in dapo.read(file, bad=bad)] == ["dapo-p"]
    assert bad.dropped == {
        "empty prompt": 1,
        "bad prompt": 1,
        "empty index": 1,
        "no solution": 1,
    }
    with pytest.raises(ValueError, match="no DAPO-Math-17k there"):
        list(dapo.read(tmp_path / "absent"))


@pytest.mark.parametrize("name", contests.SETS)
def test_contests_are_whole(name: str, shared_data: Path) -> None:
    entries = list(SOURCES[name].read(shared_data / "text"))
    assert len(entries) == contests.SETS[name][0]
    assert {(e.problem.source, e.problem.split) for e in entries} == {(name, "test")}
    published = "080 or 081 (both were accepted)"
    assert all(
        e.problem.answer.lstrip("-").isdecimal() or e.problem.answer == published for e in entries
    )


def test_the_two_amc_sets_overlap_and_say_so(shared_data: Path) -> None:
    read = {name: list(SOURCES[name].read(shared_data / "text")) for name in ("amc83", "amc40")}
    asked = {name: {e.problem.question for e in entries} for name, entries in read.items()}
    assert len(asked["amc83"] & asked["amc40"]) >= 30
    assert "40 of amc83" in SOURCES["amc40"].summary


def test_contests_mistakes(tmp_path: Path) -> None:
    rows = [{"problem": f"{n}?", "answer": float(n)} for n in range(41)]
    file = write_jsonl(tmp_path / "amc23.jsonl", rows)
    (entry,) = SOURCES["amc40"].read(file, limit=1)
    assert (entry.problem.id, entry.problem.answer) == ("amc40-1", "0")
    with pytest.raises(ValueError, match="more than the 40 problems of amc40; another set"):
        list(SOURCES["amc40"].read(tmp_path))
    with pytest.raises(ValueError, match="no aime2024 there: expected aime_2024"):
        list(SOURCES["aime2024"].read(tmp_path))
    with pytest.raises(ValueError, match="no split 'train'"):
        list(SOURCES["amc83"].read(tmp_path, split="train"))


def test_the_command_writes_a_contest(shared_data: Path, tmp_path: Path) -> None:
    words = ["amc83", "--from", str(shared_data / "text"), "--out", str(tmp_path / "amc83")]
    assert cli.main(words) == 0
    assert len(load_problems(tmp_path / "amc83", split="test")) == 83
