"""Memory: states by ZeRO stage, activations against the allocator, phases, and the verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from model_fixtures import TinyModels, random_response

from adora_mm.batching import TrainGroup, collate_groups
from adora_mm.config import EngineConfig, PolicyConfig, RunConfig
from adora_mm.models import ResponseScorer
from adora_mm.plan.blueprint import policy_config
from adora_mm.plan.dry_run import activations
from adora_mm.plan.gpus import GIB
from adora_mm.plan.memory import plan_memory, remedies
from adora_mm.plan.states import BUCKET_ELEMENTS, States, states_of
from adora_mm.plan.workload import Lengths, Rows, microbatch
from adora_mm.types import Completion

ROOT = Path(__file__).resolve().parents[2]


def states(
    stage: int, *, ranks: int = 1, frozen: int = 0, gpu: bool = True, **changes: Any
) -> States:
    policy = PolicyConfig(dtype=changes.pop("dtype", "bfloat16"))
    engine = EngineConfig(zero_stage=stage, **changes)
    groups = [[900, 60], [40]]
    return states_of(groups, [frozen], policy=policy, engine=engine, ranks=ranks, gpu=gpu)


def test_stage_0_holds_everything_in_fp32() -> None:
    found = states(0, dtype="float32", ranks=2, frozen=100)
    assert (found.weights, found.gradients, found.optimizer) == (4 * 1100, 4 * 1000, 8 * 1000)
    assert found.kept == 4 * 1100 + 8 * 1000


@pytest.mark.parametrize(("stage", "gradients"), [(1, 2 * 1000), (2, 2 * 500)])
def test_stages_1_and_2_share_the_optimizer_out(stage: int, gradients: int) -> None:
    found = states(stage, ranks=2, frozen=100)
    assert (found.weights, found.gradients) == (2 * 1100, gradients)
    assert found.optimizer == 12 * 500  # master copy and two moments
    assert found.bucket == 2 * BUCKET_ELEMENTS


def test_stage_3_shares_everything_out() -> None:
    found = states(3, ranks=2, frozen=100)
    assert (found.gradients, found.optimizer) == (2 * 500, 12 * 500)
    assert found.weights == 2 * 550 + 2 * 1100, "small weights stay whole once they were gathered"
    assert found.gathered == 0
    few = states(3, ranks=2, frozen=2_000_000)
    assert (few.weights, few.gathered) == (2 * 1_000_500 + 2 * 1000, 2 * 2_000_000)
    assert states(3, ranks=3).optimizer == 12 * (300 + 20 + 14), "each weight is padded by itself"
    assert states(3, dtype="float32").optimizer == 8 * 1000, "the partitions are the masters"
    assert states(3, dtype="float32", gpu=False).optimizer == 12 * 1000


def test_offloading_moves_state_to_the_host() -> None:
    found = states(2, ranks=2, offload_optimizer=True)
    assert found.optimizer == 0
    assert found.host == (12 + 4) * 500
    found = states(3, ranks=2, offload_optimizer=True, offload_params=True)
    assert (found.weights, found.optimizer) == (0, 0)


def test_engine_extra_sets_the_bucket() -> None:
    found = states(2, extra={"zero_optimization": {"reduce_bucket_size": 1000}})
    assert found.bucket == 2000


def config(folder: Path, **sections: Any) -> RunConfig:
    plain = {
        "name": "p",
        "policy": {"path": str(folder)},
        "data": {"train": "x", "max_prompt_tokens": 90, "max_pixels": 64 * 196},
        "rollout": {"prompts_per_step": 8, "group_size": 4, "max_new_tokens": 40},
        "train": {"total_steps": 1, "prompts_per_minibatch": 8, "groups_per_microbatch": 1},
    }
    return RunConfig.model_validate({**plain, **sections})


def test_a_group_over_the_token_limit_is_cut_as_the_run_cuts_it() -> None:
    lengths = Lengths(prompt=100, response=50, patches=0)
    limit = {"total_steps": 1, "groups_per_microbatch": 3, "max_tokens_per_microbatch": 250}
    short = config(Path("x"), train=limit | {"prompts_per_minibatch": 8})
    assert microbatch(short, lengths, "prefix") == Rows(
        groups=1, rollouts=2, lengths=lengths, batching="prefix"
    )  # 100 + 4 x 50 is over, 100 + 2 x 50 fits, two of those do not
    assert microbatch(short, lengths, "padded").rollouts == 1
    assert microbatch(config(Path("x")), lengths, "prefix").tokens == 300


@pytest.fixture(scope="module")
def most_allocated() -> Callable[[Callable[[], object]], int]:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import allocations
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    return allocations.most_allocated


def passes(
    tiny: Any, batching: str, *, checkpointing: bool, entropy: bool = False
) -> tuple[Callable[[], None], Rows]:
    """A real forward and backward pass, to be run, and the shape of its micro-batch."""
    model = tiny.load(batching).train()
    if checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    prompt = tiny.prompts[-2]  # with a picture, where the model takes one
    completions = tuple(
        Completion(
            token_ids=tuple(random_response(tiny, 40, seed)), text="", finish_reason="stop",
            logprobs=(-1.0,) * 40,
        )
        for seed in range(4)
    )  # fmt: skip
    group = TrainGroup(
        prompt=prompt, completions=completions, advantages=(1.0,) * 4, counted=(True,) * 4
    )
    batch = collate_groups([group], 0)
    scorer = ResponseScorer(model, temperature=1.0, banned_token_ids=(0,), batching=batching)
    for parameter in model.parameters():
        parameter.register_post_accumulate_grad_hook(lambda p: setattr(p, "grad", None))

    def both_passes() -> None:
        logprobs, entropies = scorer(
            batch.prompts, batch.response_ids_BT, batch.response_mask_BT, batch.prompt_of_row, 160
        )
        loss = logprobs.sum() + (entropies.sum() if entropy else 0)
        del logprobs, entropies
        loss.backward()

    patches = 0 if prompt.pixel_values is None else len(prompt.pixel_values)
    lengths = Lengths(prompt=len(prompt.token_ids), response=40, patches=patches)
    return both_passes, Rows(groups=1, rollouts=4, lengths=lengths, batching=batching)


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl", "qwen2", "qwen3"])
@pytest.mark.parametrize(("batching", "checkpointing"), [("prefix", False), ("prefix", True)])
def test_activations_are_what_the_allocator_saw(
    kind: str, batching: str, checkpointing: bool, tiny_model: TinyModels, most_allocated: Any
) -> None:
    tiny = tiny_model(kind)
    work, rows = passes(tiny, batching, checkpointing=checkpointing)
    peak = most_allocated(work)
    model_config, _ = policy_config(str(tiny.folder))
    policy = {"path": str(tiny.folder), "gradient_checkpointing": checkpointing}
    planned = activations(config(tiny.folder, policy=policy), model_config, rows, gpu=False)
    # Token ids, positions and masks, and the allocator's rounding, weigh something at this size.
    assert planned.total == pytest.approx(peak, rel=0.15)


def test_padded_rows_take_more(tiny_model: TinyModels, most_allocated: Any) -> None:
    tiny = tiny_model("qwen2")
    work, rows = passes(tiny, "padded", checkpointing=False)
    peak = most_allocated(work)
    model_config, _ = policy_config(str(tiny.folder))
    planned = activations(config(tiny.folder), model_config, rows, gpu=False)
    assert planned.total == pytest.approx(peak, rel=0.3)


def test_phases_add_up_and_the_peak_is_one_of_them(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    model_config, _ = policy_config(str(tiny.folder))
    found = plan_memory(config(tiny.folder), model_config, ranks=1, gpu_gib=None)
    states, engine = found.states, found.engine
    assert found.phases["rollout"] == states.kept + engine.weights + engine.cache
    assert found.phases["update"] >= states.weights + states.optimizer + states.gradients
    assert found.peak_bytes == max(found.phases.values())
    assert found.reference == 0
    with_kl = config(tiny.folder, loss={"kl_coef": 0.1})
    assert plan_memory(with_kl, model_config, ranks=1, gpu_gib=None).reference == states.weights


def test_a_sleeping_engine_leaves_room_for_the_update(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2")
    model_config, _ = policy_config(str(tiny.folder))
    asleep = {"backend": "vllm", "vllm": {"kv_cache_gb": 2}}
    awake = {"backend": "vllm", "vllm": {"kv_cache_gb": 2, "sleep": False}}
    elsewhere = {"backend": "vllm_server", "vllm": {"kv_cache_gb": 2}}
    update, rollout = {}, {}
    for name, section in (("asleep", asleep), ("awake", awake), ("servers", elsewhere)):
        section |= {"prompts_per_step": 8}
        run = config(tiny.folder, rollout=section)
        phases = plan_memory(run, model_config, ranks=1, gpu_gib=4).phases
        update[name], rollout[name] = phases["update"], phases["rollout"]
    assert update["awake"] - update["asleep"] > 2 * GIB
    assert update["servers"] == update["asleep"]
    assert rollout["asleep"] - rollout["servers"] > 2 * GIB


def test_what_does_not_fit_comes_with_what_would_help(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2")
    model_config, _ = policy_config(str(tiny.folder))
    run = config(tiny.folder, rollout={"backend": "vllm", "prompts_per_step": 8,
                                       "vllm": {"kv_cache_gb": 4}})  # fmt: skip
    memory = plan_memory(run, model_config, ranks=1, gpu_gib=3)
    assert not memory.fits(3)
    assert memory.fits(8)
    helps = remedies(run, model_config, memory, ranks=1, gpu_gib=3)
    assert helps[0][0] == "rollout.vllm.kv_cache_gb=2"
    sizes = [memory.peak_bytes, *(size for _, size in helps)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < 0.9 * 3 * GIB


@pytest.mark.slow
def test_plans_hold_on_two_ranks(tmp_path: Path) -> None:
    """The benchmark's case with ZeRO-3, adapters and checkpointing, in processes of its own."""
    out = tmp_path / "rows.json"
    done = subprocess.run(
        [sys.executable, "benchmarks/plan_memory.py", "--only", "checkpointing, LoRA",
         "--json", str(out)],
        cwd=ROOT, capture_output=True, text=True, timeout=500, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    (row,) = json.loads(out.read_text())
    assert row["planned_kept"] == pytest.approx(row["kept"], rel=0.02)
    assert row["planned_peak"] == pytest.approx(row["peak"], rel=0.2)


def test_ranks_that_share_an_engine_share_its_weights(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2")
    model_config, _ = policy_config(str(tiny.folder))
    engines = [
        plan_memory(
            config(tiny.folder, rollout={"backend": "vllm", "prompts_per_step": 8,
                                         "vllm": {"kv_cache_gb": 1, "tensor_parallel_size": size}}),
            model_config, ranks=2, gpu_gib=4,
        ).engine
        for size in (1, 2)
    ]  # fmt: skip
    assert engines[1].weights == engines[0].weights // 2
    assert [engine.gpus for engine in engines] == [1, 2]
