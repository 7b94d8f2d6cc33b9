"""From a checker's verdict to a reward: named parts, each with a weight from the config.

    reward = accuracy * [right] + format * [wrong, in exactly one box] - overlong * excess

With the default weights this is the ADORA VLM recipe: 1.0 right, 0.1 boxed but wrong, 0.0 no box.
[code] Two things are stricter than there. The format credit wants exactly *one* box in the answer
(after any thinking), so that listing candidates does not pay. And a response that was cut off or
aborted earns nothing by default, even if a box stands in it: the policy never said it was done.
`succeeded` is the one place that says what counts as a success; ADORA and the filters use it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from adora_mm.config.algorithm import RewardConfig
from adora_mm.types import Completion, Verdict

BOX = "\\boxed"
THINK_OPEN, THINK_CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardInput:
    """Everything that a reward part may look at."""

    verdict: Verdict
    completion: Completion
    config: RewardConfig
    max_response_tokens: int | None
    """The response cap; only the overlong part needs it."""


def score(
    verdict: Verdict,
    completion: Completion,
    config: RewardConfig,
    *,
    max_response_tokens: int | None = None,
) -> tuple[float, dict[str, float]]:
    """The reward of one completion and its parts, already weighted: the reward is their sum.

    A part whose weight is zero is left out of the dict. Raises ValueError when the overlong penalty
    is on and `max_response_tokens` is missing.
    """
    given = RewardInput(
        verdict=verdict,
        completion=completion,
        config=config,
        max_response_tokens=max_response_tokens,
    )
    weights = {
        "accuracy": config.accuracy,
        "format": config.format,
        "overlong": config.overlong,
    }
    parts = {name: w * REWARD_PARTS[name](given) for name, w in weights.items() if w > 0}
    return sum(parts.values()), parts


def is_truncated(completion: Completion) -> bool:
    """Whether the response did not end by itself: cut at the cap, or aborted by the engine."""
    return completion.finish_reason != "stop"


def succeeded(verdict: Verdict, completion: Completion, config: RewardConfig) -> bool:
    """Whether a rollout counts as a success: the answer is right, and it may earn credit."""
    return verdict.correct and _earns_credit(completion, config)


def boxes_in_answer(text: str) -> int:
    r"""Number of \boxed commands in the answer, that is in what follows the last closed thinking.

    A response that opens its thinking and never closes it has no answer, hence no box.
    """
    _, _, answer = text.rpartition(THINK_CLOSE)
    return 0 if THINK_OPEN in answer else answer.count(BOX)


def _earns_credit(completion: Completion, config: RewardConfig) -> bool:
    return config.truncated == "score" or not is_truncated(completion)


def _accuracy(given: RewardInput) -> float:
    return float(succeeded(given.verdict, given.completion, given.config))


def _format(given: RewardInput) -> float:
    """1 for an answer that is wrong, but stands in exactly one box and was found there."""
    credited = _earns_credit(given.completion, given.config) and not given.verdict.correct
    found = given.verdict.extracted is not None
    return float(credited and found and boxes_in_answer(given.completion.text) == 1)


def _overlong(given: RewardInput) -> float:
    """0 up to (cap - buffer) tokens, then linear to -1 at the cap (DAPO, arXiv 2503.14476)."""
    cap, buffer = given.max_response_tokens, given.config.overlong_buffer_tokens
    if cap is None or buffer is None:
        raise ValueError(
            "the overlong penalty needs max_response_tokens and overlong_buffer_tokens; pass both, "
            "or set reward.overlong=0"
        )
    excess = len(given.completion.token_ids) - (cap - buffer)
    return -min(max(excess / buffer, 0.0), 1.0) if excess > 0 else 0.0


REWARD_PARTS: dict[str, Callable[[RewardInput], float]] = {
    "accuracy": _accuracy,
    "format": _format,
    "overlong": _overlong,
}
"""Part name -> its unweighted value, in [-1, 1]."""
