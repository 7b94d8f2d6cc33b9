"""The `adora` command: help, mistakes, and where the subcommands lead."""

from __future__ import annotations

from pathlib import Path

import pytest

from adora_mm import cli
from adora_mm.cli import main
from adora_mm.config import load_config


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("train", "plan", "eval", "prep", "check", "report"))


def test_an_unknown_command_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert capsys.readouterr().err == "adora: error: no command 'trian'; adora --help lists them\n"


def test_an_unknown_recipe_lists_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "nothing"]) == 2
    assert "geo3k_tiny" in capsys.readouterr().err


def test_check_asks_the_checker(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--gold", "1/2", "--answer", "0.5"]) in (0, 1)
    assert "correct" in capsys.readouterr().out


def test_plan_says_what_a_run_would_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.jsonl").write_text('{"id": "a", "question": "1+1?", "answer": "2"}\n')
    words = ["plan", "geo3k_tiny", "data.train=d.jsonl", "data.val=null", "train.total_steps=2"]
    words += ["train.groups_per_microbatch=1", "rollout.group_size=2"]
    assert main(words) == 0
    assert "2 steps x" in capsys.readouterr().out
    assert not (tmp_path / "runs").exists()


def test_recipes_that_generate_fill_a_missing_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config("geo3k_tiny", ["data.generate.counts={train: 6, val: 4}"])
    cli._make_data(config)
    assert "making 10 problems" in capsys.readouterr().out
    assert (tmp_path / "data/geo3k_tiny/manifest.json").is_file()
    cli._make_data(config)
    assert "making" not in capsys.readouterr().out


def test_a_plan_makes_no_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = ["train.groups_per_microbatch=1", "rollout.group_size=2"]
    assert main(["plan", "geo3k_tiny", "data.generate.counts={train: 6, val: 4}", *small]) == 0
    assert "6 problems" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []
