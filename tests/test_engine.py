"""The engine: an update does not depend on micro-batches, processes or ZeRO stage."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from adora_mm.config import EngineConfig
from adora_mm.engine import deepspeed_config
from adora_mm.faults import SKIPPED
from adora_mm.models import load_policy
from adora_mm.processor import Processor
from data_prep.tiny_model import build_model, build_tokenizer, save_folder

WORKER = Path(__file__).with_name("engine_worker.py")
ROOT = Path(__file__).resolve().parents[1]
# fp32 sums in another order, after two Adam steps of 1e-2: Adam divides by the gradient's size, so
# an entry whose gradient is almost zero may move by more than the last bits.
TOLERANCE = 2e-4


def run_worker(processes: int, *arguments: object) -> None:
    environment = dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node"]
        + [str(word) for word in (processes, WORKER, *arguments)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engine") / "model"
    tokenizer = build_tokenizer(["Find x. 47+68=115."], vocab_size=300)
    tiny = build_model(
        tokenizer, hidden_size=64, num_layers=2, vision_hidden_size=64, vision_depth=1
    )
    save_folder(folder, tiny, tokenizer)
    return folder


@pytest.fixture(scope="module")
def one_process(model: Path) -> Path:
    """Two updates in one process: padded rows, ZeRO-0, all groups in two micro-batches, old
    log-probs computed beforehand."""
    out = model.parent / "one.safetensors"
    plain = ("--batching", "padded", "--recompute-old")
    run_worker(1, model, out, 0, "--save", model.parent / "one-checkpoint", *plain)
    return out


def largest_difference(a: Path, b: Path) -> float:
    left, right = load_file(a), load_file(b)
    assert left.keys() == right.keys()
    return max(float((left[name] - right[name]).abs().max()) for name in left)


def metrics(out: Path) -> list[dict[str, float]]:
    rows: list[dict[str, float]] = json.loads(out.with_suffix(".json").read_text())
    return rows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "microbatches", "options"),
    [
        (0, 3, ()),
        (1, 3, ("--checkpointing",)),
        (2, 5, ("--max-tokens", 80)),
        (3, 5, ("--max-tokens", 80, "--checkpointing")),
        (2, 3, ("--batching", "packed")),
        (3, 3, ("--batching", "padded")),
    ],
    ids=lambda value: "".join(map(str, value)) if isinstance(value, tuple) else str(value),
)
def test_two_processes_make_the_update_of_one(
    model: Path, one_process: Path, stage: int, microbatches: int, options: tuple[object, ...]
) -> None:
    """Whatever the batching; a budget of tokens cuts groups, on each rank others."""
    out = model.parent / "two.safetensors"
    run_worker(2, model, out, stage, *options)
    assert largest_difference(out, one_process) < TOLERANCE
    for two, one in zip(metrics(out), metrics(one_process), strict=True):
        assert two.pop("microbatches") == microbatches
        assert one.pop("microbatches") == 2
        assert two.keys() == one.keys()
        for name in one:
            assert two[name] == pytest.approx(one[name], rel=2e-3, abs=2e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_offloading_changes_nothing(model: Path, one_process: Path, stage: int) -> None:
    """Optimizer, and parameters at stage 3; on a CPU both stay where they are, by the same code."""
    out = model.parent / f"offload-{stage}.safetensors"
    run_worker(2, model, out, stage, "--offload")
    assert largest_difference(out, one_process) < TOLERANCE


RATE = 1e-5
"""So small that most weights in bf16 are too coarse for a step of it."""


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "options"), [(1, ()), (3, ()), (2, ("--lora",))])
def test_half_precision_is_trained_in_full_precision(
    model: Path, stage: int, options: tuple[str, ...]
) -> None:
    """The masters take AdamW's step of the gradient, and the weights are their rounding."""
    name = f"half-{stage}"
    arguments = ("--dtype", "bfloat16", "--rate", RATE, *options)
    found: dict[int, dict[str, Tensor]] = {}
    for updates in (1, 8):
        out, checkpoint = model.parent / f"{name}.safetensors", model.parent / f"{name}-{updates}"
        run_worker(1, model, out, stage, *arguments, "--updates", updates, "--save", checkpoint)
        found[updates] = load_file(checkpoint / "optimizer" / "00000.safetensors")
    start = dict(load_policy(model, dtype=torch.bfloat16).named_parameters())
    moved = dict.fromkeys(found, 0.0)
    for key, first in found[1].items():
        kind, _, parameter = key.partition("/")
        if kind != "fp32":
            continue
        assert first.dtype == torch.float32
        began = start.get(parameter, torch.zeros(())).detach().float()
        if ".lora_A." in parameter:
            continue  # drawn at random; its gradient is zero while B is
        gradient = found[1][f"exp_avg/{parameter}"] / (1 - 0.9)
        rate = RATE / 5 if options and ".visual." in parameter else RATE
        torch.testing.assert_close(first, adamw(began, gradient, rate), rtol=0, atol=1e-9)
        for updates, state in found.items():
            moved[updates] += float((state[key] - began).abs().mean())
    assert moved[8] > 3 * moved[1] > 0, "small steps add up"
    if not options:
        weights = load_file(out)
        for parameter, weight in weights.items():
            assert torch.equal(weight, found[8][f"fp32/{parameter}"].bfloat16()), parameter
        lost = torch.cat([((p + RATE) == p).flatten() for p in start.values()])
        assert lost.float().mean() > 0.5, "which bf16 alone would have lost"


