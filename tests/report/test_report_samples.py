"""Which samples are shown, and how untrusted content is tamed before it reaches the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_run import draw_diagram, rollout, sample_row, write_jsonl

from adora_mm.report.printable import HEAD_CHARS, TAIL_CHARS
from adora_mm.report.samples import load_samples, spread
from adora_mm.report.thumbnails import MAX_SIDE_PX, thumbnail


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return draw_diagram(tmp_path / "triangle.png")


def test_spread_keeps_first_and_last() -> None:
    assert spread(list(range(100)), 4) == [0, 33, 66, 99]
    assert spread([5, 6], 4) == [5, 6]
    assert spread([], 4) == []


def test_train_samples_come_early_to_late_from_spread_steps(run_folder: Path) -> None:
    samples = load_samples(run_folder / "samples")
    assert [sample.visits[0].step for sample in samples.train] == [
        step for step in (1, 21, 36, 56) for _ in range(3)
    ]
    assert samples.notes == ()


def test_heldout_samples_pair_the_first_with_the_last_evaluation(run_folder: Path) -> None:
    samples = load_samples(run_folder / "samples")
    assert [sample.problem_id for sample in samples.heldout] == [
        f"triangle/{number:05d}" for number in range(100, 106)
    ]
    for sample in samples.heldout:
        assert [(visit.step, visit.num_correct) for visit in sample.visits] == [(0, 0), (60, 1)]


def test_a_single_evaluation_gives_single_visits(tmp_path: Path, image: Path) -> None:
    write_jsonl(tmp_path / "eval.jsonl", [sample_row(0, 1, image, 0, 1)])
    (sample,) = load_samples(tmp_path).heldout
    assert [visit.step for visit in sample.visits] == [0]


def test_a_row_written_twice_is_shown_once(tmp_path: Path, image: Path) -> None:
    write_jsonl(
        tmp_path / "train.jsonl", [sample_row(4, 1, image, 0, 4), sample_row(4, 1, image, 3, 4)]
    )
    (sample,) = load_samples(tmp_path).train
    assert sample.visits[0].num_correct == 3


def test_missing_and_half_written_files_are_notes(
    run_folder: Path, append: Callable[[Path, str], None]
) -> None:
    append(run_folder / "samples" / "train.jsonl", '{"step": 61, "problem": {"id"')
    (run_folder / "samples" / "eval.jsonl").unlink()
    samples = load_samples(run_folder / "samples")
    assert len(samples.train) == 12
    assert samples.notes == (
        "samples/eval.jsonl is missing.",
        "samples/train.jsonl ends in the middle of a line; that line is left out.",
    )


def test_characters_that_reverse_text_are_shown_as_such(tmp_path: Path, image: Path) -> None:
    assert shown_text(tmp_path, image, "answer \u202e17\u2066") == "answer \ufffd17\ufffd"


@pytest.mark.parametrize(
    "row",
    [
        {"step": 1, "problem": {"id": 5}},
        {"step": 1, "problem": {"id": "a", "images": "x.png"}, "rollouts": "none"},
        {"step": 1, "problem": {"id": "a", "images": [None, 3, "\0", "a" * 5000]}},
        {"step": 1, "problem": {"id": "a"}, "rollouts": [None, 3, {"reward_parts": [1]}]},
        {"step": 1, "problem": {"id": "a"}, "weight": "heavy", "rollouts": [{"text": None}]},
    ],
)
def test_rows_of_the_wrong_shape_do_not_crash(tmp_path: Path, row: dict[str, Any]) -> None:
    write_jsonl(tmp_path / "train.jsonl", [row])
    assert len(load_samples(tmp_path).train) == 1


def test_rows_without_step_or_problem_are_skipped(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "train.jsonl", [{"step": 1}, {"problem": {"id": "a"}}])
    assert load_samples(tmp_path).train == ()


def shown_text(tmp_path: Path, image: Path, text: str) -> str:
    row = sample_row(1, 1, image, 0, 0)
    row["rollouts"] = [rollout(0, "incorrect", "1") | {"text": text}]
    write_jsonl(tmp_path / "train.jsonl", [row])
    return load_samples(tmp_path).train[0].visits[0].rollouts[0].text.unescape()


def test_a_long_text_keeps_its_beginning_and_its_end(tmp_path: Path, image: Path) -> None:
    text = shown_text(tmp_path, image, "start" + "x" * 50_000 + "<answer>7</answer>")
    assert text.startswith("start")
    assert text.endswith("<answer>7</answer>")
    assert "characters left out" in text
    assert len(text) < HEAD_CHARS + TAIL_CHARS + 100


def test_control_characters_become_visible(tmp_path: Path, image: Path) -> None:
    assert shown_text(tmp_path, image, "a\x00b\x1b[31m\tc\r\nd\ud800") == "a␀b␛[31m\tc\nd?"


def test_the_budget_bounds_the_samples(run_folder: Path) -> None:
    everything = load_samples(run_folder / "samples")
    few = load_samples(run_folder / "samples", budget_bytes=60_000)
    assert 0 < len(few.train) < len(everything.train)
    assert {sample.visits[0].step for sample in few.train} >= {1, 56}, "early and late stay"
    assert few.heldout
    assert "left out to keep this page small" in few.notes[-1]


def test_a_thumbnail_is_small_and_inline(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1000), "red").save(tmp_path / "big.png")
    shown = thumbnail(tmp_path / "big.png")
    assert (shown.width_px, shown.height_px) == (MAX_SIDE_PX, 147)
    assert shown.data_uri.startswith("data:image/")


def test_transparent_ground_becomes_white(tmp_path: Path) -> None:
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("RGB", (10, 10), "white").save(tmp_path / "white.png")
    assert thumbnail(tmp_path / "clear.png").data_uri == thumbnail(tmp_path / "white.png").data_uri


def test_pictures_that_cannot_be_shown_say_why(tmp_path: Path, image: Path) -> None:
    (tmp_path / "text.png").write_text("root:x:0:0")
    (tmp_path / "half.png").write_bytes(image.read_bytes()[:300])
    Image.new("1", (10_000, 7_000)).save(tmp_path / "huge.png")
    problems = {
        name: thumbnail(tmp_path / name).problem
        for name in ("none.png", "text.png", "half.png", "huge.png")
    }
    assert problems == {
        "none.png": "file not found",
        "text.png": "unreadable (UnidentifiedImageError)",
        "half.png": "unreadable (OSError)",
        "huge.png": "too large (10000 x 7000 pixels)",
    }
