"""Prompts dealt out to servers of which some fail, without any server."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

import pytest

from adora_mm.rollout import vllm_queue
from adora_mm.rollout.vllm_client import Server, ServerGone
from adora_mm.rollout.vllm_queue import NoServerLeft, WorkQueue
from adora_mm.rollout.vllm_requests import StaleAnswer
from adora_mm.types import Completion

Answer = Callable[[Server, int], list[Completion]]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vllm_queue, "FIRST_PAUSE_S", 0.0)


def answer_of(index: int) -> list[Completion]:
    return [Completion(token_ids=(index,), text="", finish_reason="stop", logprobs=(0.0,))]


def servers(*names: str) -> list[Server]:
    return [Server(name, timeout_s=1.0) for name in names]


def run(
    answer: Answer, count: int, used: list[Server], retries: int = 1, per_server: int = 3
) -> tuple[list[list[Completion]], WorkQueue]:
    work = WorkQueue(count, answer, retries=retries)
    told: dict[int, list[Completion]] = {}
    caller = threading.get_ident()

    def finished(place: int, group: list[Completion]) -> None:
        assert threading.get_ident() == caller
        assert place not in told
        told[place] = group

    answers = work.run(used, per_server=per_server, finished=finished)
    assert [told[place] for place in range(count)] == answers
    return answers, work


def test_answers_come_in_order_and_from_all_servers() -> None:
    served: Counter[str] = Counter()
    all_busy = threading.Barrier(6, timeout=10)

    def answer(server: Server, index: int) -> list[Completion]:
        if index < 6:
            all_busy.wait()  # three slots at each of two servers
        served[server.url] += 1
        return answer_of(index)

    answers, work = run(answer, 20, servers("a", "b"))
    assert answers == [answer_of(index) for index in range(20)]
    assert set(served) == {"a", "b"}
    assert work.lost == {}


def test_one_hiccup_is_asked_again() -> None:
    attempts: Counter[int] = Counter()

    def answer(server: Server, index: int) -> list[Completion]:
        attempts[index] += 1
        if index == 2 and attempts[index] == 1:
            raise ServerGone("busy")
        return answer_of(index)

    answers, work = run(answer, 5, servers("a"))
    assert len(answers) == 5
    assert attempts[2] == 2
    assert work.lost == {}


@pytest.mark.parametrize("fault", [ServerGone("gone"), StaleAnswer("old weights")])
def test_a_failing_servers_prompts_go_to_the_others(fault: Exception) -> None:
    used = servers("good", "bad")
    asked = threading.Event()

    def answer(server: Server, index: int) -> list[Completion]:
        if server.url == "bad":
            asked.set()
            raise fault
        assert asked.wait(10), "the bad one gets prompts, too"
        return answer_of(index)

    answers, work = run(answer, 12, used)
    assert answers == [answer_of(index) for index in range(12)]
    assert work.lost == {used[1]: str(fault)}


def test_the_last_prompt_of_a_failing_server_is_not_lost() -> None:
    """The others have found the queue empty before it comes back; they must have waited."""
    good, bad = servers("good", "bad")
    good_is_done = threading.Event()

    def answer(server: Server, index: int) -> list[Completion]:
        if server is bad:
            good_is_done.wait(10)
            raise ServerGone("at the very end")
        good_is_done.set()
        return answer_of(index)

    answers, work = run(answer, 2, [bad, good], retries=0, per_server=1)
    assert answers == [answer_of(0), answer_of(1)]
    assert work.lost == {bad: "at the very end"}


def test_when_all_are_gone_the_reasons_are_told() -> None:
    def answer(server: Server, index: int) -> list[Completion]:
        raise ServerGone(f"{server.url} is gone")

    with pytest.raises(NoServerLeft, match=r"\(a is gone; b is gone\)|\(. is gone\)"):
        run(answer, 4, servers("a", "b"))
    with pytest.raises(NoServerLeft, match="all were given up before"):
        run(answer, 4, [])


def test_a_mistake_ends_the_round_at_once() -> None:
    asked: Counter[str] = Counter()

    def answer(server: Server, index: int) -> list[Completion]:
        asked[server.url] += 1
        raise ValueError("prompt too long")

    with pytest.raises(ValueError, match="prompt too long"):
        run(answer, 100, servers("a", "b"), per_server=1)
    assert asked.total() <= 4, "nobody goes on asking"
