"""Rollouts as JSON rows, for the report and for reading with one's own eyes.

Samples are a few groups with all their texts; group and evaluation rows are every group in numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from adora_mm.advantages import AdvantageResult
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


def groups_row(
    problem_ids: Sequence[str],
    correct_PG: Sequence[Sequence[bool]],
    result: AdvantageResult,
    *,
    step: int,
) -> dict[str, Any]:
    """All groups of a step, in columns: what became of each problem, and how much it taught.

    `right` is the share of right answers, `signal` the mean |advantage| after the ADORA weight: 0
    for a group that cannot move the policy.
    """
    signal_P = result.advantages_PG.abs().mean(dim=1).tolist()
    return {
        "step": step,
        "id": list(problem_ids),
        "tas": [int(tas) for tas in result.tas_P.tolist()],
        "weight": [round(weight, 4) for weight in result.weights_P.tolist()],
        "right": [round(sum(row) / len(row), 4) for row in correct_PG],
        "signal": [round(signal, 4) for signal in signal_P],
    }


def outcomes_row(
    groups: Sequence[RolloutGroup], *, step: int, name: str, mode: str
) -> dict[str, Any]:
    """Every problem of an evaluation with its share of right answers: what pairs two runs."""
    return {
        "step": step,
        "name": name,
        "mode": mode,
        "id": [group.problem.id for group in groups],
        "right": [
            round(sum(r.verdict.correct for r in group.rollouts) / len(group.rollouts), 4)
            for group in groups
        ],
    }


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
