"""The language models that a scoring may ask besides the checker: by default none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from adora_mm.types import Problem, Verdict
from evaluation.responses import Response

ROLES = ("extractor", "judge")


class Extractor(Protocol):
    """A language model that finds the answer in a response where the checker found none."""

    facts: dict[str, Any]

    def extract(self, items: Sequence[tuple[Problem, Response]]) -> list[str | None]:
        """The answer that each response states; None where it states none."""


class Judge(Protocol):
    """A language model that is asked where there is no right answer yet."""

    facts: dict[str, Any]

    def decide(self, items: Sequence[tuple[Problem, Response, Verdict]]) -> list[Verdict | None]:
        """A verdict for each item; None leaves the one that is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Referees:
    """The language models that a scoring may ask; by default none."""

    extractor: Extractor | None = None
    judge: Judge | None = None

    def facts(self, decided: Mapping[str, int]) -> dict[str, dict[str, Any] | None]:
        """Who they are, and how many responses each decided."""
        models = (self.extractor, self.judge)
        return {
            role: None if model is None else {**model.facts, "decided": decided[role]}
            for role, model in zip(ROLES, models, strict=True)
        }


NOBODY = Referees()


def build_referees(words: Mapping[str, Any], folder: Path) -> Referees:
    """Those that the command line names; their caches lie in `folder`.

    Raises ValueError, with one line, for an endpoint that cannot be used.
    """
    from evaluation.engines.client import EndpointConfig
    from evaluation.extractor import EndpointExtractor
    from evaluation.judge import EndpointJudge

    extractor, judge = (
        EndpointConfig(
            base_url=words[f"{role}_url"],
            model=words[f"{role}_model"],
            key_variable=words[f"{role}_key_variable"],
        )
        if words[f"{role}_url"]
        else None
        for role in ROLES
    )
    return Referees(
        extractor=None
        if extractor is None
        else EndpointExtractor(extractor, cache=folder / "extractor_cache.jsonl"),
        judge=None
        if judge is None
        else EndpointJudge(judge, cache=folder / "judge_cache.jsonl", asked_for=words["judge_for"]),
    )