def adamw(start: Tensor, gradient: Tensor, rate: float) -> Tensor:
    """The first step of torch's AdamW in fp32, with the worker's settings."""
    weight = nn.Parameter(start.expand_as(gradient).clone())
    weight.grad = gradient
    decay = 0.01 if weight.dim() > 1 else 0.0
    torch.optim.AdamW([weight], lr=rate, betas=(0.9, 0.95), eps=1e-8, weight_decay=decay).step()
    return weight.detach()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("processes", "stage", "without_signal"),
    [(1, 0, (0, 2, 3)), (2, 2, (1, 3, 4, 5)), (2, 3, (0, 1, 2, 4, 5)), (1, 0, (0, 1, 2, 3, 4, 5))],
)
def test_leaving_out_groups_without_signal_changes_nothing(
    model: Path, processes: int, stage: int, without_signal: tuple[int, ...]
) -> None:
    """Also when one rank, or every rank, has nothing else; a rank with two gives one away."""
    name = f"{processes}-{stage}-{len(without_signal)}-signal"
    arguments = ["--kl", 0, "--without-signal", *without_signal]
    skipping, keeping = (model.parent / f"{how}-{name}.safetensors" for how in ("skip", "keep"))
    run_worker(processes, model, skipping, stage, *arguments)
    run_worker(processes, model, keeping, stage, *arguments, "--keep-all")
    assert largest_difference(skipping, keeping) < TOLERANCE
    for skip, keep in zip(metrics(skipping), metrics(keeping), strict=True):
        assert skip["microbatches"] == 1
        assert keep["optim/skipped_token_frac"] == 0 < skip["optim/skipped_token_frac"] < 1
        for key in ("loss/policy", "loss/total", "optim/grad_norm"):
            assert skip[key] == pytest.approx(keep[key], rel=1e-4, abs=1e-7), key


@pytest.mark.slow
@pytest.mark.parametrize("stage", [0, 2])
def test_a_loss_that_is_not_finite_on_one_rank_skips_the_step_on_both(
    model: Path, stage: int
) -> None:
    once, twice = (model.parent / f"{name}-{stage}.safetensors" for name in ("once", "poisoned"))
    run_worker(2, model, once, stage, "--updates", 1)
    run_worker(2, model, twice, stage, "--updates", 2, "--poison-rank", 1)
    assert [row[SKIPPED] for row in metrics(twice)] == [1.0, 0.0]
    assert largest_difference(once, twice) == 0


@pytest.fixture(scope="module")
def one_with_adapters(model: Path) -> Path:
    """The same two updates of adapters; the vision tower's have a lower rate."""
    out = model.parent / "lora.safetensors"
    run_worker(1, model, out, 0, "--lora", "--batching", "padded")
    return out


