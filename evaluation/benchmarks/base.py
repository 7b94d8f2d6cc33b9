"""What a benchmark is: where its problems come from, how it is asked, scored and broken down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adora_mm.types import Problem, Verdict
from data_prep.writer import Entry

BOXED = "{question}\n\nPlease reason step by step, and put your final answer within \\boxed{}."
LETTER = (
    "{question}\n\nPlease reason step by step, and put the letter of your choice within \\boxed{}."
)
PROMPTS = {"plain": "{question}", "boxed": BOXED, "letter": LETTER}
"""Prompts that have a name on the command line; `plain` is how the training loop asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark; the file of each says what is official about it and what we do differently."""

    name: str
    """As on the command line."""
    title: str
    source: str
    """A name in `data_prep.sources.SOURCES`; empty for data folders that only a generator makes."""
    split: str
    """The source's own name of the split; empty takes all problems."""
    items: int | None
    """Problems as published; None where it depends on the user's folder."""
    link: str
    """The official protocol."""
    metric: str
    get: str
    """What to do to have the data, in one line."""
    categories: tuple[str, ...] = ()
    """Metadata keys of the tables by category."""
    prompt: str = BOXED
    """The user's text, with `{question}` where question and options go."""
    profile: str = "eval"
    """Profile of the checker."""
    cluster: str = ""
    """Metadata key that related problems share; empty when all are independent."""
    choices: bool | None = None
    """Whether options are shown and needed; None takes the problems as they are."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Keywords for the source's reader."""
    own_check: Callable[[Problem, str], Verdict] | None = None
    """Decides a response instead of the checker."""
    relax: Callable[[Problem, Verdict], Verdict] | None = None
    """May overrule the checker's verdict by a published tolerance; must be pure."""
    summarise: Callable[[Sequence[Problem], Mapping[str, float]], dict[str, Any]] | None = None
    """Numbers of its own, from each problem's mean score by id."""
    evaluation_only: bool = False
    """Its licence or authors forbid training on it."""
    annotations: Callable[..., Iterator[Entry]] | None = None
    """Reads the source's own files without their pictures, to score answers that exist already;
    None where the reader asks for none anyway."""
