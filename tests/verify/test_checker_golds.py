"""Real golds: each matches itself, none matches its neighbour, rewrites keep or lose the match."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from gold_sets import SETS, geometry3k_problems
from rewrites import changing, preserving

from adora_mm.verify import check_answer
from adora_mm.verify.answers import parse_answer
from adora_mm.verify.check import decide_answer, decide_response
from adora_mm.verify.profiles import PROFILES

REWARD = PROFILES["reward"]


def errata() -> dict[tuple[str, str], str]:
    """(set, gold) -> why it does not match itself or counts as text; see errata.tsv."""
    path = Path(__file__).parent / "errata.tsv"
    rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()]
    return {(r[0], r[1].replace("\\n", "\n")): r[3] for r in rows if len(r) == 4 and r[0] != "set"}


@pytest.mark.parametrize("name", SETS)
def test_every_gold_matches_itself(name: str, gold_data: Path) -> None:
    failed = [
        gold
        for gold in dict.fromkeys(SETS[name](gold_data))
        if not _correct(gold, gold) and (name, gold) not in errata()
    ]
    assert failed == []


@pytest.mark.parametrize("name", SETS)
def test_every_gold_matches_itself_by_value(name: str, gold_data: Path) -> None:
    """With a space in front of a full stop no shortcut for equal texts applies."""
    failed = []
    for gold in dict.fromkeys(SETS[name](gold_data)):
        answer = parse_answer(gold)
        if answer.error:
            assert (name, gold) in errata(), f"{gold!r} is not readable and not in errata.tsv"
        elif not _correct(f"{gold} .", gold):
            failed.append(gold)
    assert failed == []


def test_the_errata_list_only_golds_that_exist(gold_data: Path) -> None:
    golds = {(name, gold) for name, read in SETS.items() for gold in read(gold_data)}
    assert set(errata()) <= golds


@pytest.mark.parametrize("name", SETS)
def test_no_gold_matches_its_neighbour_unless_the_values_are_equal(
    name: str, gold_data: Path
) -> None:
    golds = SETS[name](gold_data)
    matched = {
        (gold, other)
        for gold, other in pairwise(golds)
        if gold.strip() != other.strip() and _correct(other, gold)
    }
    assert matched <= EQUAL_NEIGHBOURS


EQUAL_NEIGHBOURS = {
    ("5", "x=5"),
    ("$=(4,0)$", "$(4,0)$"),
    ("no", "No"),
    ("No", "no"),
    ("Yes", "yes"),
    ("yes", "Yes"),
}


@pytest.mark.parametrize("name", SETS)
@pytest.mark.parametrize("rewrite", [preserving, changing])
def test_rewrites_of_golds(name: str, rewrite: Callable[[str], list[str]], gold_data: Path) -> None:
    expected = rewrite is preserving
    golds = list(dict.fromkeys(SETS[name](gold_data)))[:1_500]
    wrong = [
        (gold, text) for gold in golds for text in rewrite(gold) if _correct(text, gold) != expected
    ]
    assert wrong == []


def test_geometry3k_choices_by_letter_value_and_precise_value(gold_data: Path) -> None:
    for problem in geometry3k_problems(gold_data):
        options, letter = tuple(problem["choices"]), problem["answer"]
        right = "ABCD".index(letter)
        for index, option in enumerate(options):
            for prediction in ("ABCD"[index], f"({'ABCD'[index]})", option):
                verdict = check_answer(prediction, letter, choices=options)
                assert verdict.correct == (index == right), (options, letter, prediction)
        precise = problem.get("precise_value")
        if precise:
            assert check_answer(f"{precise[right]:.2f}", letter, choices=options).correct


def test_numbered_lines_of_statements() -> None:
    gold = "(1) Zoey is a knave\n(2) Oliver is a knight"
    assert _correct("Zoey is a knave\nOliver is a knight", gold)
    assert _correct("(1) Zoey is a knave (2) Oliver is a knight", gold)
    assert _correct("(1) Oliver is a knight\n(2) Zoey is a knave", gold)
    assert not _correct("(1) Zoey is a knight\n(2) Oliver is a knave", gold)
    assert not _correct("(1) Zoey is a knave\n(2) Oliver is a knave", gold)


@pytest.mark.parametrize("profile", ["reward", "eval"])
def test_the_published_solutions_of_math500_are_correct(profile: str, gold_data: Path) -> None:
    lines = (gold_data / "text/math500.jsonl").read_text(encoding="utf-8").splitlines()
    wrong = []
    for row in map(json.loads, lines):
        verdict = decide_response(row["solution"], row["answer"], None, PROFILES[profile])
        if verdict is None or not verdict.correct:
            wrong.append((row["answer"], verdict))
    assert wrong == []


def test_the_published_solutions_of_gsm8k_are_correct(gold_data: Path) -> None:
    lines = (gold_data / "text/gsm8k_test.jsonl").read_text(encoding="utf-8").splitlines()
    for text in (json.loads(line)["answer"] for line in lines):
        verdict = decide_response(text, text.split("####")[-1], None, PROFILES["eval"])
        assert verdict is not None
        assert verdict.correct, text[-60:]


def _correct(prediction: str, gold: str) -> bool:
    verdict = decide_answer(prediction, gold, None, REWARD)
    return verdict is not None and verdict.correct
