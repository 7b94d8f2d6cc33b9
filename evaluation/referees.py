"""The language models that a scoring may ask besides the checker: by default none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the client of endpoints is imported when one is asked
    from evaluation.extractor import Extractor
    from evaluation.judge import Judge

ROLES = ("extractor", "judge")


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
    from evaluation.extractor import Extractor
    from evaluation.judge import Judge

    def endpoint(role: str) -> EndpointConfig:
        return EndpointConfig(
            base_url=words[f"{role}_url"],
            model=words[f"{role}_model"],
            key_variable=words[f"{role}_key_variable"],
        )

    extractor, judge = None, None
    if words["extractor_url"]:
        extractor = Extractor(endpoint("extractor"), cache=folder / "extractor_cache.jsonl")
    if words["judge_url"]:
        judge = Judge(
            endpoint("judge"), cache=folder / "judge_cache.jsonl", asked_for=words["judge_for"]
        )
    return Referees(extractor=extractor, judge=judge)
