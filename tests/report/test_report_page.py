"""The whole page: complete, self-contained, safe with hostile text, and possible at any time."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_run import eval_row, metric_row, rollout, sample_row, write_jsonl, write_run

from adora_mm.report import write_report
from adora_mm.report.cli import main
from adora_mm.report.panels import PANELS

ATTACK = "</pre></style></title><script>alert(1)</script><img src=x onerror=alert(1)>\"'>{{ 7*7 }}"


class Page(HTMLParser):
    """Tags, attributes and visible text of a page."""

    VOID = frozenset({"meta", "img", "br", "line", "path", "use", "rect"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def report_of(folder: Path) -> tuple[str, Page]:
    text = write_report(folder).read_text(encoding="utf-8")
    page = Page(text)
    assert not page.unbalanced
    assert not page.open
    return text, page


def test_a_finished_run_has_every_section(run_folder: Path) -> None:
    _, page = report_of(run_folder)
    for part in (
        "Held-out accuracy rose: 12.0\u00a0% → 38.0\u00a0%",
        "4,096 problems of data/triangles/train",
        "Problem by problem: +26.0 points",
        "Which problems taught",
        "from one visit to the next",
        "peak memory",
        "Evaluations",
        "Held-out problems, before and after",
        "Training groups, early to late",
        "lambda_att: 0.1",
        "All metrics",
        "deepspeed",
        "cut off at the length limit",
    ):
        assert part in page.text, part
    missing = page.text.split("Missing on this page")[1].split("Learning")[0].split("\n")
    assert [line.strip() for line in missing if line.strip()] == [
        "The problems of data/triangles/train cannot be read here; their ids stand alone."
    ]
    assert page.tags.count("figure") == len(PANELS) + 4  # held-out, moves, time, memory


def test_the_page_is_self_contained(run_folder: Path) -> None:
    text, page = report_of(run_folder)
    assert "script" not in page.tags
    assert "link" not in page.tags
    sources = [value for _, name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert sources
    assert all(value.startswith(("data:image/", "#")) for value in sources)
    assert not re.search(r"url\((?!#)|@import", text)
    assert "default-src 'none'" in text


def test_the_page_serves_light_dark_and_print(run_folder: Path) -> None:
    text, _ = report_of(run_folder)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


def test_hostile_text_never_becomes_markup(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    tags = report_of(folder)[1].tags
    row = sample_row(1, 0, tmp_path / f"{ATTACK[:20]}.png", 0, 0)
    row["problem"] |= dict.fromkeys(("id", "question", "answer", "source"), ATTACK)
    row["rollouts"] = [
        dict.fromkeys(("text", "finish_reason", "outcome", "extracted", "reason"), ATTACK)
        | {"reward": 1.0, "reward_parts": {ATTACK: 1.0}}
    ]
    write_jsonl(folder / "samples" / "train.jsonl", [row])
    write_jsonl(folder / "samples" / "eval.jsonl", [row | {"name": ATTACK}])
    write_jsonl(
        folder / "evals.jsonl", [eval_row(s, 5, 9, name=ATTACK, mode=ATTACK) for s in (0, 9)]
    )
    write_jsonl(folder / "metrics.jsonl", [{"step": 1, ATTACK: 1, f"time/{ATTACK}_s": 1.0}])
    (folder / "config.yaml").write_text(ATTACK)
    info = dict.fromkeys(("name", "status", "recipe", "git_revision", "started", "seed"), ATTACK)
    nested = {"data": {ATTACK: {"path": ATTACK, "fingerprint": ATTACK}}, "policy": {"path": ATTACK}}
    (folder / "run.json").write_text(json.dumps(info | nested | {"versions": {ATTACK: ATTACK}}))
    text, page = report_of(folder)
    assert set(page.tags) <= set(tags) | {"br", "ul", "li"}
    assert "onerror" not in {name for _, name, _ in page.attributes}
    assert "<script" not in text
    assert page.text.count("<script>alert(1)</script>") > 15
    assert "49" not in re.findall(r">\s*(\d+)\s*<", text), "templates in text are not evaluated"


def test_names_with_lone_surrogates_and_dollars_are_written(run_folder: Path) -> None:
    (run_folder / "run.json").write_text('{"name": "odd \\ud800 $\\\\frac{$"}')
    write_jsonl(run_folder / "evals.jsonl", [eval_row(0, 5, 9, name="$\\frac{")])
    assert "odd ? $\\frac{$" in report_of(run_folder)[1].text


def test_a_stopped_run_says_what_is_missing(
    run_folder: Path, append: Callable[[Path, str], None]
) -> None:
    (run_folder / "run.json").write_text('{"name": "cut", "status": "stopped"}')
    (run_folder / "evals.jsonl").unlink()
    append(run_folder / "metrics.jsonl", '{"step": 61, "reward/me')
    page = report_of(run_folder)[1]
    assert "stopped before the end" in page.text
    assert "evals.jsonl is missing." in page.text
    assert "metrics.jsonl ends in the middle of a line" in page.text
    assert "No held-out evaluation recorded" in page.text


@pytest.mark.parametrize("kept", ["run.json", "config.yaml", "metrics.jsonl", "evals.jsonl"])
@pytest.mark.parametrize("empty", [False, True])
def test_any_single_file_is_enough(
    run_folder: Path, tmp_path: Path, kept: str, empty: bool
) -> None:
    folder = tmp_path / "alone"
    folder.mkdir()
    (folder / kept).write_bytes(b"" if empty else (run_folder / kept).read_bytes())
    assert "Missing on this page" in report_of(folder)[1].text


def test_values_of_the_wrong_type_do_not_crash(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"name": [], "data": 3, "policy": "x", "versions": [1]}')
    rows: list[dict[str, object]] = [
        {"step": 1, "a": "x", "b": [], "c": True, "d": 10**400},
        {"step": "two"},
        {},
    ]
    write_jsonl(tmp_path / "metrics.jsonl", rows)
    write_jsonl(
        tmp_path / "evals.jsonl", [{"step": 1, "accuracy": "high"}, eval_row(2, 1, 2, n="x")]
    )
    page = report_of(tmp_path)[1]
    assert "left out 2 rows without a step number" in page.text
    assert "left out 1 row without step or accuracy" in page.text


def test_a_large_run_stays_under_three_megabytes(tmp_path: Path) -> None:
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    folder = tmp_path / "run"
    folder.mkdir()
    write_jsonl(folder / "metrics.jsonl", [metric_row(s, 3000, rng) for s in range(1, 3001)])
    noise = Image.fromarray(rng.integers(0, 255, (800, 800, 3), dtype=np.uint8))
    noise.save(folder / "noise.png")
    for name in ("train", "eval"):
        rows = []
        for step in (0, 1000, 2000, 3000):
            for number in range(6):
                row = sample_row(step, number, folder / "noise.png", 2, 16)
                row["rollouts"] = [
                    rollout(i, "correct", "1") | {"text": "<é>" * 6000} for i in range(16)
                ]
                rows.append(row)
        write_jsonl(folder / "samples" / f"{name}.jsonl", rows)
    path = write_report(folder)
    assert path.stat().st_size < 3_000_000
    assert "left out to keep this page small" in path.read_text(encoding="utf-8")


def test_the_report_can_go_elsewhere_and_is_replaced_whole(
    run_folder: Path, tmp_path: Path
) -> None:
    target = tmp_path / "page.html"
    target.write_text("old")
    assert write_report(run_folder, target) == target
    assert target.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert write_report(run_folder, tmp_path) == tmp_path / "report.html"
    assert not list(tmp_path.glob(".*.tmp"))


def test_errors_name_the_folder_and_the_remedy(tmp_path: Path, run_folder: Path) -> None:
    with pytest.raises(ValueError, match="no such run folder; give the folder"):
        write_report(tmp_path / "none")
    with pytest.raises(ValueError, match="not a run folder"):
        write_report(tmp_path)
    with pytest.raises(ValueError, match="does not exist; create it first"):
        write_report(run_folder, tmp_path / "no" / "page.html")


def test_the_command_prints_the_path(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(run_folder)]) == 0
    assert capsys.readouterr().out.strip() == str(run_folder / "report.html")
    assert main([str(run_folder), "--out", str(tmp_path / "r.html")]) == 0
    assert main([str(tmp_path / "none")]) == 2
    assert "error: " in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_a_browser_runs_no_script_of_the_page(run_folder: Path, tmp_path: Path) -> None:
    row = sample_row(1, 0, tmp_path / "x.png", 0, 0)
    row["rollouts"] = [{"text": "<script>document.title='owned'</script>"}]
    write_jsonl(run_folder / "samples" / "train.jsonl", [row])
    path = write_report(run_folder)
    # even a real script in the page is refused by its content security policy
    evil = path.read_text(encoding="utf-8").replace(
        "</main>", "<script>document.title='owned'</script></main>"
    )
    path.write_text(evil, encoding="utf-8")
    shown = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
            "--no-first-run", "--disable-background-networking", "--disable-component-update",
            "--disable-sync", f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom",
            path.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert "<title>geo3k tiny adora" in shown
