r"""DAPO-Math-17k: competition problems with whole numbers as answers, text only, to train on.

Source: Yu et al. 2025 (arXiv 2503.14476), hub `BytedTsinghua-SIA/DAPO-Math-17k`; Apache-2.0.
Split: train, about 17,400 problems; the published file repeats each of them about a hundred times
(1.79 million rows). Only the first row with an index, and with a question and answer, is kept.

Form: `data/dapo-math-17k.parquet`, the layout of verl:
    {"data_source": "math_dapo", "ability": "MATH",
     "prompt": [{"role": "user", "content": "Solve the following math problem step by step. The last
      line ...\n\nIn triangle $ABC$ ...\n\nRemember to put your answer on its own line ..."}],
     "reward_model": {"ground_truth": "34", "style": "rule-lighteval/MATH_v2"},
     "extra_info": {"index": "9a9b6eb4-..."}}
The instruction around each problem is removed: the recipe's own system prompt says how to answer.
The processed form (`open-r1/DAPO-Math-17k-Processed`: `prompt` a plain text, `solution` the answer)
is read too. Written from the dataset card and from code that reads it; tested on files of that
schema, not on the real one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from adora_mm.types import Problem
from data_prep.sources.rows import RowError, text
from data_prep.sources.source import Found, Source
from data_prep.sources.tables import TABLES, as_record, cell, table_rows
from data_prep.writer import Entry

_BEFORE = (
    "Solve the following math problem step by step. The last line of your response should be of "
    "the form Answer: $Answer (without quotes) where $Answer is the answer to the problem."
)
_AFTER = 'Remember to put your answer on its own line after "Answer:".'


def find(path: Path, split: str | None) -> Found:
    """Each problem once, of the file or of all tables in the folder."""
    files = [path] if path.is_file() else sorted(p for s in TABLES for p in path.rglob(f"*{s}"))
    if not files:
        raise ValueError(f"{path}: no DAPO-Math-17k there: expected dapo-math-17k.parquet")
    known: set[bytes] = set()

    def to_entry(columns: Any) -> Entry | None:
        record = as_record(columns)
        number = text({"index": cell(record, "extra_info.index")}, "index")
        entry = _entry(record, number)
        marks = {_mark(number), _mark(f"{entry.problem.question}\0{entry.problem.answer}")}
        repeated = not marks.isdisjoint(known)
        known.update(marks)
        return None if repeated else entry

    return chain.from_iterable(map(table_rows, files)), to_entry


SOURCE = Source(
    name="dapo",
    title="DAPO-Math-17k",
    find=find,
    splits=("train",),
    licence="Apache-2.0",
    summary="DAPO-Math-17k, about 17,400 competition problems, text only (train)",
    needs="dapo-math-17k.parquet, its folder, or the hub name",
    hub="BytedTsinghua-SIA/DAPO-Math-17k",
)
read = SOURCE.read


def _mark(text_: str) -> bytes:
    return hashlib.blake2b(text_.encode(), digest_size=12).digest()


def _entry(record: Mapping[str, Any], index: str) -> Entry:
    nested = cell(record, "reward_model.ground_truth")
    answer = text(record if nested is None else {"solution": nested}, "solution")
    problem = Problem(
        id=f"dapo-{index}",
        question=_question(record),
        answer=answer,
        source="dapo",
        split="train",
        answer_type="number",
    )
    return Entry(problem=problem)


def _question(record: Mapping[str, Any]) -> str:
    prompt = record.get("prompt")
    if isinstance(prompt, list):
        users = [turn for turn in prompt if isinstance(turn, dict) and turn.get("role") == "user"]
        if len(users) != 1:
            raise RowError("bad prompt", f"column 'prompt' holds {len(users)} user turns, not one")
        prompt = users[0].get("content")
    question = text({"prompt": prompt}, "prompt")
    question = question.removeprefix(_BEFORE).removesuffix(_AFTER).strip()
    return text({"prompt": question}, "prompt")
