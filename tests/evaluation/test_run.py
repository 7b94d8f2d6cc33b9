"""`adora eval`: one model on one folder, files that repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adora_mm.cli import main


def evaluate(model: Path, data: Path, out: Path, *words: str) -> int:
    places = ["--model", str(model), "--data", str(data), "--out", str(out)]
    return main(["eval", *places, "--max-new-tokens", "6", "--checker-workers", "1", *words])


def text_problems(folder: Path, count: int) -> Path:
    path = folder / "problems.jsonl"
    rows = [{"id": str(i), "question": f"{i}+{i}?", "answer": str(2 * i)} for i in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_results_and_responses(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = text_problems(tmp_path, 5)
    assert evaluate(model, data, tmp_path / "out") == 0
    assert "of 5 correct" in capsys.readouterr().out
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["result"]["n"] == 5
    assert results["settings"]["seed"] == 0
    responses = (tmp_path / "out/responses.jsonl").read_text().splitlines()
    assert [json.loads(row)["problem"]["id"] for row in responses] == list("01234")
    outcomes = [json.loads(row)["rollouts"][0]["outcome"] for row in responses]
    assert outcomes.count("correct") == results["result"]["correct"]


def test_the_same_command_gives_the_same_files(model: Path, tmp_path: Path) -> None:
    data = text_problems(tmp_path, 4)
    for name in ("a", "b"):
        assert evaluate(model, data, tmp_path / name, "--samples", "2", "--seed", "3") == 0
    a, b = (tmp_path / name / "responses.jsonl" for name in ("a", "b"))
    assert a.read_bytes() == b.read_bytes()


def test_results_are_not_overwritten(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = text_problems(tmp_path, 2)
    assert evaluate(model, data, tmp_path / "out") == 0
    capsys.readouterr()
    assert evaluate(model, data, tmp_path / "out") == 2
    assert "already holds results" in capsys.readouterr().err


@pytest.mark.parametrize("count", [16])
def test_real_diagrams_of_every_shape_get_a_verdict(
    model: Path, shared_data: Path, tmp_path: Path, count: int
) -> None:
    folder = tmp_path / "mathvision"
    source = str(shared_data / "mathvision")
    assert main(["prep", "mathvision", "--from", source, "--out", str(folder)]) == 0
    assert evaluate(model, folder, tmp_path / "out", "--limit", str(count)) == 0
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert results["result"]["n"] == count


def test_a_benchmark_is_answered_as_in_training(
    model: Path, shared_data: Path, tmp_path: Path
) -> None:
    """The evaluation of training and the stages ask the same prompt and get the same answers."""
    folder = tmp_path / "mathvision"
    source = str(shared_data / "mathvision")
    words = ["--from", source, "--out", str(folder), "--limit", "8"]
    assert main(["prep", "mathvision", *words]) == 0
    assert evaluate(model, folder, tmp_path / "training") == 0
    words = ["--model", str(model), "--data", str(folder), "--out", str(tmp_path / "stages")]
    words += ["--prompt", "plain", "--max-new-tokens", "6", "--batch", "16"]
    assert main(["eval", "generate", "mathvision_mini", *words]) == 0
    in_training = {
        row["problem"]["id"]: (row["rollouts"][0]["text"], row["rollouts"][0]["finish_reason"])
        for row in rows(tmp_path / "training")
    }
    in_stages = {
        row["problem"]: (row["text"], row["finish_reason"]) for row in rows(tmp_path / "stages")
    }
    assert len(in_stages) == 8
    assert in_stages == in_training


def rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "responses.jsonl").read_bytes().splitlines()]
