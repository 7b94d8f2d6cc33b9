"""Several runs on one page: paired statistics by hand, curves of each, what differs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_run import write_run

from adora_mm.report.cli import main
from adora_mm.report.compare import render_comparison, write_comparison


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """The second one gets 40 of 500 problems more right at the end; the first 190 and 230 are."""
    return [
        write_run(tmp_path / "a", num_steps=20, gain=130, name="plain"),
        write_run(tmp_path / "b", num_steps=20, gain=170, name="adora"),
    ]


def test_the_second_run_is_compared_problem_by_problem(runs: list[Path]) -> None:
    page = render_comparison(runs)
    # 190 of 500 against 230 of 500; none right only in the first, 40 only in the second
    assert "<td>500</td><td>38.0\u00a0%</td><td>46.0\u00a0%</td><td><b>+8.0</b></td>" in page
    assert "<td>0</td><td>40</td><td>1.82e-12</td>" in page  # 2 / 2 ** 40
    assert "includes 0" not in page
    assert "One run each" in page


def test_runs_without_a_difference_say_so(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, num_steps=20, name=name) for name in "ab"]
    assert "+0.0 to +0.0 (includes 0)" in render_comparison(runs)


def test_every_run_has_its_curve(runs: list[Path]) -> None:
    page = render_comparison(runs)
    assert "Held-out accuracy: val greedy" in page
    for title in ("Response length", "Length of right", "Gradient norm", "Entropy"):
        assert title in page
    assert page.count("</figure>") == 1 + 13


def test_other_data_and_equal_names_are_told(runs: list[Path]) -> None:
    info = json.loads((runs[1] / "run.json").read_text())
    info["data"]["val"]["fingerprint"] = "other"
    info["name"] = "plain"
    (runs[1] / "run.json").write_text(json.dumps(info))
    page = render_comparison(runs)
    assert "The runs have different problems (val)" in page
    assert "plain (1)" in page
    assert "plain (2)" in page


def test_older_runs_without_outcomes_have_curves_only(runs: list[Path]) -> None:
    (runs[0] / "outcomes.jsonl").unlink()
    page = render_comparison(runs)
    assert "No evaluation that two runs share" in page
    assert "</figure>" in page


def test_the_page_is_self_contained(runs: list[Path]) -> None:
    page = render_comparison(runs)
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "prefers-color-scheme: dark" in page


def test_the_command_takes_several_runs(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run) for run in runs]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "comparison.html")
    assert main([*map(str, runs), "--out", str(tmp_path / "no" / "x.html")]) == 2
    with pytest.raises(ValueError, match="1 runs: a comparison takes 2 to 6"):
        write_comparison(runs[:1])
