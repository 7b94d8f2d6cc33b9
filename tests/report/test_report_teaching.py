"""What groups.jsonl says: moves between TAS and TDS, problems that taught or did not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from report_run import write_jsonl

from adora_mm.report.group_history import History, load_history, transitions, usefulness
from adora_mm.report.migration import migration_plot
from adora_mm.report.problem_cards import card_sets
from data_prep.synthetic import write_synthetic


def row(step: int, **groups: tuple[int, float, float]) -> dict[str, Any]:
    """A row of groups: name to (tas, right, signal)."""
    return {
        "step": step,
        "id": list(groups),
        "tas": [tas for tas, _, _ in groups.values()],
        "weight": [1.0 if tas else 0.1 for tas, _, _ in groups.values()],
        "right": [right for _, right, _ in groups.values()],
        "signal": [signal for _, _, signal in groups.values()],
    }


@pytest.fixture
def history(tmp_path: Path) -> History:
    rows = [
        row(1, a=(1, 0.5, 0.9), b=(1, 0.0, 0.0), c=(0, 1.0, 0.0), d=(0, 0.5, 0.3)),
        row(2, a=(0, 0.75, 0.1), b=(1, 0.0, 0.0), c=(0, 1.0, 0.0), e=(0, 1.0, 0.0)),
        row(3, a=(1, 0.5, 0.2), e=(1, 0.0, 0.0)),
    ]
    write_jsonl(tmp_path / "groups.jsonl", rows)
    notes: list[str] = []
    found = load_history(tmp_path / "groups.jsonl", notes)
    assert notes == []
    return found


def test_moves_are_counted_from_visit_to_visit(history: History) -> None:
    first, second = transitions(history)
    assert (first.visit, first.problems, second.problems) == (1, 4, 1)
    assert first.moves == {
        (True, True): 1,  # b
        (True, False): 1,  # a
        (False, True): 1,  # e
        (False, False): 1,  # c
    }
    assert second.moves[False, True] == 1  # a again


def test_problems_are_ranked_by_what_they_taught(history: History) -> None:
    useful = usefulness(history)
    assert useful.most == ("a", "d")
    assert (useful.always_wrong, useful.always_right, useful.other_silent) == (
        ("b",),
        ("c",),
        ("e",),
    )
    assert useful.silent == 3
    assert useful.share_of_top_tenth == pytest.approx(1.2 / 1.5)


def test_the_drawing_has_every_transition_and_says_it_in_words(history: History) -> None:
    plot = migration_plot(transitions(history))
    assert plot is not None
    assert "visit 1 \u2192 2 (4)" in plot.svg
    assert "visit 2 \u2192 3 (1)" in plot.svg
    assert "TDS to TAS 1" in plot.svg
    # TAS stays: b of a, b; TDS stays: c of c, e, a
    assert [entry.value for entry in plot.legend] == ["50\u00a0% stay", "33\u00a0% stay"]
    assert migration_plot([]) is None


def test_rows_that_do_not_fit_are_told_and_the_later_of_two_counts(tmp_path: Path) -> None:
    broken = [row(1, a=(1, 0.5, 0.5)) | {"tas": []}, {"step": 2, "id": "x"}]
    rows = [*broken, row(3, a=(1, 0.5, 0.5)), row(3, a=(0, 0.25, 0.5))]
    write_jsonl(tmp_path / "groups.jsonl", rows)
    notes: list[str] = []
    history = load_history(tmp_path / "groups.jsonl", notes)
    assert [visit.right for visit in history["a"]] == [0.25]
    assert notes == ["groups.jsonl: left out 2 rows with columns that differ."]


def test_cards_show_diagram_question_and_visits(tmp_path: Path) -> None:
    write_synthetic(
        tmp_path / "data", counts={"train": 2}, seed=0, families=["linear_pair"], image_px=112
    )
    from adora_mm.data import load_problems

    known, other = load_problems(tmp_path / "data")
    write_jsonl(
        tmp_path / "groups.jsonl",
        [row(step, **{known.id: (1, 0.5, 0.5), other.id: (1, 0, 0)}) for step in range(1, 10)],
    )
    history = load_history(tmp_path / "groups.jsonl", [])
    notes: list[str] = []
    folders = [f"{tmp_path}/data@train", str(tmp_path / "gone")]
    most, wrong = card_sets(history, usefulness(history), folders, notes)
    assert [card.problem_id for card in (*most.cards, *wrong.cards)] == [known.id, other.id]
    (card,) = most.cards
    assert card.question.unescape() == known.question
    assert card.image is not None
    assert card.image.data_uri.startswith("data:image/")
    assert (card.num_visits, [visit.step for visit in card.visits]) == (9, [4, 5, 6, 7, 8, 9])
    assert len(notes) == 1, "the folder that is gone is told, once"
    assert "gone" in notes[0]


def test_a_damaged_diagram_leaves_the_card(tmp_path: Path) -> None:
    write_synthetic(
        tmp_path / "data", counts={"train": 1}, seed=0, families=["linear_pair"], image_px=112
    )
    from adora_mm.data import load_problems

    (problem,) = load_problems(tmp_path / "data")
    Image.new("RGB", (5, 5)).save(problem.images[0])
    problem.images[0].write_bytes(b"broken")
    write_jsonl(tmp_path / "groups.jsonl", [row(1, **{problem.id: (1, 0.5, 0.5)})])
    history = load_history(tmp_path / "groups.jsonl", [])
    (most,) = card_sets(history, usefulness(history), [str(tmp_path / "data")], [])
    assert most.cards[0].image is not None
    assert most.cards[0].image.data_uri == ""
