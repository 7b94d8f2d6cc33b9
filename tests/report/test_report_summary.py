"""The verdict must not claim more than the intervals carry."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from report_run import eval_row, write_jsonl

from adora_mm.report.run_data import EvalRow, RunData, load_run
from adora_mm.report.summary import ends, run_facts, warnings, what_was_trained
from adora_mm.report.verdict import difference_interval, judge, other_series


def evals(tmp_path: Path, *rows: dict[str, object]) -> tuple[EvalRow, ...]:
    write_jsonl(tmp_path / "evals.jsonl", list(rows))
    return load_run(tmp_path).evals


def test_separate_intervals_are_a_rise(tmp_path: Path) -> None:
    told = judge(evals(tmp_path, eval_row(0, 60, 500), eval_row(200, 190, 500)))
    assert told.direction == "rose"
    assert told.headline == "Held-out accuracy rose: 12.0\u00a0% → 38.0\u00a0%"
    assert "do not overlap" in told.text
    assert "+26.0 points" in told.text


def test_separate_intervals_downwards_are_a_fall(tmp_path: Path) -> None:
    told = judge(evals(tmp_path, eval_row(0, 190, 500), eval_row(200, 60, 500)))
    assert told.direction == "fell"
    assert "-26.0 points" in told.text


def test_a_small_change_is_called_unclear(tmp_path: Path) -> None:
    told = judge(evals(tmp_path, eval_row(0, 60, 500), eval_row(200, 66, 500)))
    assert told.direction == "unclear"
    assert "No clear change" in told.headline
    assert "intervals overlap" in told.text
    assert "cannot tell the change from chance" in told.text


def test_overlap_with_a_difference_off_zero_is_weak_evidence(tmp_path: Path) -> None:
    told = judge(evals(tmp_path, eval_row(0, 200, 500), eval_row(200, 233, 500)))
    assert told.direction == "rose"
    assert "but the intervals overlap" in told.headline
    assert "intervals overlap" in told.text
    assert "weak evidence" in told.text


def test_the_last_evaluation_counts_and_not_the_best(tmp_path: Path) -> None:
    told = judge(
        evals(tmp_path, eval_row(0, 60, 500), eval_row(50, 250, 500), eval_row(99, 61, 500))
    )
    assert told.direction == "unclear"


def test_without_bounds_chance_is_not_ruled_out(tmp_path: Path) -> None:
    rows = [{"step": 0, "name": "val", "accuracy": 0.1}, {"step": 9, "name": "val", "accuracy": 1}]
    told = judge(evals(tmp_path, *rows))
    assert told.direction == "unclear"
    assert "No intervals" in told.text


def test_one_or_no_evaluation_gives_no_judge(tmp_path: Path) -> None:
    assert judge(()).direction == "unknown"
    told = judge(evals(tmp_path, eval_row(0, 60, 500)))
    assert told.direction == "unknown"
    assert "nothing to compare" in told.text


def test_a_late_first_evaluation_and_another_n_are_told(tmp_path: Path) -> None:
    told = judge(evals(tmp_path, eval_row(20, 60, 500), eval_row(40, 30, 250)))
    assert "at step 20 (after training had begun)" in told.text
    assert "500 before, 250 after" in told.text


def test_val_greedy_is_the_headline(tmp_path: Path) -> None:
    rows = [
        eval_row(step, correct, 500, name=name, mode=mode)
        for step in (0, 10)
        for name, mode, correct in (
            ("mathvista", "greedy", 11),
            ("val", "sampled", 22),
            ("val", "greedy", 33),
        )
    ]
    assert judge(evals(tmp_path, *rows)).text.startswith("val (greedy, n = 500): 6.6")


def test_other_series_get_a_line_each(tmp_path: Path) -> None:
    rows = evals(
        tmp_path,
        eval_row(0, 60, 500),
        eval_row(0, 100, 500, mode="sampled"),
        eval_row(9, 200, 500, mode="sampled"),
        eval_row(9, 30, 200, name="mathvista"),
    )
    sampled, mathvista = other_series(rows)
    assert sampled.startswith(
        "val (sampled, n = 500): 20.0\u00a0% (16.7\u201323.7) at step 0, 40.0"
    )
    assert "do not overlap" in sampled
    assert mathvista == "mathvista (greedy, n = 200): 15.0\u00a0% (10.7\u201320.6) at step 9"
    assert other_series(()) == []


def test_a_repeated_step_counts_once_with_its_later_row(tmp_path: Path) -> None:
    rows = evals(tmp_path, eval_row(0, 60, 500), eval_row(10, 99, 500), eval_row(10, 70, 500))
    assert [row.correct for row in rows] == [60, 70]


def test_newcombe_interval_of_his_published_example(tmp_path: Path) -> None:
    # Newcombe 1998, table II, case (a): 56/70 against 48/80, method 10: 0.0524 to 0.3339
    before, after = evals(tmp_path, eval_row(0, 48, 80), eval_row(1, 56, 70))
    assert difference_interval(before, after) == pytest.approx((0.0524, 0.3339), abs=2e-4)


def test_ends_are_means_over_at_most_ten_steps() -> None:
    assert ends(np.arange(100, dtype=np.float64)) == (4.5, 94.5)
    assert ends(np.array([3.0])) == (3.0, 3.0)
    assert ends(np.array([np.nan, 1.0, 2.0, np.nan])) == (None, None)


def run_with(tmp_path: Path, rows: Sequence[Mapping[str, object]], info: object = None) -> RunData:
    write_jsonl(tmp_path / "metrics.jsonl", rows)
    (tmp_path / "run.json").write_text(json.dumps(info or {}))
    return load_run(tmp_path)


def test_odd_metrics_are_pointed_out(tmp_path: Path) -> None:
    rows = [
        {
            "step": step,
            "rollout/truncated_frac": 0.6,
            "group/mixed_frac": 0.05,
            "loss/clip_frac": 0.01,
            "loss/policy": float("nan") if step > 7 else 0.1,
        }
        for step in range(10)
    ]
    told = warnings(run_with(tmp_path, rows))
    assert len(told) == 3
    assert told[0].startswith("60.0\u00a0% of the rollouts")
    assert told[1].startswith("Only 5.0\u00a0%")
    assert told[2] == "loss/policy was not finite at 2 steps (first: step 8)."


def test_a_healthy_run_has_no_warnings(run_folder: Path) -> None:
    assert warnings(load_run(run_folder)) == []


def test_what_was_trained_names_policy_steps_and_data(run_folder: Path) -> None:
    text = what_was_trained(load_run(run_folder))
    assert "checkpoints/tiny_vl (1.83 M parameters), 60 steps (finished)" in text
    assert "trained on 4,096 problems of data/triangles/train (fingerprint a1b2c3d4e5f6)" in text
    assert "held out: 500 problems of data/triangles/val" in text


def test_unknown_facts_are_left_out(tmp_path: Path) -> None:
    run = run_with(tmp_path, [{"step": 1}], {"seed": 3, "minutes": 150, "started": "yesterday"})
    assert run_facts(run.info) == [
        ("seed", "3"),
        ("status", "unknown"),
        ("started", "yesterday"),
        ("run time", "2.5 h"),
    ]
    assert what_was_trained(run) == "An unnamed policy, 1 step (state unknown)."
