"""CheckerPool: order, limits, recovery, threads, asyncio, daemonic parents."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import pickle
import threading
import time
from multiprocessing.connection import Connection

import pytest

from adora_mm.verify import CheckerPool, check_answer

SUM = (r"\sum_{k=1}^{3} k", "6", None)
SLOW = (r"\sum_{k=1}^{9000} \sin(k^k)", "5", None)


def test_simple_checks_keep_their_order_and_start_no_worker() -> None:
    with CheckerPool(workers=2, timeout_s=5, memory_mb=512) as pool:
        jobs = [(f"\\boxed{{{k}}}", str(k - k % 2), None) for k in range(200)]
        verdicts = pool.check_many(jobs)
        assert [v.correct for v in verdicts] == [k % 2 == 0 for k in range(200)]
        assert pool.sent == 0


def test_sympy_decides_in_a_worker() -> None:
    with CheckerPool(workers=2, timeout_s=20, memory_mb=512) as pool:
        jobs = [
            SUM,
            (r"\int_0^1 x^2 dx", r"\frac{1}{3}", None),
            (r"\int_0^1 x^2 dx", r"\frac{1}{2}", None),
            (r"\lim_{x\to 0} \frac{\sin x}{x}", "1", None),
            (r"\sum_{k=1}^{\infty} \frac{1}{k^2}", r"\frac{\pi^2}{6}", None),
            (r"\prod_{k=1}^{5} k", "120", None),
            (r"\sum_{k=1}^{n} k", r"\frac{n(n+1)}{2}", None),
        ]
        verdicts = pool.check_answers(jobs, profile="eval")
        assert [v.correct for v in verdicts] == [True, True, False, True, True, True, True]
        assert pool.sent == len(jobs)


def test_a_killed_check_is_a_timeout_and_changes_no_other_verdict() -> None:
    # A limit that a busy machine keeps for the easy checks; the slow one takes minutes.
    with CheckerPool(workers=1, timeout_s=6.0, memory_mb=512) as pool:
        start = time.monotonic()
        verdicts = pool.check_answers([SUM, SLOW, SUM, ("5", "5", None)], profile="eval")
        assert [v.outcome for v in verdicts] == ["correct", "timeout", "correct", "correct"]
        assert "6 s" in verdicts[1].reason
        assert pool.timeouts == 1
        assert time.monotonic() - start < 100


def test_a_worker_that_dies_is_replaced() -> None:
    with CheckerPool(workers=1, timeout_s=20, memory_mb=512) as pool:
        pool.check_answers([SUM], profile="eval")
        pool._workers[0].process.kill()
        pool._workers[0].process.wait()
        outcomes = [pool.check_answers([SUM], profile="eval")[0].outcome for _ in range(2)]
        assert outcomes[-1] == "correct"


def test_where_no_worker_can_start_the_caller_goes_on() -> None:
    with CheckerPool(workers=1, timeout_s=1, memory_mb=512) as pool:
        pool.memory_mb = 20  # too little for an interpreter
        with pytest.warns(RuntimeWarning, match="no checker worker could start"):
            verdicts = pool.check_answers([SUM, ("5", "5", None)], profile="eval")
        assert [v.outcome for v in verdicts] == ["timeout", "correct"]


def test_threads_and_asyncio_share_one_pool() -> None:
    with CheckerPool(workers=2, timeout_s=30, memory_mb=512) as pool:
        found: dict[int, list[bool]] = {}

        def work(k: int) -> None:
            jobs = [SUM, (str(k), "1", None)]
            found[k] = [v.correct for v in pool.check_answers(jobs, profile="eval")]

        threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == {k: [True, k == 1] for k in range(4)}

        async def gather() -> list[bool]:
            calls = [asyncio.to_thread(pool.check_answers, [SUM], profile="eval") for _ in range(3)]
            return [verdicts[0].correct for verdicts in await asyncio.gather(*calls)]

        assert asyncio.run(gather()) == [True] * 3


def _in_daemon(connection: Connection) -> None:
    connection.send(check_answer(SUM[0], SUM[1], profile="eval").outcome)


def test_it_works_in_a_daemonic_process() -> None:
    """DataLoader workers are daemonic and may not have multiprocessing children."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_in_daemon, args=(theirs,), daemon=True)
    process.start()
    assert ours.poll(60)
    assert ours.recv() == "correct"
    process.join(20)


def test_a_pool_travels_by_its_settings() -> None:
    with CheckerPool(workers=3, timeout_s=4, memory_mb=512) as pool:
        copy = pickle.loads(pickle.dumps(pool))
        assert (copy.size, copy.timeout_s, copy.memory_mb) == (3, 4, 512)
        assert copy.check_many([(r"\boxed{5}", "5", None)])[0].correct
        copy.close()


def test_close_ends_the_workers_and_the_pool() -> None:
    pool = CheckerPool(workers=1, timeout_s=20, memory_mb=512)
    pool.check_answers([SUM], profile="eval")
    pid = pool._workers[0].process.pid
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(RuntimeError, match="closed"):
        pool.check_many([(r"\boxed{5}", "5", None)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"workers": 0}, "workers"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"memory_mb": 64}, "memory_mb"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CheckerPool(**settings)
