"""An optional extractor: a language model finds the final answer where the checker found none.

It sees the problem and the response, never the gold, and repeats the answer; whether that is right
stays with the checker, under the benchmark's own rules. So do the official protocols of MathVista
and MathVerse. A reply of NONE, or one that the checker cannot read either, changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adora_mm.prompts import question_text
from adora_mm.types import Problem
from evaluation.asking import AskedModel
from evaluation.engines.client import EndpointConfig
from evaluation.responses import Response

PROMPT = """Find the final answer that a student's response gives to a mathematics problem.

Problem:
{question}

Student's response (its end):
{response}

Repeat the final answer exactly as the response states it, and nothing else: only the letter if the
problem has options and the response chose one. Do not solve the problem and correct nothing. If the
response has no final answer, or several different ones, reply NONE."""
MAX_REPLY_CHARS = 500
"""A longer reply argues instead of repeating."""


class Extractor:
    """An extractor behind an endpoint; `facts` go to the scoring file."""

    def __init__(self, config: EndpointConfig, *, cache: Path) -> None:
        self._model = AskedModel(config, role="extractor", prompt=PROMPT, cache=cache)
        self.facts = self._model.facts

    def extract(self, items: Sequence[tuple[Problem, Response]]) -> list[str | None]:
        """The answer that each response states; None where there is none."""
        shown = [
            {"question": question_text(problem), "response": response.text}
            for problem, response in items
        ]
        return [_answer(reply or "") for reply in self._model.ask(shown)]


def _answer(reply: str) -> str | None:
    if not reply or len(reply) > MAX_REPLY_CHARS or reply.strip("*. ").upper() == "NONE":
        return None
    return reply
