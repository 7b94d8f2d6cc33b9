"""Machines that see other files, recipes or problems than rank 0's are found before the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from adora_mm import agreement, distributed
from adora_mm.agreement import check_same_start, check_visible
from adora_mm.config import load_config
from adora_mm.distributed import FirstRankError, interface_address
from adora_mm.training_data import RunProblems
from adora_mm.types import Problem

PROBLEMS = RunProblems(
    train=(Problem(id="a", question="What is 1 + 1?", answer="2"),),
    val=(Problem(id="b", question="What is 1 + 2?", answer="3"),),
    dropped=(),
)


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What other ranks answer; empty when they answer the same."""
    answers: list[Any] = []
    monkeypatch.setattr(distributed, "gather", lambda own: [*answers, own] if answers else [own])
    monkeypatch.setattr(agreement.socket, "gethostname", lambda: "here")
    for name, value in {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "LOCAL_RANK": "0",
                        "MASTER_ADDR": "10.0.0.1"}.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return answers


def test_a_folder_that_only_rank_0_sees_is_named(others: list[Any], tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    others.append(("there", [str(here)]))
    check_visible([here, there], "")  # rank 0 lacks it too: told by whoever reads it
    others[0] = ("there", [str(here), str(there)])
    with pytest.raises(FirstRankError, match=r"/there: rank 0 on there sees it, rank 1 on here"):
        check_visible([here, there], "")


def facts_of(others: list[Any], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    seen: list[Any] = []
    with monkeypatch.context() as patch:
        patch.setattr(distributed, "gather", lambda own: [seen.append(own), own][1:])
        check_same_start(load_config("geo3k_tiny"), PROBLEMS)
    return dict(seen[0][1])


def test_the_same_start_passes(others: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    others += [("there", facts_of(others, monkeypatch)), ("there", None)]
    check_same_start(load_config("geo3k_tiny"), PROBLEMS)


@pytest.mark.parametrize(
    ("words", "train", "named"),
    [
        (["seed=7"], PROBLEMS.train, "recipe"),
        ([], (*PROBLEMS.train, *PROBLEMS.val), "data.train"),
        ([], PROBLEMS.train, "torch"),
    ],
)
def test_another_start_is_named(
    others: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    train: tuple[Problem, ...],
    named: str,
) -> None:
    facts = facts_of(others, monkeypatch)
    others.append(("there", facts | ({"torch": "1.0"} if named == "torch" else {})))
    mine = RunProblems(train=train, val=PROBLEMS.val, dropped=())
    with pytest.raises(FirstRankError, match=rf"rank 1 on here starts with {named} .*on there"):
        check_same_start(load_config("geo3k_tiny", words), mine)


@pytest.mark.parametrize(
    ("env", "ranks", "together"),
    [
        ({"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "10.0.0.1"}, 2, False),
        ({"WORLD_SIZE": "4", "LOCAL_SIZE": "2", "MASTER_ADDR": "10.0.0.1"}, 2, False),
        ({"WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "4", "MASTER_ADDR": "node0"}, 4, True),
        ({"WORLD_SIZE": "4", "MASTER_ADDR": "10.0.0.1"}, 0, False),
        ({"WORLD_SIZE": "4", "MASTER_ADDR": "127.0.0.1"}, 0, True),
        ({"WORLD_SIZE": "1", "MASTER_ADDR": "10.0.0.1"}, 0, True),
    ],
)
def test_launchers_say_who_is_here(
    env: dict[str, str], ranks: int, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchrun's words, DeepSpeed's, and none."""
    for name in ("LOCAL_WORLD_SIZE", "LOCAL_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert distributed.ranks_here() == ranks
    assert distributed.on_one_machine() is together


def test_a_loopback_address_of_rank_0_is_refused_where_gloo_needs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On GPUs NCCL finds its own way."""
    monkeypatch.delenv("GLOO_SOCKET_IFNAME", raising=False)
    monkeypatch.setenv("MASTER_ADDR", "127.0.1.1")
    distributed._name_interface(required=False)
    assert "GLOO_SOCKET_IFNAME" not in os.environ
    with pytest.raises(ValueError, match=r"MASTER_ADDR=127\.0\.1\.1 .*no other reaches"):
        distributed._name_interface(required=True)


def test_the_address_of_an_interface() -> None:
    assert interface_address("lo") == "127.0.0.1"
    assert interface_address("none-such") is None
