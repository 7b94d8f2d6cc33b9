"""Verdicts and votes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from evaluation.benchmarks import BENCHMARKS
from evaluation.referees import NOBODY
from evaluation.responses import Response, ResponseFile, sample_id
from evaluation.scoring import ScoredResponse, read_verdicts, score_responses, write_verdicts

PLAIN = BENCHMARKS["math500"]
NOTHING = "I looked at it for a long while, and I think that it is a half of that."


@pytest.fixture(scope="module")
def pool() -> Iterator[CheckerPool]:
    with CheckerPool(1) as shared:
        yield shared


def responses(
    texts: Sequence[str], problem: str = "p", reason: str = "stop"
) -> dict[str, Response]:
    rows = [
        Response(
            id=sample_id(problem, sample),
            problem=problem,
            sample=sample,
            text=text,
            finish_reason=reason,
            num_tokens=3,
            error="HTTP 500" if reason == "error" else "",
        )
        for sample, text in enumerate(texts)
    ]
    return {row.id: row for row in rows}


def problem(answer: str = "1/2", **changes: Any) -> Problem:
    return replace(Problem(id="p", question="How much?", answer=answer), **changes)


def scored(texts: Sequence[str], pool: CheckerPool, **changes: Any) -> list[ScoredResponse]:
    return score_responses(PLAIN, [problem(**changes)], responses(texts), pool)


def test_verdicts_come_in_the_order_of_problems_and_samples(pool: CheckerPool) -> None:
    problems = [problem(id="b"), problem(id="a")]
    rows = responses(["\\boxed{1/2}", "\\boxed{2}"], "a") | responses([NOTHING], "b")
    found = score_responses(PLAIN, problems, rows, pool)
    assert [(row.id, row.outcome) for row in found] == [
        ("b#0", "unparsed"),
        ("a#0", "correct"),
        ("a#1", "incorrect"),
    ]
    assert {row.decided_by for row in found} == {"checker"}


def test_no_reply_is_an_error_and_never_wrong(pool: CheckerPool) -> None:
    (row,) = score_responses(PLAIN, [problem()], responses([""], reason="error"), pool)
    assert (row.outcome, row.reason, row.decided_by) == ("error", "HTTP 500", "engine")
    assert not row.correct


def test_a_cut_off_answer_keeps_its_mark(pool: CheckerPool) -> None:
    (row,) = score_responses(PLAIN, [problem()], responses(["So x ="], reason="length"), pool)
    assert (row.outcome, row.finish_reason) == ("unparsed", "length")


def test_equal_values_vote_together(pool: CheckerPool) -> None:
    texts = [
        "\\boxed{3}",
        "\\boxed{0.75}",
        "\\boxed{\\frac34}",
        "\\boxed{1/2}",
        "\\boxed{0.5}",
        "?",
    ]
    assert [row.vote for row in scored(texts, pool)] == [0, 1, 1, 2, 2, None]


def test_options_vote_by_letter_and_by_value(pool: CheckerPool) -> None:
    texts = ["\\boxed{B}", "\\boxed{4}", "\\boxed{(b)}", "\\boxed{C}", "\\boxed{A}"]
    found = scored(texts, pool, answer="A", choices=("3", "4", "5"))
    assert [row.vote for row in found] == [0, 0, 0, 1, 2]


def test_a_response_to_no_problem_is_refused(pool: CheckerPool) -> None:
    with pytest.raises(ValueError, match="there is no problem 'q'"):
        score_responses(PLAIN, [problem()], responses(["1"], "q"), pool)


def test_the_number_of_checkers_changes_nothing(shared_data: Path) -> None:
    lines = (shared_data / "text/math500.jsonl").read_text("utf-8").splitlines()[:120]
    rows = [json.loads(line) for line in lines]
    problems = [problem(id=str(i), answer=row["answer"]) for i, row in enumerate(rows)]
    texts = {str(i): rows[i - i % 2]["solution"] for i in range(len(rows))}
    answers = {
        row.id: row for name, text in texts.items() for row in responses([text], name).values()
    }
    found = []
    for workers in (1, 2, 3):
        with CheckerPool(workers) as many:
            found.append(score_responses(PLAIN, problems, answers, many))
    assert found[0] == found[1] == found[2]
    assert 50 < sum(row.correct for row in found[0]) < 120


# --------------------------------------------------------------------------------------- files


def write(folder: Path, pool: CheckerPool, text: str = "\\boxed{1/2}") -> list[ScoredResponse]:
    rows = responses([text])
    ResponseFile(folder / "responses.jsonl", "run").append(list(rows.values()))
    found = score_responses(PLAIN, [problem()], rows, pool)
    write_verdicts(folder, found, run="run", profile="eval", referees=NOBODY)
    return found


def test_verdicts_are_read_back(tmp_path: Path, pool: CheckerPool) -> None:
    found = write(tmp_path, pool)
    rows, facts = read_verdicts(tmp_path, "run")
    assert rows == found
    assert facts["checker"]["profile"] == "eval"
    assert len(facts["checker"]["sha256"]) == 64


@pytest.mark.parametrize(
    ("file", "message"),
    [("responses.jsonl", "responses came after the scoring"), ("verdicts.jsonl", "was changed")],
)
def test_stale_verdicts_are_refused(
    file: str, message: str, tmp_path: Path, pool: CheckerPool
) -> None:
    write(tmp_path, pool)
    path = tmp_path / file
    path.write_bytes(path.read_bytes() + path.read_bytes())
    with pytest.raises(ValueError, match=f"{message}.*score again"):
        read_verdicts(tmp_path, "run")


def test_verdicts_of_another_run_are_refused(tmp_path: Path, pool: CheckerPool) -> None:
    write(tmp_path, pool)
    with pytest.raises(ValueError, match="of another run"):
        read_verdicts(tmp_path, "other")
    (tmp_path / "scoring.json").unlink()
    with pytest.raises(ValueError, match="no readable verdicts"):
        read_verdicts(tmp_path, "run")
