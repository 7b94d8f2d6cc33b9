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


ROLES = ["Zoey is a knight", "Oliver is a knave", "Ann is a knight"]
GOLD = "\n".join(f"({place}) {role}" for place, role in enumerate(ROLES, start=1))
FORMS = {
    "texts": lambda roles: ", ".join(rf"\text{{{role}}}" for role in roles),
    "numbered texts": lambda roles: ", ".join(
        rf"({place}) \text{{{role}}}" for place, role in enumerate(roles, start=1)
    ),
    "one text": lambda roles: rf"\text{{{', '.join(roles)}}}",
    "a sentence": lambda roles: rf"\text{{{' and '.join(roles)}.}}",
    "and": lambda roles: (
        ", ".join(rf"\text{{{role}}}" for role in roles[:-1])
        + rf", \text{{ and }} \text{{{roles[-1]}}}"
    ),
    "lines": lambda roles: r" \\ ".join(
        rf"\text{{({place}) {role}}}" for place, role in enumerate(roles, start=1)
    ),
    "array": lambda roles: (
        r"\begin{array}{l}" + r" \\ ".join(rf"\text{{{role}}}" for role in roles) + r"\end{array}"
    ),
    "bold names": lambda roles: ", ".join(
        rf"\textbf{{{role.split()[0]}}} \text{{ {role.partition(' ')[2]}}}" for role in roles
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_boxed_roles_in_latex(form: str) -> None:
    def correct(roles: list[str]) -> bool:
        return check_response(rf"So \boxed{{{FORMS[form](roles)}}}.", GOLD).correct

    assert correct(ROLES)
    assert correct(ROLES[::-1])
    assert not correct(["Zoey is a knave", *ROLES[1:]]), "a wrong role"
    assert not correct(ROLES[:-1]), "a missing person"
    assert not correct([*ROLES[:-1], "Bob is a knight"]), "another person"
    assert not correct([*ROLES, "Bob is a knave"]), "a person too many"
    assert not correct([*ROLES, "Ann is a knave"]), "a contradiction"
    assert not correct([*ROLES[:-1], "Ann is not a knight"]), "a denied role"
    assert not correct([*ROLES[:-1], "Ann is a knight or a knave"]), "a hedge"


def test_the_recipe_trains_on_what_the_source_makes() -> None:
    config = load_config("kk_qwen25_7b")
    assert "<answer> (1) Zoey is a knight\n(2) ... </answer>" in config.data.system_prompt
    assert config.data.prep[0] == kk.SOURCE.name
    assert config.data.prep[config.data.prep.index("--split") + 1] in kk.SOURCE.splits
