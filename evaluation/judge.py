"""An optional judge: a language model says whether an answer equals the gold.

It is asked only about answers that the checker did not accept: by default those in which no answer
could be found, with `wrong` all of them. A reply that is neither of the two words changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adora_mm.prompts import question_text
from adora_mm.types import Problem, Verdict
from evaluation.asking import AskedModel
from evaluation.engines.client import EndpointConfig
from evaluation.responses import Response

PROMPT = """You compare a student's final answer with the reference answer of a mathematics problem.

Problem:
{question}

Reference answer: {answer}

Student's response (its end):
{response}

Does the student's final answer state the same value or option as the reference answer? Ignore how
it is written and how it was found. A response without a final answer, or with several different
ones, is INCORRECT. Reply with one word: CORRECT or INCORRECT."""


class Judge:
    """A judge behind an endpoint; `facts` go to the scoring file."""

    def __init__(self, config: EndpointConfig, *, cache: Path, asked_for: str) -> None:
        self._model = AskedModel(config, role="judge", prompt=PROMPT, cache=cache)
        self._asked_for = asked_for
        self.facts = self._model.facts
        self.facts["asked_for"] = asked_for

    def decide(self, items: Sequence[tuple[Problem, Response, Verdict]]) -> list[Verdict | None]:
        """A verdict for each item; None leaves the checker's."""
        wanted = [
            place
            for place, (_, _, verdict) in enumerate(items)
            if self._asked_for == "wrong" or verdict.outcome in ("unparsed", "timeout")
        ]
        replies = self._model.ask([_shown(*items[place][:2]) for place in wanted])
        after: list[Verdict | None] = [None] * len(items)
        for place, reply in zip(wanted, replies, strict=True):
            word = _word(reply or "")
            if word is not None:
                after[place] = _verdict(word, items[place][2])
        return after


def _shown(problem: Problem, response: Response) -> dict[str, str]:
    return {
        "question": question_text(problem),
        "answer": problem.answer,
        "response": response.text,
    }


def _word(reply: str) -> str | None:
    """The last of the two words; None when neither stands there."""
    words = reply.upper().replace("*", " ").replace(".", " ").split()
    return next((word for word in reversed(words) if word in ("CORRECT", "INCORRECT")), None)


def _verdict(word: str, before: Verdict) -> Verdict:
    return Verdict(
        outcome="correct" if word == "CORRECT" else "incorrect",
        extracted=before.extracted,
        reason=f"the judge says {word}; the checker: {before.reason}",
    )
