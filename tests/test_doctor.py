"""`adora doctor`: what is here, what is missing, and a self-test of the whole loop."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from adora_mm import doctor
from adora_mm.cli import main
from adora_mm.doctor import Finding, describe, examine, is_ready


def test_what_is_installed_is_found_with_its_version() -> None:
    found = {finding.name: finding.found for finding in examine()}
    assert found["torch"] == torch.__version__
    assert is_ready(examine()), "the tests themselves need every needed part"
    assert bool(found["CUDA GPU"]) == torch.cuda.is_available()


def test_every_missing_part_says_what_it_would_enable() -> None:
    missing = Finding(name="vllm", found="", enables="fast rollouts", install="pip install vllm")
    here = Finding(name="torch", found="2.13", enables="everything", install="", needed=True)
    text = describe([here, missing])
    assert "ok  torch              2.13" in text
    assert "vllm               missing; would enable fast rollouts; pip install vllm" in text
    assert is_ready([here, missing])
    assert not is_ready([Finding(name="torch", found="", enables="", install="", needed=True)])


def test_the_self_test_runs_the_loop_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "self-test passed" in out
    assert list(tmp_path.iterdir()) == []


def test_a_missing_needed_part_is_exit_code_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Finding(name="x", found="", enables="everything", install="pip install x", needed=True)
    monkeypatch.setattr(doctor, "CHECKS", (lambda: gone,))
    assert main(["doctor", "--no-self-test"]) == 1
    assert "pip install x" in capsys.readouterr().out
