"""`VllmBackend` on the real engine (CPU): the trainer's own policy, before and after updates.

One engine per family serves all tests of this file: starting one takes several seconds. Every test
that changes its weights brings the first ones back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from model_fixtures import (
    KINDS,
    Tiny,
    TinyModels,
    save_as_checkpoint,
    save_tiny,
    spread_weights,
)
from rollout_fixtures import tokens

from adora_mm import distributed
from adora_mm.config import VllmConfig
from adora_mm.models import ResponseScorer, collate_prompts, load_policy
from adora_mm.processor import Prompt
from adora_mm.rollout import RolloutBackend, Sampling, build_backend
from adora_mm.rollout.transformers import TransformersBackend
from adora_mm.rollout.vllm import VllmBackend
from adora_mm.rollout.vllm_requests import StaleAnswer
from adora_mm.rollout.weight_sync import WeightSyncError
from adora_mm.types import Completion

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

BOUND = 1e-4
"""Largest difference of a token's log-prob between engine and trainer, fp32 on a CPU."""

TEMPERATURE = 0.8
SAMPLING = Sampling(num_completions=3, max_new_tokens=12, temperature=TEMPERATURE, seed="s")
GREEDY = Sampling(num_completions=1, max_new_tokens=16, temperature=0.0)


def start(folder: Path, tiny: Tiny) -> RolloutBackend:
    return build_backend(
        "vllm",
        str(folder),
        tiny.processor,
        dtype=torch.float32,
        device=torch.device("cpu"),
        config=VllmConfig(kv_cache_gb=0.25, enforce_eager=True, max_sequences=32),
        max_model_len=512,
    )


class Served:
    """A tiny model with a vLLM engine on it."""

    def __init__(self, tiny: Tiny, other: Path) -> None:
        distributed.start(1)  # as in a run: vLLM joins the trainer's process group
        self.tiny, self.other_folder = tiny, other
        self.other = load_policy(other).eval()
        self.policy = tiny.load()
        self.backend = start(tiny.folder, tiny)

    def restore(self) -> None:
        self.backend.update_weights(self.policy.named_parameters(), version=0)


