"""Knights and Knaves: who tells the truth; every person's role must be right.

Data: Xie et al. 2024 (arXiv 2410.23123) as prepared in ShadeCloak/ADORA, Apache-2.0; test, 100
puzzles for each of 3 to 7 people.
Official protocol: https://github.com/AlphaPav/mem-kk-logic: after the conclusion mark, the list
`(1) Zoey is a knight ...` must name every person with the right role.
Metric: accuracy. Breakdown: number of people.
Different here: its own check, below. The roles are read from the last answer tag or box, else from
the text after the last "conclusion" or "answer", else from the last lines; a person named with both
roles there, or not named, is not answered.
"""

from __future__ import annotations

import re

from adora_mm.types import Problem, Verdict
from adora_mm.verify.extract import answer_tags, boxes, outside_think
from evaluation.benchmarks.base import Benchmark

PROMPT = (
    "{question}\n\nReason step by step. Then state the role of each person within <answer> and "
    "</answer>, one per line, for example:\n<answer>\n(1) Zoey is a knight\n(2) Oliver is a "
    "knave\n</answer>"
)
_ROLE = re.compile(
    r"\bis\s+(?:indeed\s+)?(not\s+)?(?:an?\s+)?(?:\\text\{\s*)?(knight|knave)\b", re.I
)
_LAST = re.compile(r"\b(?:conclusion|final answer|answer)\b\s*(?:is)?\s*:?", re.I)
_TAIL_CHARS = 4000
_SHOWN_CHARS = 300


def check_roles(problem: Problem, response: str) -> Verdict:
    """Compare the stated role of each person with the solution in the problem's metadata.

    Raises ValueError for a problem without that metadata.
    """
    names, knights = problem.metadata.get("names"), problem.metadata.get("knights")
    if not isinstance(names, list) or not isinstance(knights, list) or len(names) != len(knights):
        raise ValueError(
            f"problem {problem.id}: its metadata has no names and knights; make the data folder "
            "with adora prep kk"
        )
    truth = dict(zip(names, knights, strict=True))
    text, rule = _final_part(response)
    bare = re.sub(r"[*`]", "", text)  # bold and code marks of Markdown
    stated = {name: _roles(bare, name) for name in names}
    shown = "; ".join(
        f"{name}: {'/'.join('knight' if r else 'knave' for r in sorted(roles, reverse=True))}"
        for name, roles in stated.items()
        if roles
    )[:_SHOWN_CHARS]
    missing = [name for name in names if not stated[name]]
    if missing:
        return Verdict(
            outcome="unparsed", extracted=shown or None, reason=f"{rule}: no role for {missing[0]}"
        )
    twice = [name for name in names if len(stated[name]) > 1]
    if twice:
        return Verdict(
            outcome="incorrect", extracted=shown, reason=f"{rule}: both roles for {twice[0]}"
        )
    wrong = [name for name in names if truth[name] not in stated[name]]
    if wrong:
        return Verdict(
            outcome="incorrect", extracted=shown, reason=f"{rule}: wrong role for {wrong[0]}"
        )
    return Verdict(outcome="correct", extracted=shown, reason=f"{rule}: every role is right")


def _final_part(response: str) -> tuple[str, str]:
    text = outside_think(response)
    tagged, _ = answer_tags(text)
    if tagged:
        return tagged[-1], "last answer tag"
    boxed, _ = boxes(text)
    if boxed:
        return boxed[-1], "last box"
    tail = text[-_TAIL_CHARS:]
    marks = list(_LAST.finditer(tail))
    if marks:
        return tail[marks[-1].end() :], "after the conclusion"
    return "\n".join(tail.strip().splitlines()[-12:]), "last lines"


def _roles(text: str, name: str) -> set[bool]:
    """Roles stated for a person: `Name is a knight`, `Name: knave`, `Name is not a knight`."""
    found: set[bool] = set()
    for match in re.finditer(rf"\b{re.escape(name)}\b\s*", text):
        rest = text[match.end() : match.end() + 60]
        role = _ROLE.match(rest) or re.match(r"[:=\-–\s]+()(knight|knave)\b", rest, re.I)
        if role:
            knight = role.group(2).lower() == "knight"
            found.add(knight != bool(role.group(1)))
    return found


BENCHMARKS = (
    Benchmark(
        name="kk",
        title="Knights and Knaves (test, 3 to 7 people)",
        source="kk",
        split="test",
        items=500,
        link="https://github.com/AlphaPav/mem-kk-logic",
        metric="accuracy",
        categories=("people",),
        prompt=PROMPT,
        own_check=check_roles,
        get=(
            "get data/kk/instruct of github.com/ShadeCloak/ADORA (3ppl_test.parquet ...), then: "
            "adora prep kk --from FOLDER --out data/kk"
        ),
    ),
)
