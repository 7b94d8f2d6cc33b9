"""Lettered options written into a question's text: split off, so that a checker can tell them.

Two dresses are read: `(A) yes (B) no` anywhere, and `A. yes`, `A: yes` at the start of a line (or
after a semicolon). The letters must run A, B, C, ... without a gap; the last such run counts.
"""

from __future__ import annotations

import re

_WIDE = "\uff0e\uff1a"
"""The full-width full stop and colon of Chinese text."""
_DRESSES = (
    re.compile(r"\(([A-Z])\)"),
    re.compile(rf"(?:^|(?<=[\n;]))[ \t]*([A-Z])[ \t]*[.:{_WIDE}]", re.MULTILINE),
)
_HEADING = re.compile(rf"\s*\b(?:choices?|options?)\s*[:{_WIDE}]?\s*$", re.IGNORECASE)


def split_options(text: str) -> tuple[str, tuple[str, ...]]:
    """The question without its options, and the options in order; no options give an empty tuple.

    An option that is empty (a picture, in the original) becomes its own letter.
    """
    for dress in _DRESSES:
        run = _last_run(list(dress.finditer(text)))
        if len(run) > 1:
            ends = [match.start() for match in run[1:]] + [len(text)]
            options = [
                text[match.end() : end].strip(" \t\r\n;") or match.group(1)
                for match, end in zip(run, ends, strict=True)
            ]
            return _HEADING.sub("", text[: run[0].start()]).strip(), tuple(options)
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
