"""The loop end to end on a tiny random policy: it runs, repeats, resumes and refuses."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
from pathlib import Path

import pytest
from PIL import Image
from run_fixtures import rows, train, write_pairs, write_run_folder
from safetensors.torch import load_file

from adora_mm import trainer as trainer_module
from adora_mm.checkpoint import COMPLETE
from adora_mm.cli import main

# A random policy is never right; what it learns from is the fine on long responses.
RECIPE = """
policy: {{path: {root}/model}}
run_dir: {root}/runs
data: {{train: {root}/data@train, val: {root}/data@val, max_prompt_tokens: 300}}
rollout: {{prompts_per_step: 4, group_size: 4, max_new_tokens: 8}}
reward: {{overlong: 0.5, overlong_buffer_tokens: 8}}
advantage: {{adora: {{lambda_att: 0.1, empty_success: tds}}}}
train: {{total_steps: 3, prompts_per_minibatch: 2, groups_per_microbatch: 1, learning_rate: 1.0e-3}}
evaluation: {{every_steps: 2, samples: 1}}
checkpoint: {{every_steps: 1, keep_last: 2}}
logging: {{sample_every_steps: 1, report: false, tensorboard: false}}
engine: {{threads: 1}}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    families = ("triangle_angle_sum", "linear_pair")
    return write_run_folder(tmp_path_factory.mktemp("trainer"), RECIPE, families=families)


def final_weights(root: Path, name: str) -> dict:
    return load_file(root / "runs" / name / "checkpoints/step-000003/policy/model.safetensors")


@pytest.fixture(scope="module")
def plain(root: Path) -> str:
    assert train(root, "plain") == 0
    return "plain"


def test_the_run_that_others_are_compared_with_learns(root: Path, plain: str) -> None:
    """Else runs that repeat it, resume it or leave ADORA out would be equal for nothing."""
    first, *_, last = rows(root, plain)
    for row in (first, last):
        assert row["optim/grad_norm"] > 0
        assert row["loss/policy"] != 0
    before, after = load_file(root / "model/model.safetensors"), final_weights(root, plain)
    assert all((after[name] != before[name]).any() for name in before)


def test_a_run_writes_what_it_did(root: Path, plain: str) -> None:
    run = root / "runs" / plain
    assert [row["step"] for row in rows(root, plain)] == [1, 2, 3]
    needed = {
        "reward/mean", "reward/accuracy", "reward/format", "rollout/length_mean",
        "rollout/truncated_frac", "adora/tas_frac", "adora/weight_mean", "loss/policy",
        "loss/clip_frac", "optim/grad_norm", "optim/lr", "mismatch/kl",
    }  # fmt: skip
    assert needed <= rows(root, plain)[0].keys()
    times = rows(root, plain, "timings")
    assert {"time/evaluate_s", "memory/evaluate_gb"} == times[0].keys() - {"step"}
    in_step_1 = {key for row in times if row["step"] == 1 for key in row}
    for phase in ("rollout", "logprobs", "update", "sync", "checkpoint"):
        assert {f"time/{phase}_s", f"memory/{phase}_gb"} <= in_step_1
    assert "time/reward_s" in in_step_1
    evaluations = rows(root, plain, "evals")
    assert [(r["step"], r["mode"]) for r in evaluations] == [
        (step, mode) for step in (0, 2, 3) for mode in ("greedy", "sampled")
    ]
    assert all(r["n"] == 4 and r["low"] <= r["accuracy"] <= r["high"] for r in evaluations)
    info = json.loads((run / "run.json").read_text())
    assert info["status"] == "finished"
    assert info["data"]["train"]["count"] == 10
    assert info["versions"]["torch"]


def test_every_group_and_every_held_out_problem_is_on_record(root: Path, plain: str) -> None:
    for row, metrics in zip(rows(root, plain, "groups"), rows(root, plain), strict=True):
        assert row["step"] == metrics["step"]
        assert {len(row[name]) for name in ("id", "tas", "weight", "right", "signal")} == {4}
        assert sum(row["tas"]) / 4 == metrics["adora/tas_frac"]
        assert sum(row["right"]) / 4 == pytest.approx(metrics["rollout/correct_frac"])
    for row, result in zip(rows(root, plain, "outcomes"), rows(root, plain, "evals"), strict=True):
        assert (row["step"], row["mode"]) == (result["step"], result["mode"])
        assert len(set(row["id"])) == 4
        assert sum(row["right"]) == result["correct"]


