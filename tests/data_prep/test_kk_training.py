"""Knights and Knaves as training data: the answers that the recipe asks for are graded by role."""

from __future__ import annotations

from pathlib import Path

import pytest

from adora_mm.config import load_config
from adora_mm.types import Problem
from adora_mm.verify import check_response
from data_prep.sources import kk

PEOPLE = (3, 5, 7)


def problems(folder: Path, people: int) -> list[Problem]:
    found = kk.read(folder / f"{people}ppl_train.parquet", split="train")
    return [entry.problem for entry in found][:8]


def response(roles: list[str]) -> str:
    listed = "\n".join(f"({place}) {role}" for place, role in enumerate(roles, start=1))
    return f"<think> suppose that the first lies </think><answer> {listed} </answer>"


def roles_of(problem: Problem) -> list[str]:
    names, knights = problem.metadata["names"], problem.metadata["knights"]
    assert isinstance(names, list)
    assert isinstance(knights, list)
    return [
        f"{name} is a {'knight' if knight else 'knave'}"
        for name, knight in zip(names, knights, strict=True)
    ]


@pytest.mark.parametrize("people", PEOPLE)
def test_every_role_must_be_right(people: int, shared_data: Path) -> None:
    for problem in problems(shared_data / "kk", people):
        roles = roles_of(problem)
        assert check_response(response(roles), problem.answer).correct
        assert check_response(response(roles[::-1]), problem.answer).correct
        for place, role in enumerate(roles):
            other = role[:-6] + ("knave" if role.endswith("knight") else "knight")
            changed = [*roles[:place], other, *roles[place + 1 :]]
            assert not check_response(response(changed), problem.answer).correct
        assert not check_response(response(roles[1:]), problem.answer).correct
        both = [*roles, roles[0][:-6] + ("knave" if roles[0].endswith("knight") else "knight")]
        assert not check_response(response(both), problem.answer).correct


def test_the_recipe_trains_on_what_the_source_makes() -> None:
    config = load_config("kk_qwen25_7b")
    assert "<answer> (1) Zoey is a knight\n(2) ... </answer>" in config.data.system_prompt
    assert config.data.prep[0] == kk.SOURCE.name
    assert config.data.prep[config.data.prep.index("--split") + 1] in kk.SOURCE.splits
