"""Real golds, read from the folder of shared data beside the repository."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def _lines(path: Path) -> list[dict[str, Any]]:
    return [
        json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    ]


def _math500(data: Path) -> list[str]:
    return [row["answer"] for row in _lines(data / "text/math500.jsonl")]


def _olympiad(data: Path) -> list[str]:
    return [
        answer
        for row in _lines(data / "text/olympiadbench_en_maths_text.jsonl")
        for answer in row["final_answer"]
    ]


def _gsm8k(data: Path) -> list[str]:
    rows = _lines(data / "text/gsm8k_train.jsonl") + _lines(data / "text/gsm8k_test.jsonl")
    return [row["answer"].split("####")[-1].strip() for row in rows]


def _mathverse(data: Path) -> list[str]:
    rows = json.loads((data / "mathverse/testmini_text_only.json").read_text(encoding="utf-8"))
    return [row["answer"] for row in rows if row["question_type"] == "free-form"]


def _mathvision(data: Path) -> list[str]:
    return [row["answer"] for row in _lines(data / "mathvision/testmini.jsonl")]


def _dynamath(data: Path) -> list[str]:
    return [
        row["answer"]
        for row in json.loads((data / "dynamath/dataset.json").read_text(encoding="utf-8")).values()
    ]


def _mathvista(data: Path) -> list[str]:
    return [
        row["answer"]
        for row in json.loads(
            (data / "mathvista/testmini.json").read_text(encoding="utf-8")
        ).values()
    ]


def _geometry3k(data: Path) -> list[str]:
    """The options of the ten complete problems."""
    folders = sorted((data / "geometry3k/examples").iterdir())
    return [
        c
        for folder in folders
        for c in json.loads((folder / "data.json").read_text(encoding="utf-8"))["choices"]
    ]


def _contests(data: Path) -> list[str]:
    names = ("aime_2024", "aime_2025", "aime_2021_2024", "amc23_40", "amc_validation_83")
    return [str(row["answer"]) for name in names for row in _lines(data / f"text/{name}.jsonl")]


SETS: dict[str, Callable[[Path], list[str]]] = {
    "math500": _math500,
    "olympiadbench": _olympiad,
    "gsm8k": _gsm8k,
    "mathverse": _mathverse,
    "mathvision": _mathvision,
    "dynamath": _dynamath,
    "mathvista": _mathvista,
    "geometry3k": _geometry3k,
    "contests": _contests,
}


def geometry3k_problems(data: Path) -> list[dict[str, Any]]:
    """The ten complete problems with their choices, answer letter and precise values."""
    folders = sorted((data / "geometry3k/examples").iterdir())
    return [json.loads((folder / "data.json").read_text(encoding="utf-8")) for folder in folders]
