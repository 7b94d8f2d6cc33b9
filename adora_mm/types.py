"""The records of a run, one way: Problem -> Completion -> Verdict -> Rollout -> RolloutGroup.

All are frozen and keyword-only. Images stay paths until the moment a model needs pixels, so a
record is cheap to copy, to log and to send to a worker process. Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

FinishReason = Literal["stop", "length", "abort"]
Outcome = Literal["correct", "incorrect", "unparsed", "timeout"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One question with its gold answer and, usually, a diagram."""

    id: str
    """Unique within a data folder; the key of everything that is remembered about a problem."""
    question: str
    """Text without image placeholders; images come before the text in the prompt."""
    answer: str
    """Gold answer in plain maths or LaTeX; for choices the value, a letter or the text."""
    images: tuple[Path, ...] = ()
    """Absolute paths, decoded late."""
    choices: tuple[str, ...] = ()
    """Option texts in order A, B, C, ...; empty for free-form problems."""
    source: str = ""
    """Data set and problem family, for instance `synthetic/triangle_angle_sum`."""
    split: str = ""
    """`train`, `val` or `test` as the source names it."""
    answer_type: str = ""
    """A hint only (`number`, `choice`, `expression`, `text`); the checker decides by itself."""
    messages: tuple[Mapping[str, Any], ...] = ()
    """The whole prompt, for a problem that comes as chat messages (`data/messages.py`): its image
    parts stand for `images` in order, and may hold sizes. Empty: pictures, question, choices."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Anything JSON that the source knows more: difficulty, worked solutions, licence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """One sampled answer, as the rollout engine returned it."""

    token_ids: tuple[int, ...]
    """Response tokens; ends with the stop token when `finish_reason` is `stop`."""
    text: str
    """Decoded response without special tokens."""
    finish_reason: FinishReason
    logprobs: tuple[float, ...]
    """The engine's own log-prob (nats) of each token in `token_ids`: tempered, banned tokens out,
    before top-p."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the checker decided about one answer, and why."""

    outcome: Outcome
    extracted: str | None
    """The final answer that was found in the response; None when there is none."""
    reason: str
    """One line for people: the rule that decided, or what failed."""

    @property
    def correct(self) -> bool:
        return self.outcome == "correct"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A completion with its verdict and reward."""

    completion: Completion
    verdict: Verdict
    reward: float
    """Sum of `reward_parts`."""
    reward_parts: Mapping[str, float]
    """Named, already weighted parts: `accuracy`, `format`, ..."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RolloutGroup:
    """A problem with its G rollouts: the unit that is never torn apart."""

    problem: Problem
    rollouts: tuple[Rollout, ...]
