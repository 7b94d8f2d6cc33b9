"""AdoraGRPOTrainer: TRL's own trainer, with weights; trained for real on one and two processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import trl
from safetensors.torch import load_file
from scripted_trl import SCRIPT, G, Rollout, accuracy_reward, build, prompt_of, scored

from adora_mm.config.algorithm import AdoraConfig
from adora_mm.integrations.trl import AdoraGRPOTrainer

if TYPE_CHECKING:
    from model_fixtures import TinyModels

ROOT = Path(__file__).resolve().parents[2]
CAP = 12
SAME = {"lambda_att": 1.0}

Make = Callable[..., Any]
Group = tuple[Rollout, ...]


@pytest.fixture
def make(tiny_model: TinyModels, tmp_path: Path) -> Make:
    """Builds a scripted trainer; TRL's own without `adora`."""

    def make(**options: Any) -> Any:
        return build(tiny_model("qwen2").folder, tmp_path, **options)

    return make


def weights_of(trainer: Any) -> list[float]:
    """One applied weight per group of the last generation batch."""
    rows = list(trainer._logs["extra"]["adora_weight"])
    groups = [rows[start : start + G] for start in range(0, len(rows), G)]
    assert all(len(set(group)) == 1 for group in groups)
    return [round(group[0], 6) for group in groups]


def parameters(trainer: Any) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in trainer.model.named_parameters()}


# ------------------------------------------------------------------------------- weights


def test_every_rollout_of_a_group_gets_trls_advantage_times_the_groups_weight(make: Make) -> None:
    plain = scored(make())["advantages"]
    trainer = make(adora="vl_reference")
    weights = torch.tensor([1.0, 0.1, 1.0]).repeat_interleave(G)
    assert torch.equal(scored(trainer)["advantages"], plain * weights)
    assert weights_of(trainer) == [1.0, 0.1, 1.0]
    assert list(trainer._logs["advantages"]) == (plain * weights).tolist()


@pytest.mark.parametrize("scale", ["group", "batch", "none"])
@pytest.mark.parametrize("aggregation", ["sum_then_normalize", "normalize_then_sum"])
def test_lambda_one_is_trls_own_advantage_bit_for_bit(
    make: Make, scale: str, aggregation: str
) -> None:
    options = {"scale_rewards": scale, "multi_objective_aggregation": aggregation}
    plain, same = make(**options), make(adora=AdoraConfig(**SAME), **options)
    ours = scored(same)["advantages"]
    assert torch.equal(ours, scored(plain)["advantages"])
    assert ours.ne(0).any()
    weighted = scored(make(adora=AdoraConfig(lambda_att=0.5), **options))["advantages"]
    assert torch.equal(weighted[:G], ours[:G])
    assert torch.equal(weighted[G : 2 * G], ours[G : 2 * G] * 0.5)


@pytest.mark.parametrize(
    "loss", ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]
)
def test_training_with_lambda_one_is_training_with_trl_bit_for_bit(make: Make, loss: str) -> None:
    plain = make(loss_type=loss)  # one after the other: accelerate's state is one per process
    before = parameters(plain)
    plain.train()
    after = parameters(plain)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    same = make(adora=AdoraConfig(**SAME), loss_type=loss)
    same.train()
    for name, value in parameters(same).items():
        assert torch.equal(value, after[name]), name


def test_the_weights_reach_the_update(make: Make) -> None:
    """Every group disadvantageous: SGD moves each parameter by lambda times TRL's step."""
    tds = (SCRIPT[1], SCRIPT[1])
    moves = []
    for adora in (None, AdoraConfig(lambda_att=0.5)):
        options = {"max_steps": 1, "max_grad_norm": 0.0, "optim": "sgd", "weight_decay": 0.0}
        trainer = make(adora=adora, script=tds, loss_type="dapo", **options)
        before = parameters(trainer)
        trainer.train()
        moves.append({name: value - before[name] for name, value in parameters(trainer).items()})
    largest = max(float(move.abs().max()) for move in moves[0].values())
    assert largest > 0
    for name, move in moves[0].items():
        torch.testing.assert_close(moves[1][name], 0.5 * move, rtol=0, atol=1e-3 * largest)


# Lengths here are short forms of those in the tables: what matters is their order.
ROWS: list[tuple[str, Group, float, float]] = [
    ("mixed, longest success above", ((3, True, False), (9, True, False), (4, False, False),
     (6, False, False)), 1.0, 1.0),
    ("mixed, longest success below", ((3, True, False), (4, False, False), (6, False, False),
     (6, False, False)), 0.1, 0.1),
    ("mixed, tie", ((5, True, False), (4, False, False), (6, False, False), (5, False, False)),
     0.1, 0.1),
    ("no success", ((3, False, False), (4, False, False), (6, False, False), (7, False, False)),
     1.0, 0.1),
    ("no success, all truncated", ((CAP, False, True),) * 4, 1.0, 0.1),
    ("all succeed", ((3, True, False), (4, True, False), (6, True, False), (7, True, False)),
     0.1, 1.0),
    ("mixed, every failure truncated", ((3, True, False),) + ((CAP, False, True),) * 3, 0.1, 1.0),
    ("mixed, one failure truncated", ((9, True, False), (3, False, False), (CAP, False, True),
     (4, False, False)), 1.0, 1.0),
]  # fmt: skip


