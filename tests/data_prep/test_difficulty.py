"""Pass rates of a policy: counted by the checker, the same after an interruption."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from adora_mm.config import RunConfig, load_config
from adora_mm.data import load_problems
from adora_mm.processor import Prompt
from adora_mm.rollout import Finished, Sampling
from adora_mm.types import Completion, Problem
from data_prep import cli
from data_prep.difficulty import measure
from data_prep.synthetic import write_synthetic


class Scripted:
    """Answers problem i rightly in its first i of n completions; fails when told to."""

    def __init__(self, problems: Sequence[Problem], fail_after: int | None = None) -> None:
        self.known = {p.id: (index, p.answer) for index, p in enumerate(problems)}
        self.fail_after = fail_after
        self.asked: list[str] = []
        self.closed = False

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise KeyboardInterrupt
        self.asked += [prompt.problem_id for prompt in prompts]
        rows = [self._complete(*self.known[p.problem_id], sampling) for p in prompts]
        for place, row in enumerate(rows):
            if finished is not None:
                finished(place, row)
        return rows

    def _complete(self, right: int, answer: str, sampling: Sampling) -> list[Completion]:
        texts = [
            f"\\boxed{{{answer if index < right else '-1'}}}"
            for index in range(sampling.num_completions)
        ]
        return [
            Completion(token_ids=(1, 2, 3), text=text, finish_reason="stop", logprobs=(0.0,) * 3)
            for text in texts
        ]

    def update_weights(self, named_weights: object, *, version: int) -> dict[str, float]:
        return {}

    def sleep(self, *, weights_follow: bool = False) -> None: ...

    def wake(self) -> None: ...

    def close(self) -> None:
        self.closed = True


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "set"
    families = ["triangle_angle_sum"]
    write_synthetic(folder, counts={"train": 5}, seed=3, families=families, image_px=112)
    return folder


@pytest.fixture
def config() -> RunConfig:
    words = ["rollout.group_size=4", "rollout.prompts_per_step=2", "train.prompts_per_minibatch=2"]
    return load_config("geo3k_tiny", [*words, "train.groups_per_microbatch=2"])


def silent(batches: Sequence[Sequence[Problem]], total: int) -> Sequence[Sequence[Problem]]:
    assert len(batches) == total
    return batches


def test_pass_rates_are_counted_and_written(
    folder: Path, config: RunConfig, tmp_path: Path
) -> None:
    problems = load_problems(folder)
    engine = Scripted(problems)
    out = tmp_path / "rates.jsonl"
    measured = measure(problems, config, out, progress=silent, backend=engine)
    assert [(row["id"], row["correct"], row["n"]) for row in measured.rows] == [
        (problem.id, min(index, 4), 4) for index, problem in enumerate(problems)
    ]
    assert measured.rows[1]["pass_rate"] == 0.25
    assert engine.closed
    first, *rows = map(json.loads, out.read_text().splitlines())
    assert first["settings"]["samples"] == 4
    assert rows == measured.rows
    assert [path.name for path in tmp_path.iterdir()] == ["rates.jsonl"]


def test_an_interrupted_measurement_goes_on_where_it_stopped(
    folder: Path, config: RunConfig, tmp_path: Path
) -> None:
    problems = load_problems(folder)
    whole, out = tmp_path / "whole.jsonl", tmp_path / "rates.jsonl"
    measure(problems, config, whole, progress=silent, backend=Scripted(problems))
    with pytest.raises(KeyboardInterrupt):
        measure(problems, config, out, progress=silent, backend=Scripted(problems, fail_after=2))
    assert not out.exists()
    partial = tmp_path / "rates.jsonl.partial"
    partial.write_bytes(partial.read_bytes() + b'{"id": "half a row')
    engine = Scripted(problems)
    measured = measure(problems, config, out, progress=silent, backend=engine)
    assert measured.resumed == 2
    assert engine.asked == [problem.id for problem in problems[2:]]
    assert out.read_bytes() == whole.read_bytes()
    assert not partial.exists()
    again = Scripted(problems)
    assert measure(problems, config, out, progress=silent, backend=again).resumed == 5
    assert again.asked == []


def test_other_settings_do_not_continue(folder: Path, config: RunConfig, tmp_path: Path) -> None:
    problems = load_problems(folder)
    out = tmp_path / "rates.jsonl"
    with pytest.raises(KeyboardInterrupt):
        measure(problems, config, out, progress=silent, backend=Scripted(problems, fail_after=2))
    other = config.model_copy(update={"seed": 7})
    with pytest.raises(ValueError, match=r"partial: of an interrupted run with other settings"):
        measure(problems, other, out, progress=silent, backend=Scripted(problems))
    measure(problems, config, out, progress=silent, backend=Scripted(problems))
    with pytest.raises(ValueError, match="holds pass rates of other settings or data"):
        measure(problems, other, out, progress=silent, backend=Scripted(problems))
    with pytest.raises(ValueError, match="other settings or data"):
        measure(problems[:3], config, out, progress=silent, backend=Scripted(problems))


def test_an_empty_partial_file_is_begun_anew(
    folder: Path, config: RunConfig, tmp_path: Path
) -> None:
    problems = load_problems(folder)
    (tmp_path / "rates.jsonl.partial").write_bytes(b'{"settings": {"pol')
    out = tmp_path / "rates.jsonl"
    assert measure(problems, config, out, progress=silent, backend=Scripted(problems)).resumed == 0


def test_the_embedded_policy_by_the_command_twice_alike(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], one_thread: None
) -> None:
    words = ["--count", "train=4", "--image-px", "140", "--label-grid-px", "14", "--seed", "5"]
    families = ["--families", "linear_pair,triangle_angle_sum"]
    assert cli.main(["synthetic", "--out", str(tmp_path / "set"), *words, *families]) == 0
    measured = [
        "difficulty",
        str(tmp_path / "set"),
        "rollout.group_size=3",
        "--recipe",
        "geo3k_tiny",
    ]
    for name in ("a", "b"):
        assert cli.main([*measured, "--out", str(tmp_path / name)]) == 0
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert "mean pass rate" in capsys.readouterr().out
    assert cli.main([*measured, "--out", str(tmp_path / "none/a")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_problems_that_cannot_be_shown_stop_it_before_the_first_answer(
    folder: Path, config: RunConfig, tmp_path: Path
) -> None:
    data = config.data.model_copy(update={"max_prompt_tokens": 8})
    problems = load_problems(folder)
    engine = Scripted(problems)
    with pytest.raises(ValueError, match=r"over data\.max_prompt_tokens=8"):
        measure(
            problems,
            config.model_copy(update={"data": data}),
            tmp_path / "rates.jsonl",
            progress=silent,
            backend=engine,
        )
    assert engine.asked == []


def test_pictures_may_be_as_large_as_the_recipe_allows(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (9000, 7200), 1).save(tmp_path / "large.png")
    row = {"id": "a", "question": "Find x.", "answer": "1", "images": ["large.png"]}
    (tmp_path / "set.jsonl").write_text(json.dumps(row) + "\n")
    problems = load_problems(tmp_path / "set.jsonl")
    out = tmp_path / "rates.jsonl"
    with pytest.raises(ValueError, match="megapixels"):
        measure(problems, config, out, progress=silent, backend=Scripted(problems))
    data = config.data.model_copy(update={"max_image_megapixels": 70.0})
    larger = config.model_copy(update={"data": data})

    def begin(*_: object) -> None:
        raise KeyboardInterrupt("the check let it pass")

    monkeypatch.setattr("data_prep.difficulty.collect_groups", begin)  # decoding takes seconds
    with pytest.raises(KeyboardInterrupt, match="let it pass"):
        measure(problems, larger, out, progress=silent, backend=Scripted(problems))
