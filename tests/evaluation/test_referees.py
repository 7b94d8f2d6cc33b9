"""The language models that help with scoring: what they see, when they decide, what is kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mock_endpoint import MockEndpoint, serve

from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from evaluation.benchmarks import BENCHMARKS
from evaluation.comparison import _scored_alike
from evaluation.engines.client import EndpointError
from evaluation.referees import NOBODY, Referees, build_referees
from evaluation.rescore import rescore
from evaluation.responses import Response, ResponseFile, sample_id
from evaluation.scoring import ScoredResponse, score_responses, write_verdicts

PLAIN = BENCHMARKS["math500"]
NOTHING = "I looked at it for a long while, and I think that it is a half of that."
TEXTS = ["\\boxed{1/2}", "\\boxed{3}", NOTHING]
PROBLEM = Problem(id="p", question="How {answer}?", answer="1/2")


@pytest.fixture(scope="module")
def pool() -> Iterator[CheckerPool]:
    with CheckerPool(1) as shared:
        yield shared


@pytest.fixture
def word(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the endpoint replies; a test may change it."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("evaluation.engines.client.MAX_PAUSE_S", 0.01)
    return ["CORRECT"]


@pytest.fixture
def server(word: list[str]) -> Iterator[MockEndpoint]:
    with serve(lambda body, count: word[0]) as endpoint:
        yield endpoint


def referees(
    server: MockEndpoint, folder: Path, *roles: str, judge_for: str = "unparsed"
) -> Referees:
    words = {"judge_for": judge_for}
    for role in ("extractor", "judge"):
        words[f"{role}_url"] = server.url if role in roles else ""
        words[f"{role}_model"] = "mock"
        words[f"{role}_key_variable"] = "NO_KEY"
    return build_referees(words, folder)


def responses(texts: list[str] = TEXTS) -> dict[str, Response]:
    rows = [
        Response(
            id=sample_id("p", sample),
            problem="p",
            sample=sample,
            text=text,
            finish_reason="stop",
            num_tokens=3,
        )
        for sample, text in enumerate(texts)
    ]
    return {row.id: row for row in rows}


def scored(asked: Referees, pool: CheckerPool, problem: Problem = PROBLEM) -> list[ScoredResponse]:
    return score_responses(PLAIN, [problem], responses(), pool, asked)


@pytest.fixture
def decided(
    server: MockEndpoint, word: list[str], tmp_path: Path, pool: CheckerPool
) -> Callable[[str, str], list[ScoredResponse]]:
    """Scores the responses; the model in this role replies so."""

    def ask(role: str, reply: str) -> list[ScoredResponse]:
        word[0] = reply
        return scored(referees(server, tmp_path, role), pool)

    return ask


def shown(server: MockEndpoint) -> str:
    (request,) = server.requests
    text: str = request["messages"][0]["content"]
    return text


def facts(asked: Referees, role: str) -> dict[str, Any]:
    found = asked.facts({role: 0})[role]
    assert found is not None
    return found


# --------------------------------------------------------------------------------------- judge


def test_the_judge_sees_only_what_could_not_be_read(
    server: MockEndpoint, tmp_path: Path, pool: CheckerPool
) -> None:
    judge = referees(server, tmp_path, "judge")
    found = scored(judge, pool)
    assert [row.outcome for row in found] == ["correct", "incorrect", "correct"]
    assert [row.decided_by for row in found] == ["checker", "checker", "judge"]
    assert "the judge says CORRECT" in found[2].reason
    assert NOTHING in shown(server)
    assert "How {answer}?" in shown(server), "a question is text, whatever stands in it"
    assert "Reference answer: 1/2" in shown(server)
    assert (facts(judge, "judge")["asked"], facts(judge, "judge")["from_cache"]) == (1, 0)


def test_the_judge_may_be_asked_about_every_wrong_answer(
    server: MockEndpoint, tmp_path: Path, pool: CheckerPool
) -> None:
    found = scored(referees(server, tmp_path, "judge", judge_for="wrong"), pool)
    assert [row.decided_by for row in found] == ["checker", "judge", "judge"]


@pytest.mark.parametrize(
    ("reply", "outcome", "decided_by"),
    [
        ("INCORRECT", "incorrect", "judge"),
        ("**Correct.**", "correct", "judge"),
        ("<think>INCORRECT?</think>CORRECT", "correct", "judge"),
        ("I cannot say", "unparsed", "checker"),
        ("503", "unparsed", "checker"),
        ("length", "unparsed", "checker"),
    ],
)
def test_what_the_judge_may_reply(
    reply: str, outcome: str, decided_by: str, decided: Callable[[str, str], list[ScoredResponse]]
) -> None:
    last = decided("judge", reply)[-1]
    assert (last.outcome, last.decided_by) == (outcome, decided_by)


def test_the_judge_sees_the_problem_as_the_model_did(
    server: MockEndpoint, tmp_path: Path, pool: CheckerPool
) -> None:
    problem = Problem(id="p", question="<image>Which?", answer="B", choices=("7", "8"))
    scored(referees(server, tmp_path, "judge", judge_for="wrong"), pool, problem)
    for request in server.requests:
        text = request["messages"][0]["content"]
        assert "Problem:\nWhich?\nChoices: (A) 7 (B) 8\n" in text
        assert "Reference answer: B\n" in text
    assert len(server.requests) == 3, "no response has a right answer"


# ----------------------------------------------------------------------------------- extractor


@pytest.mark.parametrize(
    ("reply", "outcome", "decided_by"),
    [
        ("1/2", "correct", "extractor"),
        ("The answer is 0.5.", "correct", "extractor"),
        ("<think>a half of 6</think>3", "incorrect", "extractor"),
        ("NONE", "unparsed", "checker"),
        ("**none.**", "unparsed", "checker"),
        ("", "unparsed", "checker"),
        ("so " * 300 + "1/2", "unparsed", "checker"),
        ("no idea", "incorrect", "extractor"),
    ],
)
def test_the_extractor_finds_and_the_checker_decides(
    reply: str, outcome: str, decided_by: str, decided: Callable[[str, str], list[ScoredResponse]]
) -> None:
    found = decided("extractor", reply)
    assert [row.decided_by for row in found[:2]] == ["checker", "checker"]
    assert (found[2].outcome, found[2].decided_by) == (outcome, decided_by)
    if outcome == "correct":
        assert found[2].vote == found[0].vote, "it votes with answers of the same value"
        assert found[2].reason.startswith("found by the extractor; ")


def test_the_extractor_never_sees_the_gold(
    server: MockEndpoint, tmp_path: Path, pool: CheckerPool
) -> None:
    asked = Problem(id="p", question="Which?", answer="C", choices=("one", "two", "gold-text"))
    scored(referees(server, tmp_path, "extractor"), pool, asked)
    texts = [each["messages"][0]["content"] for each in server.requests]
    assert all("(B) two" in text for text in texts)
    assert not any("Reference" in text or "answer: C" in text for text in texts)


def test_an_extracted_letter_is_an_option(
    server: MockEndpoint, word: list[str], tmp_path: Path, pool: CheckerPool
) -> None:
    word[0] = "B"
    problem = Problem(id="p", question="Which?", answer="B", choices=("7", "8"))
    found = scored(referees(server, tmp_path, "extractor"), pool, problem)
    assert (found[2].outcome, found[2].decided_by) == ("correct", "extractor")


def test_the_judge_comes_after_the_extractor(
    tmp_path: Path, pool: CheckerPool, word: list[str]
) -> None:
    def behaviour(body: dict[str, Any], count: int) -> str:
        return "INCORRECT" if "Reference answer" in body["messages"][0]["content"] else "NONE"

    with serve(behaviour) as server:
        found = scored(referees(server, tmp_path, "extractor", "judge"), pool)
        assert (found[2].outcome, found[2].decided_by) == ("incorrect", "judge")
        assert len(server.requests) == 2


# -------------------------------------------------------------------------- cache and counting


@pytest.mark.parametrize("role", ["judge", "extractor"])
def test_replies_are_cached(
    role: str, server: MockEndpoint, word: list[str], tmp_path: Path, pool: CheckerPool
) -> None:
    word[0] = "1/2 \u2028 CORRECT"
    first = scored(referees(server, tmp_path, role), pool)
    with (tmp_path / f"{role}_cache.jsonl").open("a") as file:
        file.write('{"key": "cut o')
    again = referees(server, tmp_path, role)
    assert scored(again, pool) == first
    assert len(server.requests) == 1
    assert (facts(again, role)["asked"], facts(again, role)["from_cache"]) == (0, 1)
    other = Problem(id="p", question="Another?", answer="1/2")
    scored(again, pool, other)
    assert len(server.requests) == 2
    scored(referees(server, tmp_path, role), pool, other)
    assert len(server.requests) == 2, "the cut-off line swallowed none that came after it"


def test_equal_questions_are_asked_once(
    server: MockEndpoint, tmp_path: Path, pool: CheckerPool
) -> None:
    asked = referees(server, tmp_path, "judge")
    found = score_responses(PLAIN, [PROBLEM], responses([NOTHING] * 5), pool, asked)
    assert [row.decided_by for row in found] == ["judge"] * 5
    assert len(server.requests) == 1


@pytest.mark.parametrize("reply", ["503", "length"])
def test_no_reply_is_counted_and_asked_again_next_time(
    reply: str, server: MockEndpoint, word: list[str], tmp_path: Path, pool: CheckerPool
) -> None:
    word[0] = reply
    asked = referees(server, tmp_path, "judge")
    scored(asked, pool)
    assert (facts(asked, "judge")["asked"], facts(asked, "judge")["no_reply"]) == (0, 1)
    word[0] = "CORRECT"
    assert scored(referees(server, tmp_path, "judge"), pool)[2].decided_by == "judge"


def test_a_refusal_ends_the_scoring_with_one_line(
    server: MockEndpoint, word: list[str], tmp_path: Path, pool: CheckerPool
) -> None:
    word[0] = "401"
    with pytest.raises(EndpointError, match=r"HTTP 401: .* environment variable NO_KEY"):
        scored(referees(server, tmp_path, "judge"), pool)


@pytest.mark.parametrize("role", ["judge", "extractor"])
def test_the_number_of_decided_items_is_stored(
    role: str, server: MockEndpoint, word: list[str], tmp_path: Path, pool: CheckerPool
) -> None:
    word[0] = "1/2" if role == "extractor" else "CORRECT"
    ResponseFile(tmp_path / "responses.jsonl", "run").append(list(responses().values()))
    asked = referees(server, tmp_path, role)
    stored = write_verdicts(
        tmp_path, scored(asked, pool), run="run", profile="eval", referees=asked
    )
    assert (stored[role]["model"], stored[role]["decided"]) == ("mock", 1)
    assert [stored[name] for name in ("judge", "extractor") if name != role] == [None]


def test_published_answers_are_referred_too(
    server: MockEndpoint, word: list[str], tmp_path: Path
) -> None:
    word[0] = "1/2"
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"idx": 0, "gt": "1/2", "code": TEXTS}) + "\n")
    settings: dict[str, Any] = {"benchmark": None, "data": None, "workers": 1}
    plain = rescore(path, "qwen-math", out=tmp_path / "a", **settings)
    assert plain.startswith("a.jsonl: 1 of 3 right")
    asked = referees(server, tmp_path, "extractor")
    line = rescore(path, "qwen-math", out=tmp_path / "b", referees=asked, **settings)
    assert line.startswith("a.jsonl: 2 of 3 right")
    assert "the extractor decided 1;" in line


@pytest.mark.parametrize("role", ["judge", "extractor"])
def test_runs_that_were_scored_in_different_ways_say_so(
    role: str, server: MockEndpoint, tmp_path: Path
) -> None:
    def side(asked: Referees, decided: int) -> Any:
        scoring = {"checker": {"sha256": "a"}, **asked.facts({role: decided})}
        return type("Side", (), {"results": {"scoring": scoring}})

    asked = referees(server, tmp_path, role)
    assert _scored_alike([side(asked, 1), side(asked, 2)])
    assert not _scored_alike([side(asked, 1), side(NOBODY, 0)])


@pytest.mark.parametrize("role", ["judge", "extractor"])
def test_a_referee_needs_a_model(role: str, tmp_path: Path) -> None:
    words = {f"{name}_{part}": "" for name in ("judge", "extractor") for part in ("url", "model")}
    words |= {f"{role}_url": "http://127.0.0.1:1/v1", f"{role}_key_variable": "NO_KEY"}
    with pytest.raises(ValueError, match=f"--{role}-url needs --{role}-model"):
        build_referees({"judge_for": "wrong", **words}, tmp_path)
