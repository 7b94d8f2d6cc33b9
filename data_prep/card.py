"""The data card of a folder: what is in it, where it comes from, how to make it again (Markdown).

It is written with the folder and holds nothing that a second run would write otherwise: no date, no
path, no machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any

from adora_mm.types import Problem

CARD = "card.md"
EXAMPLE_CHARS = 400


@dataclass(slots=True)
class CardFacts:
    """What the manifest does not count, gathered one problem at a time."""

    answer_types: Counter[str] = field(default_factory=Counter)
    question_chars: Counter[int] = field(default_factory=Counter)
    choices: Counter[int] = field(default_factory=Counter)
    """Number of options -> problems."""
    images_per_problem: Counter[int] = field(default_factory=Counter)
    metadata_keys: set[str] = field(default_factory=set)
    first: Problem | None = None

    def add(self, problem: Problem, num_images: int) -> None:
        self.answer_types[problem.answer_type or "not said"] += 1
        self.question_chars[len(problem.question)] += 1
        self.choices[len(problem.choices)] += 1
        self.images_per_problem[num_images] += 1
        self.metadata_keys |= problem.metadata.keys()
        self.first = self.first or problem


def data_card(manifest: Mapping[str, Any], facts: CardFacts) -> str:
    """The card as Markdown."""
    arguments = "\n".join(f"- `{k}`: `{v}`" for k, v in sorted(manifest["arguments"].items()))
    dropped = manifest["dropped"]
    parts = [
        f"# {manifest['source']}",
        f"{manifest['problems']} problems with {manifest['images']} pictures. "
        f"Licence: {manifest['licence']}.",
        _table("Splits", ("split", "problems"), manifest["splits"]),
        _table("Sources", ("source", "problems"), manifest["sources"]),
        _table("Answer types", ("type", "problems"), facts.answer_types),
        _table("Options per problem", ("options", "problems"), facts.choices),
        _table("Pictures per problem", ("pictures", "problems"), facts.images_per_problem),
        f"Questions are {_lengths(facts.question_chars)} characters long.",
        _table("Left out", ("reason", "rows"), dropped) if dropped else "No row was left out.",
        "## Made with\n\n" + (arguments or "no arguments"),
        "## First problem\n\n" + _example(facts.first),
        "## Metadata\n\n" + (", ".join(f"`{k}`" for k in sorted(facts.metadata_keys)) or "none"),
        f"Fingerprint over problems and pictures: `{manifest['fingerprint']}`.",
    ]
    return "\n\n".join(parts) + "\n"


def _table(title: str, head: tuple[str, str], counts: Mapping[Any, int]) -> str:
    rows = [f"| {_cell(key)} | {count} |" for key, count in sorted(counts.items())]
    return "\n".join([f"## {title}", "", f"| {head[0]} | {head[1]} |", "|---|---|", *rows])


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ") or "(none)"


def _lengths(histogram: Counter[int]) -> str:
    lengths = sorted(histogram.elements())
    return f"{lengths[0]} to {lengths[-1]} (median {median_low(lengths)})"


def _example(problem: Problem | None) -> str:
    assert problem is not None, "a folder is never written without problems"
    lines = [problem.question[:EXAMPLE_CHARS], f"Answer: {problem.answer}"]
    if problem.choices:
        lines.insert(1, "Options: " + "; ".join(problem.choices))
    return _fenced(lines)


def _fenced(lines: Iterable[str]) -> str:
    """A code block whose fence is longer than any in the text, which comes from strangers."""
    text = "\n".join(lines)
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
