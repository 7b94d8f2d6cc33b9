"""Lettered options written into a question's text: split off, so that a checker can tell them.

Two dresses are read: `A. yes`, `A: yes`, `A) yes` or `(A) yes` at the start of a line or after a
semicolon, else `(A) yes (B) no` anywhere. The letters must run A, B, C, ... without a gap; the last
such run counts.
"""

from __future__ import annotations

import re

_WIDE = "\uff0e\uff1a\u3001"
"""The full-width full stop and colon and the comma for lists of Chinese text."""
_SEMICOLONS = ";\uff1b"
_DRESSES = (
    re.compile(rf"(?:^|(?<=[\n{_SEMICOLONS}]))[ \t]*\(?([A-Z])[ \t]*[.:){_WIDE}]", re.MULTILINE),
    re.compile(r"\(([A-Z])\)"),
)
_HEADING = re.compile(rf"\s*\b(?:choices?|options?)\s*[:{_WIDE}]?\s*$", re.IGNORECASE)


def split_options(text: str) -> tuple[str, tuple[str, ...]]:
    """The question without its options, and the options in order; no options give an empty tuple.

    An option that is empty (a picture, in the original) becomes its own letter.
    """
    question, options = cut_options(text)
    return question, tuple(each or chr(ord("A") + i) for i, each in enumerate(options))


def cut_options(text: str) -> tuple[str, tuple[str, ...]]:
    """As `split_options`, with empty options as they are."""
    for dress in _DRESSES:
        run = _last_run(list(dress.finditer(text)))
        if len(run) > 1:
            ends = [match.start() for match in run[1:]] + [len(text)]
            options = tuple(
                text[match.end() : end].strip(f" \t\r\n{_SEMICOLONS}")
                for match, end in zip(run, ends, strict=True)
            )
            return _HEADING.sub("", text[: run[0].start()]).strip(), options
    return text.strip(), ()


def _last_run(marks: list[re.Match[str]]) -> list[re.Match[str]]:
    """The last marks that run A, B, C, ...; other letters between them are part of the options."""
    starts = [index for index, mark in enumerate(marks) if mark.group(1) == "A"]
    best: list[re.Match[str]] = []
    for start in starts:
        run: list[re.Match[str]] = []
        for mark in marks[start:]:
            if mark.group(1) == chr(ord("A") + len(run)):
                run.append(mark)
        if len(run) > 1:
            best = run
    return best
