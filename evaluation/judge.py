"""An optional judge: a language model behind an OpenAI-compatible endpoint says right or wrong.

It is asked only about answers that the checker did not accept: by default those in which no answer
could be found, with `wrong` all of them. Its replies are kept in a cache beside the run, keyed by
everything that it was shown, so that scoring again asks nothing twice. A judge that does not reply,
or replies anything but the two words, changes nothing and is counted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from adora_mm.types import Problem, Verdict
from evaluation.engines.client import Endpoint, EndpointConfig, RequestError
from evaluation.engines.endpoint import read_reply
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
TAIL_CHARS = 6000
MAX_NEW_TOKENS = 2048
CONCURRENCY = 8


class EndpointJudge:
    """Asks about each answer once; `facts` go to the scoring file."""

    def __init__(self, config: EndpointConfig, *, cache: Path, asked_for: str) -> None:
        if not config.model:
            raise ValueError("--judge-url needs --judge-model")
        self._endpoint, self._cache_path, self._asked_for = Endpoint(config), cache, asked_for
        self._endpoint.check()
        self._cache = _read_cache(cache)
        self.facts: dict[str, Any] = {
            "model": config.model,
            "asked_for": asked_for,
            "prompt_sha256": hashlib.sha256(PROMPT.encode()).hexdigest(),
            "asked": 0,
            "from_cache": 0,
            "no_reply": 0,
        }

    def decide(
        self, items: Sequence[tuple[Problem, Response, Verdict]]
    ) -> list[tuple[Verdict, bool]]:
        """The checker's verdict, or the judge's with True."""
        wanted = [
            place
            for place, (_, _, verdict) in enumerate(items)
            if self._asked_for == "wrong" or verdict.outcome in ("unparsed", "timeout")
        ]
        after = [(verdict, False) for _, _, verdict in items]
        with ThreadPoolExecutor(CONCURRENCY) as executor:
            replies = executor.map(lambda place: self._ask(*items[place][:2]), wanted)
            for place, (word, how) in zip(wanted, replies, strict=True):
                self.facts[how] += 1
                if word is not None:
                    after[place] = (_verdict(word, items[place][2]), True)
        return after

    def _ask(self, problem: Problem, response: Response) -> tuple[str | None, str]:
        """The judge's word, and under which of the facts the question counts."""
        prompt = PROMPT.replace("{question}", problem.question)
        prompt = prompt.replace("{answer}", _gold(problem))
        prompt = prompt.replace("{response}", response.text[-TAIL_CHARS:])
        key = hashlib.sha256(f"{self.facts['model']}\0{prompt}".encode()).hexdigest()
        if key in self._cache:
            return _word(self._cache[key]), "from_cache"
        body = {
            "messages": [{"role": "user", "content": prompt}],
            "temperature": 0,
            "max_tokens": MAX_NEW_TOKENS,
        }
        try:
            reply, _, _ = read_reply(self._endpoint.chat(body, key=key))
        except RequestError:
            return None, "no_reply"
        line = json.dumps({"key": key, "id": response.id, "reply": reply}, ensure_ascii=False)
        with self._cache_path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(line + "\n")  # one write: a line is whole or, after a kill, skipped
        return _word(reply), "asked"


def _gold(problem: Problem) -> str:
    if not problem.choices:
        return problem.answer
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    options = " ".join(f"({letters[i]}) {choice}" for i, choice in enumerate(problem.choices))
    return f"{problem.answer}, of the options {options}"


def _word(reply: str) -> str | None:
    """The last of the two words outside any thinking; None when neither stands there."""
    words = reply.rpartition("</think>")[2].upper().replace("*", " ").replace(".", " ").split()
    return next((word for word in reversed(words) if word in ("CORRECT", "INCORRECT")), None)


def _verdict(word: str, before: Verdict) -> Verdict:
    return Verdict(
        outcome="correct" if word == "CORRECT" else "incorrect",
        extracted=before.extracted,
        reason=f"the judge says {word}; the checker: {before.reason}",
    )


def _read_cache(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record: Mapping[str, Any] = json.loads(line)
            found[record["key"]] = record["reply"]
        except (ValueError, KeyError, TypeError):
            continue  # the last line of a killed run
    return found