@pytest.mark.parametrize(("preset", "column"), [("vl_reference", 2), ("llm_reference", 3)])
@pytest.mark.parametrize("masked", [False, True])
def test_edge_case_table_of_both_reference_implementations(
    make: Make, preset: str, column: int, masked: bool
) -> None:
    """Also when TRL empties the completion mask of truncated rollouts."""
    script = tuple(row[1] for row in ROWS)
    options = {"trainer_options": {"success_threshold": 0.5}}
    trainer = make(adora=preset, script=script, mask_truncated_completions=masked, **options)
    scored(trainer, script)
    assert weights_of(trainer) == [row[column] for row in ROWS]


def test_amplification_needs_length_and_difficulty(make: Make) -> None:
    easy: Group = ((9, True, False), (8, True, False), (7, True, False), (2, False, False))
    trainer = make(adora="paper_llm", script=(SCRIPT[0], easy, SCRIPT[1]))
    scored(trainer, (SCRIPT[0], easy, SCRIPT[1]))
    assert weights_of(trainer) == [2.0, 1.0, 1.0]


def test_the_order_inside_a_group_and_the_other_groups_change_nothing(make: Make) -> None:
    trainer = make(adora="vl_reference")
    first = scored(trainer)["advantages"].view(-1, G)
    turned = tuple(group[::-1] for group in SCRIPT)
    assert torch.equal(scored(trainer, turned)["advantages"].view(-1, G), first.flip(1))
    others = (SCRIPT[2], ((2, False, False),) * 4, SCRIPT[1])
    alone = scored(trainer, others)["advantages"].view(-1, G)
    assert torch.equal(alone[0], first[2])
    assert torch.equal(alone[2], first[1])


def test_truncation_is_the_missing_end_token_not_a_length(make: Make) -> None:
    """A failure of full length that ended by itself counts; a short one that was cut does not."""
    ended: Group = ((5, True, False), (2, False, False), (CAP, False, False), (4, False, False))
    cut: Group = ((5, True, False), (2, False, False), (8, False, True), (4, False, False))
    trainer = make(adora="vl_reference", script=(ended, cut))
    scored(trainer, (ended, cut))
    assert weights_of(trainer) == [0.1, 1.0]


def test_a_reward_of_none_is_neither_success_nor_failure(make: Make) -> None:
    def sometimes(completion_ids: list[list[int]], **columns: Any) -> list[float | None]:
        known = accuracy_reward(completion_ids)
        return [None if len(ids) == 5 else k for ids, k in zip(completion_ids, known, strict=True)]

    sometimes.__name__ = "accuracy_reward"
    unknown: Group = ((5, True, False),) * 4
    partly: Group = ((3, True, False), (5, False, False), (2, False, False), (5, False, False))
    script = (unknown, partly, SCRIPT[1])
    trainer = make(adora="vl_reference", script=script, reward_funcs=[sometimes])
    scored(trainer, script)
    assert weights_of(trainer) == [1.0, 1.0, 0.1]


def test_success_is_the_raw_value_of_the_named_reward_above_its_threshold(make: Make) -> None:
    script = (SCRIPT[0], SCRIPT[1])
    options = {"trainer_options": {"success_reward": "length_reward", "success_threshold": 6 / 16}}
    trainer = make(adora="vl_reference", script=script, reward_weights=[1.0, 0.0], **options)
    scored(trainer, script)
    # Longer than 6 tokens is now a success: 9 over the mean of 3, 4, 2, and a cut 8 over 3, 5, 4.
    assert weights_of(trainer) == [1.0, 1.0]


# ----------------------------------------------------------------- schedule, controls, logs


def test_the_schedule_counts_trls_steps(make: Make) -> None:
    trainer = make(adora=AdoraConfig(from_step=1, until_step=2), max_steps=3)
    trainer.train()
    means = [row["adora/weight_mean"] for row in trainer.state.log_history[:3]]
    assert means == pytest.approx([1.0, 0.7, 1.0])
    assert [row["adora/tas_frac"] for row in trainer.state.log_history[:3]] == pytest.approx(
        [2 / 3] * 3
    )


