"""Which checkpoints stay: the last ones, the best one, and never none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from adora_mm.checkpoint import (
    COMPLETE,
    FORMAT_VERSION,
    best_checkpoint,
    latest_checkpoint,
    prune_checkpoints,
)


def write(folder: Path, step: int, accuracy: float | None, *, complete: bool = True) -> None:
    path = folder / f"step-{step:06d}"
    path.mkdir()
    state = {"format": FORMAT_VERSION, "step": step, "accuracy": accuracy}
    (path / "trainer_state.json").write_text(json.dumps(state))
    if complete:
        (path / COMPLETE).touch()


def steps(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in folder.iterdir())


@pytest.mark.parametrize(
    ("accuracies", "keep_last", "keep_best", "kept"),
    [
        ([0.1, 0.5, 0.2, 0.3], 2, 1, [2, 3, 4]),
        ([0.1, 0.5, 0.2, 0.3], 1, 0, [4]),
        ([0.1, 0.2, 0.3, 0.5], 1, 1, [4]),  # the best is the last
        ([0.5, 0.5, 0.1, 0.1], 1, 1, [2, 4]),  # the later of two equals
        ([0.5, 0.4, 0.1, None], 1, 2, [1, 2, 4]),
        ([None, None, None, None], 1, 1, [4]),
        ([0.4], 1, 1, [1]),
    ],
)
def test_the_last_and_the_best_stay(
    tmp_path: Path,
    accuracies: list[float | None],
    keep_last: int,
    keep_best: int,
    kept: list[int],
) -> None:
    for step, accuracy in enumerate(accuracies, start=1):
        write(tmp_path, step, accuracy)
    prune_checkpoints(tmp_path, keep_last=keep_last, keep_best=keep_best)
    assert steps(tmp_path) == kept


def test_an_incomplete_checkpoint_is_neither_counted_nor_taken(tmp_path: Path) -> None:
    write(tmp_path, 1, 0.3)
    write(tmp_path, 2, 0.9, complete=False)
    prune_checkpoints(tmp_path, keep_last=1, keep_best=1)
    assert steps(tmp_path) == [1, 2]
    assert latest_checkpoint(tmp_path) == tmp_path / "step-000001"
    assert best_checkpoint(tmp_path) == (tmp_path / "step-000001", 0.3)


def test_without_an_evaluation_there_is_no_best(tmp_path: Path) -> None:
    write(tmp_path, 1, None)
    assert best_checkpoint(tmp_path) is None
