"""Whole runs: resumed, killed, shared out, scored again, reported, compared."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mock_endpoint import MockEndpoint, serve

from adora_mm.cli import main
from adora_mm.types import Problem
from evaluation.engines import Shard
from evaluation.generate import generate, present
from evaluation.responses import read_responses
from evaluation.settings import GenerateSettings, command_words, prompt_of
from evaluation.stages import open_run

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _direct(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(scope="module")
def data(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 24 problems of MATH-Vision as a data folder, converted once for all tests."""
    folder = tmp_path_factory.mktemp("data") / "mathvision"
    words = ["prep", "mathvision", "--from", str(shared_data / "mathvision"), "--out", str(folder)]
    assert main([*words, "--limit", "24"]) == 0
    return folder


@pytest.fixture
def server() -> Iterator[MockEndpoint]:
    with serve() as endpoint:
        yield endpoint


def local(model: Path, data: Path, out: Path, **changes: Any) -> GenerateSettings:
    settings: dict[str, Any] = {
        "benchmark": "mathvision_mini",
        "limit": 10,
        "max_new_tokens": 6,
        "samples": 2,
        "temperature": 1.0,
        "batch": 4,
    }
    return GenerateSettings(model=str(model), data=str(data), out=out, **(settings | changes))


def remote(server: MockEndpoint, data: Path, out: Path, **changes: Any) -> GenerateSettings:
    settings: dict[str, Any] = {
        "benchmark": "mathvision_mini",
        "backend": "openai",
        "model": "mock",
        "base_url": server.url,
        "pause_s": 0.01,
        "concurrency": 4,
    }
    return GenerateSettings(data=str(data), out=out, **(settings | changes))


def rows(out: Path) -> dict[str, Any]:
    run = open_run(out)
    return dict(sorted(read_responses(out / "responses.jsonl", run.run).items()))