def test_controls_keep_the_mean_weight(make: Make) -> None:
    scaled = make(adora=AdoraConfig(control="scaled_lr"))
    scored(scaled)
    assert weights_of(scaled) == pytest.approx([0.7] * 3)
    shuffled = make(adora=AdoraConfig(control="matched_random"))
    seen = set()
    for step in range(8):
        shuffled.state.global_step = step
        scored(shuffled)
        seen.add(tuple(weights_of(shuffled)))
    assert {tuple(sorted(weights)) for weights in seen} == {(0.1, 1.0, 1.0)}
    assert len(seen) > 1


def test_what_was_applied_is_logged_and_evaluation_keeps_weight_one(make: Make) -> None:
    trainer = make(adora="vl_reference", max_steps=1)
    trainer.train()
    log = trainer.state.log_history[0]
    assert log["adora/tas_frac"] == pytest.approx(2 / 3)
    assert log["adora/tds_frac"] == pytest.approx(1 / 3)
    assert log["adora/weight_mean"] == pytest.approx(0.7)
    assert log["group/success_rate"] == pytest.approx((2 + 1 + 2) / 12)
    assert log["length/correct"] == pytest.approx((9 + 2 + 3 + 6 + 4) / 5)
    trainer.model.eval()
    rows = [{"prompt": prompt_of(SCRIPT[1])} for _ in range(G)]
    advantages = trainer._generate_and_score_completions(rows)["advantages"]
    plain = make()
    plain.model.eval()
    assert torch.equal(advantages, plain._generate_and_score_completions(rows)["advantages"])
    assert list(trainer._logs["extra"]["adora_weight"])[-G:] == [1.0] * G


# --------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adora": "vlm"}, "unknown ADORA preset 'vlm'"),
        ({"reward_funcs": [len]}, "none is called that; the names are len"),
        ({"reward_funcs": [accuracy_reward] * 2}, "more than one is"),
        ({"adora": "llm_reference"}, "accuracy_reward gives 0 or 1.*1.01"),
        ({"adora": AdoraConfig(control="scaled_lr"), "script": SCRIPT[:1]}, "at least two prompts"),
    ],
)
def test_settings_that_cannot_work_are_one_clear_line(
    make: Make, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        make(**({"adora": "vl_reference"} | options))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("moved", ["_generate", "_calculate_rewards"])
def test_a_trl_that_goes_another_way_stops_instead_of_training_plain_grpo(
    make: Make, monkeypatch: pytest.MonkeyPatch, moved: str
) -> None:
    monkeypatch.setattr(AdoraGRPOTrainer, moved, getattr(trl.GRPOTrainer, moved))
    with pytest.raises(RuntimeError, match="moved the places where ADORA looks on"):
        scored(make(adora="vl_reference"))


def test_the_installed_trl_still_calls_the_hooks_once_each(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when an upgrade of TRL moves what the adapter wraps, or renames what it reads."""
    calls = []
    for name in ("_generate_and_score_completions", "_generate", "_calculate_rewards"):
        plain = getattr(trl.GRPOTrainer, name)

        def watched(self: Any, *args: Any, _name: str = name, _plain: Any = plain) -> Any:
            calls.append(_name)
            return _plain(self, *args)

        monkeypatch.setattr(trl.GRPOTrainer, name, watched)
    trainer = make(adora="vl_reference", max_steps=1)
    trainer.train()
    assert sorted(calls) == sorted(
        ["_generate_and_score_completions", "_generate", "_calculate_rewards"]
    )
    assert weights_of(trainer) == [1.0, 0.1, 1.0]


# ------------------------------------------------------------------------------ two processes


@pytest.mark.slow
def test_two_processes_with_a_group_on_both_make_the_weights_and_the_update_of_one(
    tiny_model: TinyModels, tmp_path: Path
) -> None:
    """Twelve rollouts in groups of four: six on each rank, so the middle group straddles."""
    folder, out = tiny_model("qwen2").folder, tmp_path / "two.safetensors"
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc_per_node", "2", str(Path(__file__).with_name("scripted_trl.py"))]
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    done = subprocess.run(
        [*command, str(folder), str(out)],
        env=environment, capture_output=True, text=True, timeout=500, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    one = build(folder, tmp_path, adora="vl_reference")
    one.train()
    two = json.loads(out.with_suffix(".json").read_text())
    assert two["processes"] == 2
    assert two["weights"] == list(one._logs["extra"]["adora_weight"])
    assert two["weights"] == pytest.approx([1.0] * G + [0.1] * G + [1.0] * G)
    assert two["advantages"] == list(one._logs["advantages"])
    log = one.state.log_history[0]
    names = [name for name in log if name.startswith(("adora/", "group/", "length/"))]
    assert len(names) > 10
    assert [two["log"][name] for name in names] == [log[name] for name in names]
    trained = load_file(out)
    for name, value in one.model.named_parameters():
        torch.testing.assert_close(trained[name], value.detach(), rtol=0, atol=2e-5)