@pytest.mark.slow
def test_adapters_move_what_they_adapt_away_from_the_reference(
    model: Path, one_with_adapters: Path
) -> None:
    start = dict(load_policy(model).named_parameters())
    end = load_file(one_with_adapters)
    assert end.keys() == start.keys()
    moved = {name for name, weight in end.items() if not weight.equal(start[name].data)}
    adapted = re.compile(r"(_proj|\.qkv|attn\.proj|merger\.mlp\.\d)\.weight$")
    assert moved == {name for name in start if adapted.search(name)}
    first, second = metrics(one_with_adapters)
    assert first["loss/kl"] == 0 < second["loss/kl"]


@pytest.mark.slow
@pytest.mark.parametrize("stage", [2, 3])
def test_adapters_are_trained_alike_on_two_processes_and_from_a_checkpoint(
    model: Path, one_with_adapters: Path, stage: int
) -> None:
    """One update on two processes, one more on one process at stage 1 or 0."""
    out, checkpoint = (model.parent / f"lora-{stage}{end}" for end in (".safetensors", ""))
    options = ("--lora", "--updates", 1, "--checkpointing")
    run_worker(2, model, out, stage, *options, "--save", checkpoint)
    assert largest_difference(out, one_with_adapters) > 25 * TOLERANCE
    run_worker(1, model, out, 3 - stage, *options, "--load", checkpoint)
    assert largest_difference(out, one_with_adapters) < TOLERANCE
    (found,), (_, expected) = metrics(out), metrics(one_with_adapters)
    for name in ("loss/kl", "loss/policy", "optim/grad_norm", "optim/lr_vision"):
        assert found[name] == pytest.approx(expected[name], rel=2e-3, abs=2e-5), name


def test_an_update_moves_the_weights(model: Path, one_process: Path) -> None:
    start = dict(load_policy(model).named_parameters())
    moved = load_file(one_process)
    assert max(float((moved[n] - start[n].detach()).abs().max()) for n in moved) > 25 * TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize(
    ("saved", "loaded"), [((2, 3), (1, 0)), ((2, 2), (1, 1)), ((1, 0), (2, 3))]
)
def test_a_checkpoint_loads_on_other_ranks_and_stages(
    model: Path, one_process: Path, saved: tuple[int, int], loaded: tuple[int, int]
) -> None:
    """One update, save, load elsewhere, one more: the same as two updates in one go."""
    name = f"{saved}-{loaded}".replace(" ", "")
    checkpoint, out = model.parent / f"checkpoint-{name}", model.parent / f"out-{name}.safetensors"
    run_worker(saved[0], model, out, saved[1], "--updates", 1, "--save", checkpoint)
    run_worker(loaded[0], model, out, loaded[1], "--updates", 1, "--load", checkpoint)
    assert largest_difference(out, one_process) < TOLERANCE
    assert metrics(out)[0]["loss/kl"] == pytest.approx(metrics(one_process)[1]["loss/kl"], rel=1e-3)


def test_the_checkpoint_is_an_hf_folder(model: Path, one_process: Path) -> None:
    folder = model.parent / "one-checkpoint" / "policy"
    saved = dict(load_policy(folder).named_parameters())
    for name, weight in load_file(one_process).items():
        assert torch.equal(saved[name].detach(), weight), name
    assert Processor(folder).banned_token_ids == Processor(model).banned_token_ids


def test_deepspeed_never_clips_by_default() -> None:
    config = deepspeed_config(EngineConfig(), dtype="float32", grad_clip=0.0, microbatch_rows=2)
    assert config["gradient_clipping"] == 0.0


def test_extra_settings_are_merged_into_deepspeeds_json() -> None:
    extra = {"zero_optimization": {"reduce_bucket_size": 1000}}
    config = deepspeed_config(
        EngineConfig(zero_stage=2, extra=extra), dtype="bfloat16", grad_clip=1.0, microbatch_rows=2
    )
    assert config["zero_optimization"] == {"stage": 2, "reduce_bucket_size": 1000}
    assert config["bf16"] == {"enabled": True}


def test_offloading_is_in_deepspeeds_json() -> None:
    engine = EngineConfig(zero_stage=3, offload_optimizer=True, offload_params=True)
    config = deepspeed_config(engine, dtype="float32", grad_clip=1.0, microbatch_rows=2)
    assert config["zero_optimization"] == {
        "stage": 3,
        "offload_optimizer": {"device": "cpu"},
        "offload_param": {"device": "cpu"},
    }
    assert config["zero_force_ds_cpu_optimizer"] is False, "else DeepSpeed compiles one"
