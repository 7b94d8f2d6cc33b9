"""Sample rollouts as JSON rows, for the report and for reading with one's own eyes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adora_mm.types import Problem, Rollout, RolloutGroup


def sample_row(
    group: RolloutGroup,
    *,
    step: int,
    advantages: Sequence[float] | None = None,
    weight: float | None = None,
    policy_version: int | None = None,
    name: str | None = None,
    mode: str | None = None,
) -> dict[str, Any]:
    """One group: problem, completions, verdicts, reward parts, advantages and ADORA weight.

    `policy_version` is the step after which the weights that sampled it stood.
    """
    shown = advantages if advantages is not None else [None] * len(group.rollouts)
    row: dict[str, Any] = {
        "step": step,
        "problem": _problem(group.problem),
        "rollouts": [
            _rollout(rollout, advantage)
            for rollout, advantage in zip(group.rollouts, shown, strict=True)
        ],
    }
    extra = {"weight": weight, "policy_version": policy_version, "name": name, "mode": mode}
    return row | {key: value for key, value in extra.items() if value is not None}


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "id": problem.id,
        "question": problem.question,
        "choices": list(problem.choices),
        "answer": problem.answer,
        "images": [str(path) for path in problem.images],
        "source": problem.source,
    }


def _rollout(rollout: Rollout, advantage: float | None) -> dict[str, Any]:
    return {
        "text": rollout.completion.text,
        "finish_reason": rollout.completion.finish_reason,
        "num_tokens": len(rollout.completion.token_ids),
        "outcome": rollout.verdict.outcome,
        "extracted": rollout.verdict.extracted,
        "reason": rollout.verdict.reason,
        "reward": rollout.reward,
        "reward_parts": dict(rollout.reward_parts),
        "advantage": advantage,
    }