def test_sample_rollouts_hold_everything_a_reader_needs(root: Path, plain: str) -> None:
    row = rows(root, plain, "samples/train")[0]
    assert row["weight"] in (1.0, 0.1)
    assert Path(row["problem"]["images"][0]).is_file()
    assert len(row["rollouts"]) == 4
    expected = {"text", "outcome", "reason", "extracted", "reward", "reward_parts", "advantage"}
    assert expected <= row["rollouts"][0].keys()


def test_rollout_and_trainer_agree_on_log_probs(root: Path, plain: str) -> None:
    assert all(row["mismatch/kl"] < 1e-10 for row in rows(root, plain))


def test_messages_with_two_pictures_are_trained_on_and_shown(root: Path) -> None:
    words = [*write_pairs(root), "train.total_steps=2", "logging.report=true"]
    assert train(root, "pairs", *words) == 0
    for row in rows(root, "pairs"):
        assert row["mismatch/kl"] < 1e-10
        assert row["optim/grad_norm"] > 0
    shown = rows(root, "pairs", "samples/train")[0]["problem"]
    assert shown["question"] == "Is\ninside"
    assert len(shown["images"]) == 2
    page = (root / "runs/pairs/report.html").read_text()
    shown_together = re.findall(r'<div class="problem">((?:\s*<img[^>]*>)+)', page)
    assert {part.count("<img") for part in shown_together} == {2}


def test_old_checkpoints_are_pruned(root: Path, plain: str) -> None:
    kept = sorted(p.name for p in (root / "runs" / plain / "checkpoints").iterdir())
    assert kept == ["step-000002", "step-000003"]
    best = json.loads((root / "runs" / plain / "run.json").read_text())["best"]
    assert best["checkpoint"] == "step-000003"  # the later of two equals


def test_the_same_seed_gives_the_same_metrics_file(root: Path, plain: str) -> None:
    assert train(root, "again") == 0
    runs = root / "runs"
    assert (runs / "again/metrics.jsonl").read_bytes() == (
        runs / "plain/metrics.jsonl"
    ).read_bytes()
    assert train(root, "other", "seed=1") == 0
    assert rows(root, "other") != rows(root, plain)


def test_lambda_one_is_grpo_bit_for_bit(root: Path, plain: str) -> None:
    assert train(root, "one", "advantage.adora.lambda_att=1") == 0
    assert train(root, "grpo", "advantage.adora.enabled=false") == 0
    one, grpo = final_weights(root, "one"), final_weights(root, "grpo")
    assert all((one[name] == grpo[name]).all() for name in grpo)
    attenuated = final_weights(root, plain)
    assert any((attenuated[name] != grpo[name]).any() for name in grpo)
    for a, b in zip(rows(root, "one"), rows(root, "grpo"), strict=True):
        assert {k: v for k, v in a.items() if k.startswith(("loss", "optim", "reward"))} == {
            k: v for k, v in b.items() if k.startswith(("loss", "optim", "reward"))
        }


