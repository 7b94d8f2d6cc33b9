"""The commands of `adora prep`: what they write, and one line for every mistake."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from adora_mm.data import load_problems
from data_prep import cli
from data_prep.commands.options import with_progress
from data_prep.synthetic import generate, png_bytes

ROWS = [
    {"question": "1+1?", "answer": "2", "level": 1},
    {"question": "2+2?", "answer": ""},
    {"question": "3+3?", "answer": "6", "level": 3},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def run(*words: str | Path) -> int:
    return cli.main([str(word) for word in words])


def test_jsonl_to_a_folder_with_bad_rows_counted(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ["--on-bad", "drop", "--split", "val", "--keep", "level", "--licence", "CC0-1.0"]
    assert run("jsonl", "--from", rows, "--out", out, *options) == 0
    assert capsys.readouterr().out == (
        f"{out}: 2 problems (val 2), 0 images; dropped: empty answer 1\n"
    )
    assert [(p.id, p.answer) for p in load_problems(f"{out}@val")] == [
        ("sums-1", "2"),
        ("sums-3", "6"),
    ]
    manifest = json.loads((out / "manifest.json").read_text())
    assert (manifest["source"], manifest["licence"]) == ("sums", "CC0-1.0")
    assert manifest["dropped"] == {"empty answer": 1}
    assert manifest["arguments"]["from"] == "sums.jsonl"
    assert str(tmp_path) not in (out / "manifest.json").read_text()


def test_a_bad_row_stops_by_default(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("jsonl", "--from", rows, "--out", tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert error.startswith("adora prep: ")
    assert "sums.jsonl, row 2: column 'answer' must be a text, not ''" in error
    assert error.count("\n") == 1
    assert os.listdir(tmp_path) == ["sums.jsonl"]


def test_a_second_run_changes_nothing_and_other_arguments_are_refused(
    rows: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ("jsonl", "--from", rows, "--out", out, "--limit", "1")
    assert run(*command) == 0
    assert run(*command) == 0
    before = (out / "manifest.json").read_bytes()
    assert run(*command, "--split", "test") == 2
    assert "split None there, 'test' now" in capsys.readouterr().err
    assert (out / "manifest.json").read_bytes() == before
    assert run(*command, "--split", "test", "--overwrite") == 0
    assert len(load_problems(out, split="test")) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the following arguments are required: SOURCE"),
        (["geometry"], "invalid choice: 'geometry'"),
        (["gsm8k", "--out", "x"], "the following arguments are required: --from"),
        (["gsm8k", "--from", "x"], "the following arguments are required: --out"),
        (["gsm8k", "--from", "x", "--out", "y", "--limit", "0"], "must be a whole number from 1"),
        (["gsm8k", "--from", "nowhere", "--out", "y"], "no GSM8K there"),
        (
            ["jsonl", "--from", "x", "--out", "y", "--map", "a"],
            "--map: 'a' is not of the form FIELD",
        ),
        (["jsonl", "--from", "x", "--out", "y", "--map", "id=a", "id=b"], "'id' is given twice"),
        (["jsonl", "--from", "x", "--out", "y", "--map", "gold=a"], "no field 'gold' to map"),
        (["synthetic", "--out", "y"], "required: --count"),
        (["synthetic", "--out", "y", "--count", "train"], "--count: 'train' is not of the form"),
        (["synthetic", "--out", "y", "--count", "train=0"], "train=0 is not a whole number from 1"),
        (
            ["synthetic", "--out", "y", "--count", "train=1", "--families", "a=b"],
            "--families: could not convert",
        ),
        (
            ["synthetic", "--out", "y", "--count", "train=1", "--label-grid-px", "-14"],
            "label_grid_px must be 0 (no grid) or more, not -14",
        ),
        (
            ["synthetic", "--out", "y", "--count", "train=1", "--variants", "0"],
            "variants >= 1, not 1 and 0",
        ),
        (["tiny-policy"], "required: --out"),
        (["tiny-policy", "--out", "y", "--pictures", "0"], "must be a whole number from 1"),
        (["tiny-policy", "--out", "y", "--eye-steps", "-4"], "must be a whole number from 1"),
        (["tiny-policy", "--out", "y", "--steps", "1e3"], "must be a whole number from 1"),
        (["tiny-policy", "--out", "y", "--held-out", "-1"], "must be a whole number from 0"),
        (["tiny-policy", "--out", "y", "--seed", "x"], "must be a whole number from 0, not 'x'"),
        (["tiny-policy", "--out", "."], "exists; choose another --out"),
    ],
)
def test_mistakes_end_in_one_line_and_code_2(
    words: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("adora prep: ")
    assert captured.err.count("\n") == 1
    assert message in captured.err
    assert os.listdir(tmp_path) == []


def test_a_folder_that_cannot_be_made_is_one_line_too(
    rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("jsonl", "--from", rows, "--out", rows / "below", "--limit", "1") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_synthetic_problems_are_generated_twice_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--count", "train=6", "val=2", "--seed", "3", "--image-px", "112"]
    words += ["--families", "triangle_angle_sum=2,linear_pair=1"]
    assert run("synthetic", "--out", tmp_path / "one", *words) == 0
    assert run("synthetic", "--out", tmp_path / "two", *words) == 0
    assert "8 problems (train 6, val 2)" in capsys.readouterr().out
    manifests = [(tmp_path / name / "manifest.json").read_bytes() for name in ("one", "two")]
    assert manifests[0] == manifests[1]
    assert len(load_problems(tmp_path / "one", split="train")) == 6
    assert (
        run("synthetic", "--out", tmp_path / "x", "--count", "train=2", "--families", "nope") == 2
    )
    assert "nope" in capsys.readouterr().err


def test_a_grid_of_labels_and_variants_are_recorded(tmp_path: Path) -> None:
    words = ["--count", "train=4", "val=2", "--image-px", "140", "--families", "linear_pair"]
    words += ["--label-grid-px", "14", "--variants", "3"]
    assert run("synthetic", "--out", tmp_path / "grid", *words) == 0
    recorded = json.loads((tmp_path / "grid" / "manifest.json").read_text())["arguments"]
    assert (recorded["label_grid_px"], recorded["variants"]) == (14, 3)
    drawn = {
        png_bytes(picture)
        for split, variants in (("train", 3), ("val", 1))
        for _, picture in generate(
            count=recorded["counts"][split],
            split=split,
            seed=0,
            families=["linear_pair"],
            image_px=140,
            label_grid_px=14,
            variants=variants,
        )
    }
    assert {file.read_bytes() for file in (tmp_path / "grid" / "images").iterdir()} == drawn


def test_the_list_names_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    output = capsys.readouterr().out
    assert all(
        name in output for name in ("synthetic", "geometry3k", "mathvision", "gsm8k", "jsonl")
    )
    assert "MIT" in output


def test_help_exits_like_any_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run("jsonl", "--help")
    assert caught.value.code == 0
    assert "--map" in capsys.readouterr().out


def test_real_sources_end_to_end(shared_data: Path, tmp_path: Path) -> None:
    examples = shared_data / "geometry3k" / "examples"
    free_form = ["--no-choices", "--limit", "3"]
    assert run("geometry3k", "--from", examples, "--out", tmp_path / "geo", *free_form) == 0
    problems = load_problems(tmp_path / "geo@train")
    assert [(len(p.images), p.choices) for p in problems] == [(1, ())] * 3
    assert run("mathvision", "--from", shared_data / "mathvision", "--out", tmp_path / "mv") == 0
    assert len(load_problems(tmp_path / "mv@testmini")) == 304


def test_the_module_runs_without_torch() -> None:
    code = "import sys, data_prep.cli; print(sorted({'torch', 'sympy'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
    words = [sys.executable, "-m", "data_prep", "list"]
    assert subprocess.run(words, cwd=root, capture_output=True, check=False).returncode == 0


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_the_items_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(with_progress(iter(range(500)), "reading", 500)) == list(range(500))
    assert "reading" in terminal.getvalue()
    assert "500/500" in terminal.getvalue()


def test_elsewhere_there_is_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(with_progress(range(5), "reading")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr().err == ""
