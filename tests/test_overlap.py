"""One step off: which weights made which rollouts, and that nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from run_fixtures import rows, train, write_run_folder

from adora_mm import trainer as trainer_module

# The entropy term moves the policy although a random one earns nothing.
RECIPE = """
policy: {{path: {root}/model}}
run_dir: {root}/runs
data: {{train: {root}/data@train, val: {root}/data@val, max_prompt_tokens: 300}}
rollout: {{prompts_per_step: 4, group_size: 4, max_new_tokens: 8, backend: transformers_process}}
loss: {{mismatch: truncated_is, entropy_coef: 0.1}}
train: {{total_steps: 5, prompts_per_minibatch: 4, groups_per_microbatch: 2, learning_rate: 1.0e-2}}
evaluation: {{every_steps: 2, samples: 1}}
checkpoint: {{every_steps: 3, keep_last: 9}}
logging: {{sample_every_steps: 1, report: false, tensorboard: false}}
engine: {{threads: 1}}
"""
OVERLAP = "rollout.overlap=one_step"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("overlap")
    return write_run_folder(folder, RECIPE, problems=24, families=("triangle_angle_sum",))


def texts(root: Path, name: str, step: int) -> list[str]:
    samples = [row for row in rows(root, name, "samples/train") if row["step"] == step]
    return [rollout["text"] for row in samples for rollout in row["rollouts"]]


@pytest.fixture(scope="module")
def on_policy(root: Path) -> str:
    assert train(root, "on-policy", "rollout.overlap=off") == 0
    return "on-policy"


@pytest.fixture(scope="module")
def ahead(root: Path) -> str:
    assert train(root, "ahead", OVERLAP) == 0
    return "ahead"


def test_off_is_the_loop_of_the_engine_in_the_training_process(root: Path, on_policy: str) -> None:
    assert train(root, "inside", "rollout.backend=transformers", "rollout.overlap=off") == 0
    for file in ("metrics", "evals", "samples/train"):
        assert rows(root, "inside", file) == rows(root, on_policy, file)


def test_rollouts_are_one_step_old_except_after_a_checkpoint(root: Path, ahead: str) -> None:
    assert [row["rollout/policy_lag"] for row in rows(root, ahead)] == [0, 1, 1, 0, 1]
    versions = {row["step"]: row["policy_version"] for row in rows(root, ahead, "samples/train")}
    assert versions == {1: 0, 2: 0, 3: 1, 4: 3, 5: 3}


def test_step_two_is_made_by_the_first_weights(root: Path, ahead: str, on_policy: str) -> None:
    assert train(root, "frozen", "rollout.overlap=off", "train.learning_rate=1e-30") == 0
    assert texts(root, ahead, 2) == texts(root, "frozen", 2)
    assert texts(root, on_policy, 2) != texts(root, "frozen", 2)


def test_without_learning_overlap_changes_nothing_but_the_lag(root: Path) -> None:
    assert train(root, "frozen-ahead", OVERLAP, "train.learning_rate=1e-30") == 0
    assert train(root, "frozen-off", "rollout.overlap=off", "train.learning_rate=1e-30") == 0
    for one, other in zip(rows(root, "frozen-ahead"), rows(root, "frozen-off"), strict=True):
        one.pop("rollout/policy_lag"), other.pop("rollout/policy_lag")
        assert one == other
    assert rows(root, "frozen-ahead", "evals") == rows(root, "frozen-off", "evals")


def test_the_correction_sees_the_older_weights(root: Path, ahead: str, on_policy: str) -> None:
    for row in rows(root, ahead):
        older = bool(row["rollout/policy_lag"])
        assert (row["mismatch/kl"] > 1e-6) is older, row["step"]
    assert all(row["mismatch/kl"] < 1e-9 for row in rows(root, on_policy))


def test_evaluation_is_by_the_newest_weights(root: Path, ahead: str, on_policy: str) -> None:
    """Step 2's evaluation happens while rollouts of step 3 are made by older weights: the policies
    of both runs are the same only after step 1, so a run of one step tells."""
    words = ("train.total_steps=2", "evaluation.every_steps=1")
    assert train(root, "short", OVERLAP, *words) == 0
    assert train(root, "short-off", "rollout.overlap=off", *words) == 0
    first = [[r for r in rows(root, n, "evals") if r["step"] == 1] for n in ("short", "short-off")]
    assert first[0] == first[1]
    assert first[0] != [r for r in rows(root, "short", "evals") if r["step"] == 0]


def test_resume_from_a_checkpoint_equals_no_interruption(
    root: Path, ahead: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect = trainer_module.Trainer.collect

    def collect_or_die(self: trainer_module.Trainer, step: int) -> Any:
        if step == 5:
            raise KeyboardInterrupt
        return collect(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.Trainer, "collect", collect_or_die)
        assert train(root, "resumed", OVERLAP) == 130
    assert train(root, "resumed", OVERLAP, "--resume") == 0
    for file in ("metrics", "evals", "samples/train"):
        assert rows(root, "resumed", file) == rows(root, ahead, file)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rollout.backend=transformers"], "rollout.backend=transformers_process"),
        (["loss.mismatch=none"], "loss.mismatch=truncated_is"),
        (["dynamic_sampling.enabled=true"], "exclude each other"),
    ],
)
def test_overlap_that_cannot_be_sound_is_refused(
    root: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    capsys.readouterr()
    assert train(root, "refused", OVERLAP, *words) == 2
    assert message in capsys.readouterr().err
    assert not (root / "runs/refused").exists()
