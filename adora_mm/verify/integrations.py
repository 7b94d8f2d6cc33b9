"""The checker for users of other trainers: one import instead of a reward of their own.

TRL (GRPOTrainer, RLOOTrainer): `reward_funcs=[accuracy_reward]`, with the gold answers in a dataset
column `answer` or `solution` and, optionally, options in `choices`.

verl: `reward.custom_reward_function.path=.../integrations.py`, `...name=compute_score`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from adora_mm.types import Verdict
from adora_mm.verify.pool import CheckerPool
from adora_mm.verify.profiles import get_profile
from adora_mm.verify.single import check_response

TrlReward = Callable[..., list[float | None]]
_lock = threading.Lock()
_shared: list[CheckerPool] = []


def accuracy_reward(
    completions: Sequence[Any],
    answer: Sequence[str | None] | None = None,
    solution: Sequence[str | None] | None = None,
    choices: Sequence[Sequence[str] | None] | None = None,
    **columns: Any,
) -> list[float | None]:
    """1.0 for each correct completion, else 0.0; None (no reward) where the gold is missing.

    Completions are strings or conversations, as TRL hands them over; other columns are ignored.
    Raises ValueError when the dataset has neither an `answer` nor a `solution` column.
    """
    golds = answer if answer is not None else solution
    if golds is None:
        raise ValueError("the dataset needs a column `answer` or `solution` with the gold answers")
    return _rewards(_pool(), completions, golds, choices, "reward")


def make_trl_reward(
    *,
    gold_column: str = "answer",
    profile: str = "reward",
    workers: int = 2,
    timeout_s: float = 5.0,
    memory_mb: int = 1024,
) -> TrlReward:
    """A reward function like `accuracy_reward` with its own column, profile and pool."""
    get_profile(profile)
    pool = CheckerPool(workers=workers, timeout_s=timeout_s, memory_mb=memory_mb)

    def accuracy_reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
        if gold_column not in columns:
            raise ValueError(f"the dataset has no column {gold_column!r} with the gold answers")
        return _rewards(pool, completions, columns[gold_column], columns.get("choices"), profile)

    return accuracy_reward


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Any,
    extra_info: Mapping[str, Any] | None = None,
    **settings: Any,
) -> dict[str, float]:
    """verl's score of one response: `score` and `acc` are 1.0 when it is correct.

    `ground_truth` is the gold or a mapping with `answer` (and `choices`); `extra_info` may hold
    `choices`. `unparsed` and `timeout` count the responses that were not wrong but unreadable.
    """
    info = extra_info or {}
    gold, choices = ground_truth, info.get("choices")
    if isinstance(ground_truth, Mapping):
        gold, choices = ground_truth["answer"], ground_truth.get("choices", choices)
    profile = settings.get("profile", "reward")
    verdict = check_response(solution_str, str(gold), choices=choices, profile=profile)
    return {"score": _reward(verdict), "acc": _reward(verdict)} | {
        outcome: float(verdict.outcome == outcome) for outcome in ("unparsed", "timeout")
    }


def _rewards(
    pool: CheckerPool,
    completions: Sequence[Any],
    golds: Sequence[str | None],
    choices: Sequence[Sequence[str] | None] | None,
    profile: str,
) -> list[float | None]:
    options = choices if choices is not None else [None] * len(completions)
    rows = list(zip(completions, golds, options, strict=True))
    present = [index for index, (_, gold, _) in enumerate(rows) if gold is not None]
    verdicts = pool.check_many(
        [(_text(rows[k][0]), str(rows[k][1]), rows[k][2] or None) for k in present],
        profile=profile,
    )
    rewards: list[float | None] = [None] * len(rows)
    for index, verdict in zip(present, verdicts, strict=True):
        rewards[index] = _reward(verdict)
    return rewards


def _reward(verdict: Verdict) -> float:
    return 1.0 if verdict.correct else 0.0


def _text(completion: Any) -> str:
    """The text of a completion: a string, a conversation, or content in typed parts."""
    if isinstance(completion, str):
        return completion
    if isinstance(completion, Mapping):
        return _text(completion.get("content") or "")
    parts = [part.get("text", "") if "type" in part else _text(part) for part in completion]
    return "\n".join(parts)


def _pool() -> CheckerPool:
    with _lock:
        if not _shared:
            _shared.append(CheckerPool(workers=2))
        return _shared[0]
