"""What may be trained on and evaluated on during a run."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from adora_mm.config import DataConfig
from adora_mm.processor import Processor
from adora_mm.training_data import DataError, load_run_problems

ANY_LENGTH = cast(Processor, SimpleNamespace(check_length=lambda problem: 1))


def folder(path: Path, **changes: Any) -> str:
    rows = [
        {"id": f"{path.name}{i}", "question": f"{path.name} {i}?", "answer": str(i)} | changes
        for i in range(3)
    ]
    path.with_suffix(".jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path.with_suffix(".jsonl"))


def load(train: str, val: str | None = None, **changes: Any) -> int:
    config = DataConfig(train=train, val=val, **changes)
    return len(load_run_problems(config, ANY_LENGTH, seed=0).val)


@pytest.mark.parametrize("split", ["test", "testmini"])
def test_a_test_split_is_evaluated_on_only_when_the_recipe_says_so(
    split: str, tmp_path: Path
) -> None:
    train, val = folder(tmp_path / "a", split="train"), folder(tmp_path / "b", split=split)
    with pytest.raises(DataError, match=rf"split '{split}'.* data\.val_on_test_split=true"):
        load(train, val)
    assert load(train, val, val_on_test_split=True) == 3


@pytest.mark.parametrize("split", ["val", "", "train"])
def test_other_splits_need_no_word(split: str, tmp_path: Path) -> None:
    assert load(folder(tmp_path / "a"), folder(tmp_path / "b", split=split)) == 3


def test_training_on_a_test_split_is_the_users_business(tmp_path: Path) -> None:
    assert load(folder(tmp_path / "a", split="test")) == 0


@pytest.mark.parametrize("source", ["mathvista", "mathvista/geometry"])
def test_what_must_not_be_trained_on_is_refused(source: str, tmp_path: Path) -> None:
    train = folder(tmp_path / "a", source=source)
    with pytest.raises(DataError, match="whose licence forbids training"):
        load(train)
    other = folder(tmp_path / "b")
    assert load(other, train) == 3, "measuring on it is what it is for"
