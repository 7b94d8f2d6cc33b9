"""`adora plan` on the command line, its estimate of time, and the headers of the recipes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from transformers import MixtralConfig

from adora_mm.cli import main
from adora_mm.config import load_config
from adora_mm.plan.blueprint import policy_config
from adora_mm.plan.command import count_problems, headline_of, look_ahead
from adora_mm.plan.gpus import PRESETS
from adora_mm.plan.memory import plan_memory
from adora_mm.plan.speed import Assumptions, forward_work, step_time
from adora_mm.plan.workload import Lengths, expected

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("train.groups_per_microbatch=1", "rollout.group_size=2", "rollout.max_new_tokens=16")
"""Fewer operations in the dry run."""
HEADER = re.compile(r"^# Plan, adora plan (.+):\n#   (.+)$", re.M)
FOR_GPUS = sorted(
    path for path in (ROOT / "configs").glob("*.yaml") if "_tiny" not in path.stem
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FOR_GPUS, ids=lambda path: path.stem)
def test_a_recipe_states_what_its_plan_says(recipe: Path) -> None:
    """Write the line anew with the command in it, after a change of recipe, rules or versions."""
    found = HEADER.search(recipe.read_text(encoding="utf-8"))
    assert found, "a recipe for GPUs has a line `# Plan, adora plan ...:`"
    words = found[1].split()
    assert words[0] == recipe.stem
    assert headline_of(words) == found[2]


def test_the_docs_table_has_the_recipes_plans() -> None:
    rows = (ROOT / "docs/recipes.md").read_text(encoding="utf-8").splitlines()
    for recipe in FOR_GPUS:
        found = HEADER.search(recipe.read_text(encoding="utf-8"))
        assert found
        peak, phase, seconds, hours = re.fullmatch(
            r"peak (.+) \((.+)\), about (\d+) s a step, (\d+) h", found[2]
        ).groups()  # type: ignore[union-attr]
        row = next(row for row in rows if row.startswith(f"| `{recipe.stem}` |"))
        assert f"{peak} in {phase}, {seconds} s a step, {hours} h" in row


def test_the_plan_of_the_tiny_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "geo3k_tiny", "--problems", "2000", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "50 steps x 48 prompts x 2 rollouts" in out
    assert "vision tower" in out
    assert "memory per process" in out
    assert "no GPU given" in out
    assert "time: not estimated" in out


def test_a_gpu_gives_a_verdict_and_a_time(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["plan", "geo3k_tiny", "engine.zero_stage=1", *SMALL, "--gpu-gb", "1", "--gpus", "2"]
    assert main([*words, "--tflops", "10", "--bandwidth", "0.5"]) == 0
    out = capsys.readouterr().out
    assert "memory per GPU on 2" in out
    assert "DOES NOT FIT" in out, "DeepSpeed's bucket alone takes 1.9 GiB"
    assert "an estimate, not measured" in out
    assert "MFU of 0.35" in out


def test_json_has_the_same_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "geo3k_tiny", "--gpu", "h100", "--json", *SMALL]) == 0
    plan: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert plan["fits"] is True
    assert plan["parameters"] == sum(part["total"] for part in plan["memory"]["parts"])
    assert plan["peak_bytes"] == max(plan["memory"]["phases"].values())
    assert plan["hours"] == pytest.approx(plan["step_s"] * plan["plan"]["total_steps"] / 3600)


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--mfu", "0"], "--mfu is a share"), (["--gpus", "0"], "--gpus 0"),
     (["policy.path=no/such-model"], "plans know by heart"),
     (["--gpus", "5"], "train.prompts_per_minibatch=24 does not divide over 5 processes"),
     (["rollout.backend=vllm", "rollout.vllm.tensor_parallel_size=2", "--gpus", "3"],
      "rollout.vllm.tensor_parallel_size=2 does not divide --gpus 3"),
     (["--gpu-gb", "-5"], "--gpu-gb -5.0: must be above 0"),
     (["--gpu-gb", "nan"], "--gpu-gb nan"), (["--problems", "0"], "--problems 0"),
     (["--gpu", "h100", "--response-tokens", "-4"], "--response-tokens -4")],
)  # fmt: skip
def test_mistakes_are_one_line(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "geo3k_tiny", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_policy_that_cannot_be_trained_has_no_plan(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    MixtralConfig().save_pretrained(tmp_path)
    assert main(["plan", "geo3k_tiny", f"policy.path={tmp_path}"]) == 2
    assert "is a mixture of experts" in capsys.readouterr().err


def test_steps_wait_for_the_data_where_a_recipe_counts_in_episodes() -> None:
    config = load_config("geo3k_tiny", ["train.total_steps=null", "train.episodes=2",
                                        "data.generate=null", "data.train=nowhere",
                                        *SMALL])  # fmt: skip
    assert look_ahead(config, gpu=None, gpus=1).plan is None
    counted = look_ahead(config, gpu=None, gpus=1, problems=480).plan
    assert counted is not None
    assert counted.total_steps == 20


@pytest.mark.parametrize(("train", "count"), [("none@train", 20), ("none", 27), ("other", None)])
def test_problems_that_would_be_generated_are_counted(train: str, count: int | None) -> None:
    """Without a split a run takes all of the folder."""
    generate = "data.generate={folder: none, counts: {train: 20, val: 7}}"
    config = load_config("geo3k_tiny", [f"data.train={train}", generate])
    assert count_problems(config) == count


# ------------------------------------------------------------------------------------ time


def qwen_7b(*overrides: str) -> tuple[Any, Any, Any]:
    config = load_config("math_qwen25_7b", overrides)
    model_config, _ = policy_config(config.policy.path)
    memory = plan_memory(config, model_config, ranks=8, gpu_gib=80)
    return config, model_config, memory


def test_operations_are_two_per_parameter_and_token() -> None:
    config, model_config, memory = qwen_7b()
    lengths = Lengths(prompt=100, response=200, patches=0)
    work = forward_work(config, model_config, memory, lengths)
    tokens = 512 * 100 + 512 * 5 * 200
    assert work.language == 2 * 6_525_621_760 * tokens
    assert work.head == 2 * 512 * 5 * 200 * 152_064 * 3584
    seen = 512 * 100**2 / 2 + 512 * 5 * (200 * 100 + 200**2 / 2)
    assert work.attention == 4 * 28 * 128 * 28 * seen
    assert work.vision == 0
    # what a step costs per token is near the usual 2 N
    assert 0.9 < work.total / (2 * 7.6e9 * tokens) < 1.1


def test_time_scales_with_what_is_given() -> None:
    config, model_config, memory = qwen_7b()
    lengths = expected(config, model_config, prompt=200, response=500)

    def seconds(gpu: str = "h100", gpus: int = 8, **assumed: float) -> Any:
        return step_time(
            config, model_config, memory, lengths, gpu=PRESETS[gpu], gpus=gpus,
            assumed=Assumptions(**assumed),
        )  # fmt: skip

    plain = seconds()
    assert plain.total_s == plain.rollout_s + plain.scoring_s + plain.update_s + plain.optimizer_s
    assert seconds(mfu=0.7).update_s == pytest.approx(plain.update_s / 2)
    assert seconds(gpus=16).update_s == pytest.approx(plain.update_s / 2)
    assert seconds(host_gbs=40).optimizer_s == pytest.approx(plain.optimizer_s / 2)
    assert seconds("a100").rollout_s > plain.rollout_s > seconds("h200").rollout_s
    assert plain.update_s == pytest.approx(
        4 * forward_work(config, model_config, memory, lengths).total / (8 * 989e12 * 0.35)
    )