@pytest.mark.parametrize("at", [1, 2])
def test_resume_equals_no_interruption(
    root: Path, plain: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after writing the records of step `at`+1 but before its checkpoint."""
    name = f"resumed-{at}"
    save = trainer_module.Trainer.save

    def save_or_die(self: trainer_module.Trainer, step: int, sampler: dict) -> None:
        if step > at:
            raise KeyboardInterrupt
        save(self, step, sampler)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.Trainer, "save", save_or_die)
        assert train(root, name) == 130
    metrics = root / "runs" / name / "metrics.jsonl"
    with metrics.open("a") as file:
        file.write('{"step": 9, "half')
    assert train(root, name, "--resume") == 0
    assert metrics.read_bytes() == (root / "runs" / plain / "metrics.jsonl").read_bytes()
    assert rows(root, name, "evals") == rows(root, plain, "evals")
    mine, whole = final_weights(root, name), final_weights(root, plain)
    assert all((mine[key] == whole[key]).all() for key in whole)


def test_kl_term_loads_a_reference_and_is_zero_at_first(root: Path) -> None:
    assert train(root, "kl", "loss.kl_coef=0.1", "train.total_steps=1",
                 "train.prompts_per_minibatch=4") == 0  # fmt: skip
    assert rows(root, "kl")[0]["loss/kl"] == pytest.approx(0.0, abs=1e-9)


def test_adapters_resume_as_if_nothing_had_happened_and_with_no_others(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["policy.lora.rank=4", "policy.lora.vision=true", "data.val=null",
             "loss.kl_coef=0.1", "loss.entropy_coef=0.1"]  # fmt: skip
    assert train(root, "lora", *words) == 0
    first, *_, last = rows(root, "lora")
    assert last["loss/kl"] > 0
    assert first["mismatch/kl"] < 1e-10  # rollouts come from the merged weights
    assert last["mismatch/kl"] < 1e-10
    folder = root / "runs/lora/checkpoints"
    files = sorted(path.name for path in (folder / "step-000003/adapter").iterdir())
    assert files == ["adapter_config.json", "adapter_model.safetensors"]
    whole, adapter = final_weights(root, "lora"), folder / "step-000003/adapter" / files[1]
    before = adapter.read_bytes()
    metrics = (root / "runs/lora/metrics.jsonl").read_bytes()

    shutil.rmtree(folder / "step-000003")
    assert train(root, "lora", *words, "--resume") == 0
    assert (root / "runs/lora/metrics.jsonl").read_bytes() == metrics
    assert adapter.read_bytes() == before
    again = final_weights(root, "lora")
    assert all((again[name] == whole[name]).all() for name in whole)

    recipe = ["train", str(root / "recipe.yaml"), "name=lora", "--resume"]
    assert "differs at `alpha: 4`" in refused(capsys, *recipe, *words, "policy.lora.alpha=4")
    (root / "runs/lora/config.yaml").write_text(
        (root / "runs/lora/config.yaml").read_text().replace("alpha: 32", "alpha: 4")
    )
    line = refused(capsys, *recipe, *words, "policy.lora.alpha=4")
    assert "was written with policy.lora.alpha=32, this run has policy.lora.alpha=4;" in line


def test_text_and_image_problems_in_one_batch(root: Path) -> None:
    text = root / "text.jsonl"
    lines = [
        {"id": f"t{i}", "question": f"What is {i} + {i}? {'word ' * i}", "answer": str(2 * i)}
        for i in range(6)
    ]
    text.write_text("".join(json.dumps(line) + "\n" for line in lines))
    data = f"data.train=[{root}/data@train, {text}]"
    assert train(root, "mixed", data, "train.total_steps=2") == 0


# -- refusals: exit code 2, one line that names the remedy, nothing left behind -----------------


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(list(words)) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def refused_run(root: Path, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    line = refused(capsys, "train", str(root / "recipe.yaml"), "name=refused", *words)
    assert not (root / "runs/refused").exists()
    return line


def test_a_folder_with_a_run_is_refused(
    root: Path, plain: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (root / "runs" / plain / "metrics.jsonl").read_bytes()
    line = refused(capsys, "train", str(root / "recipe.yaml"), f"name={plain}")
    assert "already holds a run" in line
    assert "--resume" in line
    line = refused(
        capsys, "train", str(root / "recipe.yaml"), f"name={plain}", "--resume", "seed=7"
    )
    assert "another recipe" in line
    assert "seed: 7" in line
    assert (root / "runs" / plain / "metrics.jsonl").read_bytes() == before


def test_how_a_run_is_run_may_change_on_resume(root: Path, plain: str) -> None:
    run = root / "runs/moved"
    shutil.copytree(root / "runs" / plain, run)
    config = (run / "config.yaml").read_text().replace("name: plain", "name: moved")
    (run / "config.yaml").write_text(config)
    shutil.rmtree(run / "checkpoints/step-000003")
    words = ("--resume", "engine.zero_stage=2", "checkpoint.keep_last=1", "rollout.max_rows=8")
    assert train(root, "moved", *words) == 0
    assert "zero_stage: 2" in (run / "config.yaml").read_text()
    for mine, whole in zip(rows(root, "moved"), rows(root, plain), strict=True):
        assert mine["loss/policy"] == pytest.approx(whole["loss/policy"], abs=1e-6)


def test_a_copy_of_the_training_problems_is_no_held_out_set(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(root / "data", root / "copy", dirs_exist_ok=True)
    line = refused_run(root, capsys, f"data.train={root}/data@train", f"data.val={root}/copy@train")
    assert "also trained on" in line


def test_a_mistyped_folder_is_not_filled_with_other_problems(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"data.generate.folder={root}/made", "data.generate.counts={train: 4}"]
    line = refused_run(root, capsys, f"data.train={root}/typo", *words)
    assert "no such data folder" in line
    assert not (root / "typo").exists()
    assert not (root / "made").exists()


def test_an_incomplete_checkpoint_is_passed_over(root: Path, plain: str) -> None:
    run = root / "runs/broken"
    shutil.copytree(root / "runs" / plain, run)
    config = (run / "config.yaml").read_text().replace("name: plain", "name: broken")
    (run / "config.yaml").write_text(config)
    (run / "checkpoints/step-000003" / COMPLETE).unlink()
    assert train(root, "broken", "--resume") == 0
    assert rows(root, "broken") == rows(root, plain)


def bad_folder(root: Path, tmp_path: Path, size: tuple[int, int] | None) -> Path:
    """A copy of the data as a plain file whose first picture is damaged."""
    shutil.copytree(root / "data" / "images", tmp_path / "images")
    shutil.copy(root / "data" / "problems.jsonl", tmp_path / "problems.jsonl")
    first = json.loads((tmp_path / "problems.jsonl").read_text().splitlines()[0])
    picture = tmp_path / first["images"][0]
    picture.unlink()
    if size is not None:
        Image.new("1", size).save(picture)
    return tmp_path / "problems.jsonl"


@pytest.mark.parametrize(
    ("size", "fault"),
    [(None, "cannot be read"), ((1, 1), "too small"), ((20_000, 20_000), "too large")],
)
def test_bad_images_stop_the_run_before_it_starts(
    root: Path,
    tmp_path: Path,
    size: tuple[int, int] | None,
    fault: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = bad_folder(root, tmp_path, size)
    line = refused_run(root, capsys, f"data.train={file}", "data.val=null")
    assert fault in line
    assert "data.on_bad=drop" in line


def test_bad_problems_can_be_dropped(root: Path, tmp_path: Path) -> None:
    file = bad_folder(root, tmp_path, None)
    words = (f"data.train={file}", "data.val=null", "data.on_bad=drop", "train.total_steps=1")
    assert train(root, "dropped", *words) == 0
    assert json.loads((root / "runs/dropped/run.json").read_text())["dropped"] == 1


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("data.max_prompt_tokens=20", ["over data.max_prompt_tokens=20"]),
        ("data.val={root}/data@nothing", ["no problems in split 'nothing'", "'val'"]),
        ("data.val={root}/data@train", ["also trained on"]),
        ("data.train={root}/nowhere", ["no such data folder", "adora prep"]),
        ("rollout.grop_size=4", ["unknown key rollout.grop_size", "rollout.group_size"]),
        ("rollout.group_size=0", ["rollout.group_size=0"]),
        ("rollout.backend=magic", ["rollout.backend='magic'", "transformers"]),
        ("train.prompts_per_minibatch=3", ["multiple"]),
        ("policy.path={root}/nowhere", ["nowhere"]),
    ],
)
def test_mistakes_get_one_line(
    root: Path, word: str, parts: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = refused_run(root, capsys, word.format(root=root))
    for part in parts:
        assert part in line


def test_a_full_disk_is_told_before_the_run(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(root)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    assert "free" in refused_run(root, capsys)


def test_a_disk_that_fills_up_leaves_no_checkpoint(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kernel refuses to let a file grow, as a full disk does; safetensors has its own error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        line = refused(capsys, "train", str(root / "recipe.yaml"), "name=full", "data.val=null")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "cannot be written" in line
    assert list((root / "runs/full/checkpoints").iterdir()) == []
    assert json.loads((root / "runs/full/run.json").read_text())["status"] == "stopped"


def test_an_absurd_learning_rate_stops_the_run_and_saves_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first optimizer step, by weight decay alone, ruins the weights; each one after it is
    skipped, its batch kept."""
    capsys.readouterr()
    words = ["name=nan", "train.learning_rate=1e20", "reward.overlong=0", "data.val=null"]
    assert main(["train", str(root / "recipe.yaml"), *words]) == 1
    told = capsys.readouterr()
    assert "3 optimizer steps in a row" in told.err.strip().splitlines()[-1]
    assert "step 1 is not saved" in told.out
    dumped = json.loads((root / "runs/nan/faults/step-000001-update-2-rank-0.json").read_text())
    assert len(dumped["groups"]) == 2
    assert dumped["groups"][0]["responses"][0]["token_ids"]
    assert not list((root / "runs/nan").glob("checkpoints/step-*/COMPLETE"))


# -- faults while it runs -----------------------------------------------------------------------


def damage_after_the_checks(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the data whose first picture is damaged when training begins."""
    file = bad_folder(root, tmp_path, (112, 112))
    first = json.loads(file.read_text().splitlines()[0])
    run = trainer_module.Trainer.run

    def damage_and_run(self: trainer_module.Trainer) -> None:
        (tmp_path / first["images"][0]).write_bytes(b"half a picture")
        run(self)

    monkeypatch.setattr(trainer_module.Trainer, "run", damage_and_run)
    return file


def test_a_picture_damaged_on_the_way_stops_the_run_by_name(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = damage_after_the_checks(root, tmp_path, monkeypatch)
    words = ["name=torn", f"data.train={file}", "data.val=null", "train.total_steps=4"]
    line = refused(capsys, "train", str(root / "recipe.yaml"), *words)
    assert ".png" in line
    assert "not an image" in line
    assert json.loads((root / "runs/torn/run.json").read_text())["status"] == "stopped"


def test_with_on_bad_drop_another_problem_takes_its_place(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    file = damage_after_the_checks(root, tmp_path, monkeypatch)
    words = (f"data.train={file}", "data.val=null", "data.on_bad=drop", "train.total_steps=4")
    assert train(root, "mended", *words) == 0
    assert "another problem takes its place" in caplog.text
    assert [row["step"] for row in rows(root, "mended")] == [1, 2, 3, 4]


@pytest.mark.parametrize("where", ["rollout", "evaluation"])
def test_a_signal_saves_and_stops_and_auto_goes_on(
    root: Path, plain: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGTERM during the rollouts of step 2 drops that step; during its evaluation it is kept."""
    name = f"asked-{where}"
    method = {"rollout": "collect", "evaluation": "evaluate"}[where]
    original = getattr(trainer_module.Trainer, method)

    def and_signal(self: trainer_module.Trainer, step: int) -> object:
        if step == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(trainer_module.Trainer, method, and_signal)
        assert train(root, name, "checkpoint.every_steps=0") == 128 + signal.SIGTERM
    run = root / "runs" / name
    saved = [path.name for path in (run / "checkpoints").iterdir()]
    assert saved == [{"rollout": "step-000001", "evaluation": "step-000002"}[where]]
    assert json.loads((run / "run.json").read_text())["status"] == "stopped"
    assert train(root, name, "resume=auto", "checkpoint.every_steps=1") == 0
    assert rows(root, name) == rows(root, plain)
    assert rows(root, name, "evals") == rows(root, plain, "evals")
    mine, whole = final_weights(root, name), final_weights(root, plain)
    assert all((mine[key] == whole[key]).all() for key in whole)


def test_resume_takes_auto_or_never(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "resume=auto" in refused_run(root, capsys, "resume=maybe")


# -- dynamic sampling ---------------------------------------------------------------------------


def test_dynamic_sampling_tells_when_nothing_carries_signal(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The random policy is never right, so every group is all wrong."""
    line = refused(
        capsys, "train", str(root / "recipe.yaml"), "name=dry", "dynamic_sampling.enabled=true",
        "dynamic_sampling.max_attempts=2", "train.total_steps=1",
    )  # fmt: skip
    assert "kept 0 of 4 groups in 2 rollout batches" in line


# -- real data ----------------------------------------------------------------------------------


def test_real_diagrams_and_text_problems_train_and_get_verdicts(
    root: Path, shared_data: Path, tmp_path: Path
) -> None:
    """Geometry3K's folders, MATH-Vision and GSM8K in one run, evaluated on MATH-Vision."""
    sources = {
        "geometry3k": shared_data / "geometry3k/examples",
        "mathvision": shared_data / "mathvision",
        "gsm8k": shared_data / "text",
    }
    for name, path in sources.items():
        words = ["prep", name, "--from", str(path), "--out", str(tmp_path / name)]
        assert main([*words, "--limit", "12"]) == 0
    train_on = f"data.train=[{tmp_path}/geometry3k, {tmp_path}/mathvision, {tmp_path}/gsm8k]"
    words = [train_on, "data.val=null", "train.total_steps=2", "rollout.prompts_per_step=8",
             "data.max_prompt_tokens=2000", "logging.sample_groups=8"]  # fmt: skip
    assert train(root, "real", *words) == 0
    seen = [row["problem"]["source"] for row in rows(root, "real", "samples/train")]
    assert len(set(seen)) > 1
    outcomes = [
        rollout["outcome"]
        for row in rows(root, "real", "samples/train")
        for rollout in row["rollouts"]
    ]
    assert set(outcomes) <= {"correct", "incorrect", "unparsed"}