@pytest.fixture(scope="module", params=KINDS)
def served(
    request: pytest.FixtureRequest, tiny_model: TinyModels, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    other = tmp_path_factory.mktemp("other")
    save_tiny(request.param, other, seed=1)
    one = Served(tiny_model(request.param), other)
    yield one
    one.backend.close()


def trainer_greedy(folder: Path, tiny: Tiny) -> list[list[Completion]]:
    return TransformersBackend(folder, tiny.processor).generate(tiny.prompts, GREEDY)


def trainer_logprobs(
    model: torch.nn.Module, tiny: Tiny, prompt: Prompt, completion: Completion
) -> torch.Tensor:
    scorer = ResponseScorer(
        model, temperature=TEMPERATURE, banned_token_ids=tiny.processor.banned_token_ids
    )
    ids = torch.tensor([completion.token_ids])
    batch = collate_prompts([prompt], tiny.processor.pad_token_id)
    with torch.no_grad():
        return scorer(batch, ids, torch.ones_like(ids), (0,), ids.shape[1])[0][0]


def largest_difference(model: torch.nn.Module, tiny: Tiny, groups: list[list[Completion]]) -> float:
    worst = 0.0
    for prompt, group in zip(tiny.prompts, groups, strict=True):
        for completion in group:
            own = torch.tensor(completion.logprobs)
            scored = trainer_logprobs(model, tiny, prompt, completion)
            worst = max(worst, float((own - scored).abs().max()))
    return worst


def test_log_probs_are_the_trainers_with_and_without_pictures(served: Served) -> None:
    groups = served.backend.generate(served.tiny.prompts, SAMPLING)
    assert largest_difference(served.policy, served.tiny, groups) < BOUND


def test_banned_tokens_are_never_sampled(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the ban this random policy samples them within a few tokens."""
    if not served.tiny.processor.banned_token_ids:
        pytest.skip("a vocabulary without vision markers: nothing is banned")
    many = Sampling(num_completions=8, max_new_tokens=24, temperature=2.0, seed="banned")
    processor = served.tiny.processor
    banned = set(processor.banned_token_ids)
    assert banned

    def sampled() -> set[int]:
        groups = served.backend.generate(served.tiny.prompts, many)
        return {token for group in groups for c in group for token in c.token_ids}

    assert not banned & sampled()
    monkeypatch.setattr(processor, "banned_token_ids", ())
    assert banned & sampled()


def test_the_same_seed_gives_the_same_completions_in_any_batch(served: Served) -> None:
    prompts = served.tiny.prompts
    together = served.backend.generate(prompts, SAMPLING)
    apart = [served.backend.generate([prompt], SAMPLING)[0] for prompt in reversed(prompts)]
    assert tokens(together) == tokens(apart[::-1])
    group = together[0]
    assert len({c.token_ids for c in group}) == len(group), "completions of a group differ"
    other = Sampling(num_completions=3, max_new_tokens=12, temperature=TEMPERATURE, seed="t")
    assert tokens(served.backend.generate(prompts, other)) != tokens(together)


def test_responses_end_at_the_trainers_stop_tokens(served: Served) -> None:
    long = Sampling(num_completions=8, max_new_tokens=200, temperature=1.5, seed=0)
    stops = set(served.tiny.load().generation_config.eos_token_id)
    ended = cut = 0
    for group in served.backend.generate(served.tiny.prompts, long):
        for completion in group:
            if completion.finish_reason == "stop":
                ended += 1
                assert completion.token_ids[-1] in stops
            else:
                cut += 1
                assert len(completion.token_ids) == 200
            assert not stops & set(completion.token_ids[:-1])
            assert len(completion.logprobs) == len(completion.token_ids)
            assert completion.text == served.tiny.processor.decode(completion.token_ids)
    assert ended
    assert cut


def test_a_greedy_prompt_is_run_once_for_all_its_completions(served: Served) -> None:
    three = Sampling(num_completions=3, max_new_tokens=6, temperature=0.0)
    group = served.backend.generate(served.tiny.prompts[:1], three)[0]
    assert len(group) == 3
    assert len({completion.token_ids for completion in group}) == 1


def test_after_an_update_the_engine_is_the_trainers_new_policy(served: Served) -> None:
    """Pictures and prompts are cached by vLLM; all of it must be forgotten."""
    tiny, prompts = served.tiny, served.tiny.prompts
    before = served.backend.generate(prompts, GREEDY)
    assert tokens(before) == tokens(trainer_greedy(tiny.folder, tiny))
    report = served.backend.update_weights(served.other.named_parameters(), version=7)
    expected = sum(p.numel() * p.element_size() for p in served.other.parameters())
    assert report == {"sync/bytes": expected}
    after = served.backend.generate(prompts, GREEDY)
    sampled = served.backend.generate(prompts, SAMPLING)
    difference = largest_difference(served.other, tiny, sampled)
    stale = largest_difference(served.policy, tiny, sampled)
    served.restore()
    assert tokens(after) == tokens(trainer_greedy(served.other_folder, tiny))
    assert all(a[0].token_ids != b[0].token_ids for a, b in zip(after, before, strict=True))
    assert difference < BOUND < stale
    assert tokens(served.backend.generate(prompts, GREEDY)) == tokens(before)


def test_incomplete_weights_are_refused(served: Served) -> None:
    weights = dict(served.policy.named_parameters())
    name = next(name for name in weights if "norm" in name)
    with pytest.raises(WeightSyncError, match="got no weights for 1 parameters"):
        served.backend.update_weights([(n, w) for n, w in weights.items() if n != name], version=1)
    served.restore()


def test_an_answer_of_other_weights_is_noticed(served: Served) -> None:
    """Somebody else updates the engine behind the trainer's back."""
    assert isinstance(served.backend, VllmBackend)
    served.backend._llm.update_weight_version("5")
    with pytest.raises(StaleAnswer, match="answered with weights 5, not 0"):
        served.backend.generate(served.tiny.prompts[:1], GREEDY)
    served.restore()


def test_another_expansion_of_the_prompt_is_refused(served: Served) -> None:
    prompt = served.tiny.prompts[1]
    wrong = replace(prompt, token_ids=(*prompt.token_ids, 5))
    with pytest.raises(ValueError, match=r"problem wide: vLLM made .* prompt tokens"):
        served.backend.generate([wrong], GREEDY)


def test_more_prompts_than_one_pass_computes(served: Served) -> None:
    """vLLM's CPU build ends itself when a seeded prompt is computed in two parts."""
    prompts = [
        replace(prompt, problem_id=f"{prompt.problem_id}/{copy}")
        for copy in range(24)
        for prompt in served.tiny.prompts
    ]
    eight = replace(SAMPLING, num_completions=8, max_new_tokens=2)
    assert sum(len(prompt.token_ids) for prompt in prompts) * 8 > 8192 * 2
    groups = served.backend.generate(prompts, eight)
    assert [len(group) for group in groups] == [8] * len(prompts)


def test_no_prompts_give_no_completions(served: Served) -> None:
    assert served.backend.generate([], SAMPLING) == []


def test_the_process_keeps_its_threads(served: Served) -> None:
    torch.set_num_threads(2)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


@pytest.mark.parametrize("kind", KINDS)
def test_vllm_loads_a_saved_policy_and_answers_as_it_does(
    tiny_model: TinyModels, kind: str, tmp_path: Path
) -> None:
    distributed.start(1)
    tiny = tiny_model(kind)
    model = tiny.load()
    spread_weights(model, 5)
    save_as_checkpoint(tiny, model, tmp_path)
    backend = start(tmp_path, tiny)
    try:
        served = tokens(backend.generate(tiny.prompts, GREEDY))
    finally:
        backend.close()
    assert served == tokens(trainer_greedy(tmp_path, tiny))
    assert served != tokens(trainer_greedy(tiny.folder, tiny))