@pytest.fixture(scope="module")
def whole(model: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run of the tiny model on ten real diagrams."""
    out = tmp_path_factory.mktemp("whole") / "run"
    assert generate(local(model, data, out)) == 0
    return out


# ------------------------------------------------------------------------------------- resuming


@pytest.mark.parametrize("kept", [1, 7, 8, 13])
def test_a_resumed_run_equals_an_unbroken_one(
    kept: int, whole: Path, model: Path, data: Path, tmp_path: Path
) -> None:
    """Cut after any row, also inside a batch, and inside the next row: the rest comes out the same,
    because batches are cut by position and not by what is left."""
    settings = local(model, data, tmp_path / "run")
    generate(settings, shard=Shard(index=0, count=1000))
    lines = (whole / "responses.jsonl").read_bytes().splitlines(keepends=True)
    assert len(lines) == 20
    file = tmp_path / "run/responses.jsonl"
    file.write_bytes(b"".join(lines[:kept]) + lines[kept][:30])
    assert generate(settings) == 0
    assert rows(tmp_path / "run") == rows(whole)
    assert file.read_bytes().count(b"\n") == 20


def test_shares_of_the_work_in_any_number_give_the_same(
    whole: Path, model: Path, data: Path, tmp_path: Path
) -> None:
    settings = local(model, data, tmp_path / "run")
    for index in (2, 0, 1):
        generate(settings, shard=Shard(index=index, count=3))
    assert rows(tmp_path / "run") == rows(whole)


def test_a_finished_run_is_left_alone(whole: Path, model: Path, data: Path) -> None:
    before = (whole / "responses.jsonl").read_bytes()
    logged: list[str] = []
    generate(local(model, data, whole), log=logged.append)
    assert (whole / "responses.jsonl").read_bytes() == before
    assert "all 20 samples are answered" in logged[-1]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"temperature": 0.5}, "sampling.temperature"),
        ({"limit": 9}, "data.fingerprint"),
        ({"prompt": "{question}!"}, "prompt.sha256"),
        ({"batch": 2}, "sampling.batch"),
    ],
)
def test_other_settings_are_not_mixed_in(
    changes: dict[str, Any], name: str, whole: Path, model: Path, data: Path
) -> None:
    with pytest.raises(ValueError, match=f"was started with {name} = .*choose another --out"):
        generate(local(model, data, whole, **changes))


def test_kills_at_any_moment_lose_and_repeat_nothing(data: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "no_proxy": "127.0.0.1"}
    with serve(lambda body, count: "wait") as server:
        generate(remote(server, data, tmp_path / "whole"))
        settings = remote(server, data, tmp_path / "killed", concurrency=2)
        command = [sys.executable, "-m", "evaluation", "generate", *command_words(settings)]
        file = tmp_path / "killed/responses.jsonl"
        kills = 0
        for wanted in (3, 11):
            process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
            while process.poll() is None:
                if file.exists() and file.read_bytes().count(b"\n") >= wanted:
                    process.send_signal(signal.SIGKILL)
                    kills += process.wait() == -signal.SIGKILL
                time.sleep(0.01)
        between = file.read_bytes().count(b"\n")
        generate(settings)
    assert kills == 2
    assert between < 24
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert file.read_bytes().count(b"\n") == 24


# ------------------------------------------------------------------------- scores and reports


def evaluate(settings: GenerateSettings) -> int:
    return main(["eval", "run", *command_words(settings), "--checker-workers", "1"])


def results(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text("utf-8"))
    return found


def test_a_run_end_to_end(
    server: MockEndpoint, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert evaluate(remote(server, data, out, samples=2, temperature=1.0)) == 0
    found = results(out)
    assert (found["schema"], found["schema_version"]) == ("adora-mm/evaluation-results", 1)
    assert (found["problems"], found["samples"], found["complete"]) == (24, 2, True)
    assert found["score"]["n"] == 48
    assert found["score"]["interval"] == "clustered bootstrap"
    assert set(found["at_k"]) == {"1", "2"}
    assert found["at_k"]["2"]["average"] == pytest.approx(found["score"]["accuracy"])
    assert sum(v["problems"] for v in found["categories"]["subject"].values()) == 24
    assert found["manifest"]["model"] == {
        "path": server.url, "name": "mock", "sha256": None, "dtype": None
    }  # fmt: skip
    assert found["manifest"]["data"]["source"] == "mathvision"
    assert "key" not in json.dumps(found["manifest"])
    assert f"{found['score']['correct']} of 48 right" in capsys.readouterr().out
    report = (out / "report.md").read_text("utf-8")
    assert "| k | pass@k | avg@k | maj@k |" in report
    assert found["manifest"]["data"]["fingerprint"] in report


def test_the_schema_is_described_key_by_key(
    server: MockEndpoint, data: Path, tmp_path: Path
) -> None:
    assert evaluate(remote(server, data, tmp_path / "run", limit=4)) == 0
    page = (ROOT / "docs/evaluation.md").read_text("utf-8")
    section = page.split("## results.json")[1].split("\n## ")[0]
    first_cells = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    described = {name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)}
    assert described | {"schema", "schema_version"} == set(results(tmp_path / "run"))


def test_scoring_again_needs_no_generation(
    server: MockEndpoint, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert evaluate(remote(server, data, out)) == 0
    before, asked = results(out), len(server.requests)
    assert main(["eval", "score", str(out), "--checker-workers", "1"]) == 0
    assert main(["eval", "report", str(out)]) == 0
    assert results(out) == before
    assert len(server.requests) == asked


def test_failures_stand_beside_the_score_and_not_in_it(data: Path, tmp_path: Path) -> None:
    def behaviour(body: dict[str, Any], count: int) -> str:
        return "500" if body["seed"] % 4 == 0 else "length" if body["seed"] % 4 == 1 else "answer"

    with serve(behaviour) as server:
        evaluate(remote(server, data, tmp_path / "run", retries=0))
    found = results(tmp_path / "run")
    rates = found["rates"]
    assert found["complete"] is False
    assert 0 < rates["error"] < 0.6
    assert rates["truncated"] > 0
    assert found["score"]["n"] == round(24 * (1 - rates["error"]))
    assert "INCOMPLETE" in (tmp_path / "run/report.md").read_text("utf-8")


def test_two_runs_are_compared(
    server: MockEndpoint, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        assert evaluate(remote(server, data, tmp_path / name, seed=seed)) == 0
    capsys.readouterr()
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--out", str(tmp_path / "c")]
    assert main(["eval", "compare", *words]) == 0
    printed = capsys.readouterr().out
    assert "McNemar p =" in printed
    assert "sampling.seed: 0 -> 1" in printed
    found = json.loads((tmp_path / "c/comparison.json").read_text("utf-8"))
    scores = [results(tmp_path / name)["score"]["accuracy"] for name in ("a", "b")]
    assert found["difference"] == pytest.approx(scores[1] - scores[0])
    assert len(found["flips"]) == found["only_first"] + found["only_second"] > 0
    page = (tmp_path / "c/comparison.html").read_text("utf-8")
    assert page.count('<article class="item ') == 24
    assert page.count(" flipped") >= len(found["flips"])


def test_runs_of_other_problems_are_not_compared(
    server: MockEndpoint, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, limit in (("a", 5), ("b", 6)):
        evaluate(remote(server, data, tmp_path / name, limit=limit))
    assert main(["eval", "compare", str(tmp_path / "a"), str(tmp_path / "b")]) == 2
    assert "cannot be compared: data.fingerprint" in capsys.readouterr().err


# ------------------------------------------------------------------------------------ mistakes


def folder_without(model: Path, name: str, to: Path) -> Path:
    to.mkdir()
    for file in model.iterdir():
        if file.name != name and not file.name.startswith(name):
            (to / file.name).symlink_to(file)
    return to


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("preprocessor_config.json", "has no image processor"),
        ("tokenizer", "has no tokenizer"),
        ("config.json", "not a model folder"),
    ],
)
def test_a_model_folder_that_lacks_a_part(
    name: str, message: str, model: Path, data: Path, tmp_path: Path
) -> None:
    broken = folder_without(model, name, tmp_path / "model")
    with pytest.raises(ValueError, match=message):
        generate(local(broken, data, tmp_path / "run"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["list", "--nothing"], "unrecognized arguments"),
        (["rum", "gsm8k"], "no command 'rum'; adora eval --help"),
        (["run", "gsm8l", "--model", "m", "--out", "o"], "no benchmark 'gsm8l'"),
        (["run", "gsm8k", "--model", "hub/name", "--out", "{tmp}/o"], "gsm8k: no data at"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--backend", "x"], "choose from"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--backend", "openai"], "--base-url"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--samples", "4"], "--temperature over 0"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--prompt", "x"], "must hold {question}"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--shard", "0/2"], "--shard is for"),
        (["generate", "gsm8k", "--model", "m", "--out", "o", "--shard", "2/2"], "must be i/n"),
        (["generate", "gsm8k", "--model", "m", "--out", "o", "--extra", "[1]"], "--extra"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--limit", "0"], "--limit must be at"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--top-p", "0"], "--top-p over 0"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--timeout", "0"], "--timeout must be"),
        (["run", "gsm8k", "--model", "m", "--out", "o", "--workers", "0"], "--workers must be"),
        (["score"], "give the folder of a run"),
        (["score", "{tmp}"], "not an evaluation run"),
        (["report", "{tmp}"], "not an evaluation run"),
        (["score", "--responses", "{tmp}/x", "--format", "mathv"], "no such file"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", *(word.replace("{tmp}", str(tmp_path)) for word in words)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_server_that_is_not_there_is_one_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with serve() as gone:
        pass
    assert evaluate(remote(gone, data, tmp_path / "run")) == 2
    assert "is the server running" in capsys.readouterr().err


def test_the_list_says_what_is_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADORA_DATA", str(tmp_path))
    (tmp_path / "kk").mkdir()
    assert main(["eval", "list", "--get"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    places = {line[0]: line[3] for line in lines if line[2:3] == ["problems"]}
    assert places["kk"] == str(tmp_path / "kk")
    assert places["gsm8k"] == "absent"
    assert any("adora prep gsm8k" in " ".join(line) for line in lines)


def test_changed_data_is_noticed(server: MockEndpoint, shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    words = ["prep", "mathvision", "--from", str(shared_data / "mathvision"), "--out", str(folder)]
    assert main([*words, "--limit", "6"]) == 0
    evaluate(remote(server, folder, tmp_path / "run"))
    assert results(tmp_path / "run")["problems"] == 6
    assert main([*words, "--limit", "5", "--overwrite"]) == 0
    with pytest.raises(ValueError, match=r"not the data of .* give it with --data"):
        open_run(tmp_path / "run")


@pytest.mark.parametrize(
    ("prompt", "ending"),
    [
        ("", "\n\nPlease reason step by step, and put your final answer within \\boxed{}."),
        ("plain", ""),
        ("{question} $x_{1}$", " $x_{1}$"),
    ],
)
def test_options_stand_inside_the_prompt(prompt: str, ending: str, tmp_path: Path) -> None:
    problem = Problem(id="p", question="Question?", answer="1", choices=("1", "2"))
    settings = GenerateSettings(benchmark="gsm8k", model="m", out=tmp_path, prompt=prompt)
    shown = present(problem, prompt_of(settings))
    assert shown.question == f"Question?\nChoices: (A) 1 (B) 2{ending}"
    assert shown.choices == ()


def test_settings_survive_the_command_line(tmp_path: Path) -> None:
    from evaluation.cli import _generate_parser

    settings = GenerateSettings(
        benchmark="kk",
        model="m",
        out=tmp_path,
        prompt="Q: {question}\n--x",
        extra={"top_k": -1},
        min_pixels=7,
        timeout_s=2.5,
    )
    parsed = vars(_generate_parser("generate").parse_args(command_words(settings)))
    again = {name: parsed[name] for name in GenerateSettings.__dataclass_fields__}
    assert GenerateSettings(**again) == settings
