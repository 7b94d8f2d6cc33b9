"""`TransformersBackend` against `model.generate`, a naive sampler and the trainer's scorer.

The naive sampler has no cache, no batch and no positions of its own: one full forward pass through
transformers' processor and model for every token. Everything is fp32; tokens must be equal and
log-probs within 1e-5.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from model_fixtures import KINDS, Case, Tiny, TinyModels, reference_scores
from rollout_fixtures import tokens
from transformers import DynamicCache

from adora_mm.models import ResponseScorer, collate_prompts
from adora_mm.prompts import VISION_MARKERS
from adora_mm.rollout import Sampling
from adora_mm.rollout.sampling import uniform_stream
from adora_mm.rollout.transformers import TransformersBackend
from adora_mm.types import Completion

STOP_OFTEN = 2.5
"""Added to the logit of the end of turn, so that responses stop after a few tokens."""


def backend_of(
    tiny: Tiny, *, push: Mapping[str, float] | None = None, **options: Any
) -> TransformersBackend:
    backend = TransformersBackend(tiny.folder, tiny.processor, **options)
    push_tokens(tiny, backend.model, push or {})
    return backend


def push_tokens(tiny: Tiny, model: Any, push: Mapping[str, float]) -> None:
    """Make the model like some tokens more."""
    bias = torch.zeros(model.config.get_text_config().vocab_size)
    for token, amount in push.items():
        bias[tiny.processor.tokenizer.convert_tokens_to_ids(token)] = amount
    model.lm_head.register_forward_hook(lambda _module, _inputs, output: output + bias)


def sampling(**changes: Any) -> Sampling:
    settings: dict[str, Any] = {"num_completions": 4, "max_new_tokens": 10, "temperature": 0.9}
    return Sampling(**settings | changes)


@torch.no_grad()
def naive_sample(
    tiny: Tiny, model: Any, case: Case, index: int, settings: Sampling
) -> tuple[list[int], list[float]]:
    """Draw token after token by inverting the cumulative distribution of a full forward pass."""
    uniforms = uniform_stream(settings.seed, case.problem.id, index, settings.max_new_tokens)
    stops = model.generation_config.eos_token_id
    response: list[int] = []
    logprobs: list[float] = []
    for uniform in uniforms:
        logits = tiny.reference_logits(model, case, response)[-1] / settings.temperature
        logits[list(tiny.processor.banned_token_ids)] = -torch.inf
        distribution = logits.softmax(-1)
        token = int((distribution.cumsum(-1) <= uniform).sum())
        response.append(token)
        logprobs.append(distribution[token].log().item())
        if token in stops:
            break
    return response, logprobs


@pytest.mark.parametrize("stop_bias", [0.0, -100.0])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_greedy_equals_generate(tiny_model: TinyModels, kind: str, stop_bias: float) -> None:
    tiny = tiny_model(kind)
    push = dict.fromkeys(tiny.stops, stop_bias)
    settings = sampling(num_completions=1, max_new_tokens=24, temperature=0)
    groups = backend_of(tiny, push=push).generate(tiny.prompts, settings)
    model = tiny.load()
    push_tokens(tiny, model, push)
    for case, (completion,) in zip(tiny.cases, groups, strict=True):
        inputs = tiny.reference_inputs(case)
        output = model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=24,
            suppress_tokens=list(tiny.processor.banned_token_ids),
        )
        assert list(completion.token_ids) == output[0, inputs["input_ids"].shape[1] :].tolist()
        if stop_bias:
            assert len(completion.token_ids) == 24
            assert len(set(completion.token_ids)) > 3  # not stuck on one token


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_equals_the_naive_sampler(
    tiny_model: TinyModels, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = tiny_model(kind)
    dropped: list[int] = []
    select = DynamicCache.batch_select_indices

    def watched(cache: DynamicCache, keep: torch.Tensor) -> None:
        dropped.append(len(keep))
        select(cache, keep)

    monkeypatch.setattr(DynamicCache, "batch_select_indices", watched)
    settings = sampling(max_new_tokens=12, num_completions=3, seed=5)
    push = {tiny.stops[0]: STOP_OFTEN}
    groups = backend_of(tiny, push=push).generate(tiny.prompts, settings)
    model = tiny.load()
    push_tokens(tiny, model, push)
    for case, group in zip(tiny.cases, groups, strict=True):
        for index, completion in enumerate(group):
            response, logprobs = naive_sample(tiny, model, case, index, settings)
            assert list(completion.token_ids) == response
            assert completion.logprobs == pytest.approx(logprobs, abs=1e-5)
            stopped = response[-1] in model.generation_config.eos_token_id
            assert completion.finish_reason == ("stop" if stopped else "length")
            assert completion.text == tiny.processor.decode(response)
    assert dropped  # stopped rows were taken out of the batch


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("temperature", [0.6, 1.3])
@torch.no_grad()
def test_recorded_log_probs_are_exact_and_so_are_the_scorers(
    tiny_model: TinyModels, kind: str, temperature: float
) -> None:
    """Both against one sequence at a time in double precision, 1e-5 off at most before the
    division by the temperature."""
    tiny = tiny_model(kind)
    push = {tiny.stops[0]: STOP_OFTEN}
    backend = backend_of(tiny, push=push)
    groups = backend.generate(tiny.prompts, sampling(temperature=temperature))
    completions = [completion for group in groups for completion in group]
    longest = max(len(completion.token_ids) for completion in completions)
    ids_BT = torch.zeros(len(completions), longest, dtype=torch.long)
    mask_BT = torch.zeros(len(completions), longest)
    for b, completion in enumerate(completions):
        ids_BT[b, : len(completion.token_ids)] = torch.tensor(completion.token_ids)
        mask_BT[b, : len(completion.token_ids)] = 1
    scorer = ResponseScorer(
        backend.model,
        temperature=temperature,
        banned_token_ids=tiny.processor.banned_token_ids,
    )
    batch = collate_prompts(tiny.prompts, tiny.processor.pad_token_id)
    rows = [p for p, group in enumerate(groups) for _ in group]
    logprobs_BT, _ = scorer(batch, ids_BT, mask_BT, rows, mask_BT.numel())
    exact = tiny.load()
    push_tokens(tiny, exact, push)
    exact.double()
    cases = [case for case, group in zip(tiny.cases, groups, strict=True) for _ in group]
    banned = tiny.processor.banned_token_ids
    for case, completion, logprobs_T in zip(cases, completions, logprobs_BT, strict=True):
        response = completion.token_ids
        logits_TV = tiny.reference_logits(exact, case, response)
        expected_T, _ = reference_scores(
            logits_TV, response, temperature=temperature, banned=banned
        )
        bound = pytest.approx(expected_T.tolist(), rel=0, abs=1e-5 / temperature)
        assert list(completion.logprobs) == bound
        assert logprobs_T[: len(response)].tolist() == bound


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3"])
def test_completions_depend_on_seed_problem_and_index_alone(
    tiny_model: TinyModels, kind: str
) -> None:
    tiny = tiny_model(kind)
    backend = backend_of(tiny, push={"<|im_end|>": STOP_OFTEN})
    settings = sampling(max_new_tokens=16, seed=1)
    expected = tokens(backend.generate(tiny.prompts, settings))
    assert tokens(backend.generate(tiny.prompts, settings)) == expected
    assert tokens(backend.generate(tiny.prompts[::-1], settings)) == expected[::-1]
    for prompt, group in zip(tiny.prompts, expected, strict=True):
        assert tokens(backend.generate([prompt], settings)) == [group]
    for max_rows in (1, 8, 9):
        narrow = backend_of(tiny, push={"<|im_end|>": STOP_OFTEN}, max_rows=max_rows)
        assert tokens(narrow.generate(tiny.prompts, settings)) == expected
    fewer = backend.generate(tiny.prompts, sampling(max_new_tokens=16, seed=1, num_completions=2))
    assert tokens(fewer) == [group[:2] for group in expected]
    shorter = backend.generate(tiny.prompts, sampling(max_new_tokens=5, seed=1))
    assert tokens(shorter) == [[ids[:5] for ids in group] for group in expected]
    other = tokens(backend.generate(tiny.prompts, sampling(max_new_tokens=16, seed=2)))
    assert all(a != b for a, b in zip(expected, other, strict=True))


def test_prompts_are_told_of_when_they_are_done(tiny_model: TinyModels) -> None:
    """Each once, with what is returned, in the order in which they end."""
    tiny = tiny_model("qwen2_5_vl")
    backend = backend_of(tiny, push={"<|im_end|>": STOP_OFTEN}, max_rows=2)
    heard: dict[int, list[Completion]] = {}
    settings = sampling(max_new_tokens=40, seed=1, num_completions=1)
    groups = backend.generate(tiny.prompts, settings, heard.__setitem__)
    assert heard == dict(enumerate(groups))
    longest = [max(len(row.token_ids) for row in heard[place]) for place in heard]
    assert len(set(longest)) > 1
    whole = backend_of(tiny, push={"<|im_end|>": STOP_OFTEN})
    ends: list[int] = []
    whole.generate(
        tiny.prompts, settings, lambda _, rows: ends.append(max(len(r.token_ids) for r in rows))
    )
    assert ends == sorted(longest)


def test_completions_of_one_prompt_differ(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    for group in tokens(backend_of(tiny).generate(tiny.prompts, sampling())):
        assert len(set(group)) == len(group)


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "llama"])
def test_finish_reasons_and_lengths(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    for end in tiny.stops:
        stopped = backend_of(tiny, push={end: 100.0}).generate(tiny.prompts, sampling())
        (stop,) = tiny.processor.tokenizer.convert_tokens_to_ids([end])
        for completion in (c for group in stopped for c in group):
            assert completion.token_ids == (stop,)
            assert completion.finish_reason == "stop"
            assert completion.text == ""
    never = backend_of(tiny, push=dict.fromkeys(tiny.stops, -100.0))
    for length in (1, 2, 7):
        for group in never.generate(tiny.prompts, sampling(max_new_tokens=length)):
            assert {len(c.token_ids) for c in group} == {length}
            assert {c.finish_reason for c in group} == {"length"}


def test_a_stop_at_the_last_allowed_token_is_a_stop(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2")
    settings = sampling(max_new_tokens=1, num_completions=20)
    backend = backend_of(tiny, push={"<|im_end|>": 4.0})
    reasons = Counter(
        (completion.token_ids[0] in backend.stop_token_ids, completion.finish_reason)
        for group in backend.generate(tiny.prompts, settings)
        for completion in group
    )
    assert set(reasons) == {(True, "stop"), (False, "length")}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_banned_tokens_are_never_sampled(tiny_model: TinyModels, temperature: float) -> None:
    tiny = tiny_model("qwen2_5_vl")
    pushed = backend_of(tiny, push=dict.fromkeys(VISION_MARKERS, 100.0))
    settings = sampling(temperature=temperature, num_completions=8)
    groups = pushed.generate(tiny.prompts, settings)
    drawn = {token for group in tokens(groups) for ids in group for token in ids}
    assert drawn.isdisjoint(tiny.processor.banned_token_ids)
    # and nothing of the push is left in what was drawn instead
    assert tokens(groups) == tokens(backend_of(tiny).generate(tiny.prompts, settings))


@torch.no_grad()
def test_top_p_keeps_the_smallest_set_that_reaches_it(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    backend = backend_of(tiny)
    settings = sampling(max_new_tokens=1, num_completions=300, top_p=0.6, temperature=1.2)
    for case, group in zip(
        tiny.cases[:3], backend.generate(tiny.prompts[:3], settings), strict=True
    ):
        logits = tiny.reference_logits(backend.model, case, [])[-1] / 1.2
        logits[list(tiny.processor.banned_token_ids)] = -torch.inf
        probs = logits.softmax(-1)
        nucleus: set[int] = set()
        mass = 0.0
        for token in probs.argsort(descending=True).tolist():
            nucleus.add(token)
            mass += probs[token].item()
            if mass >= 0.6:
                break
        assert {completion.token_ids[0] for completion in group} <= nucleus
        for completion in group[:5]:  # recorded as the trainer scores it: before the cut
            assert completion.logprobs[0] == pytest.approx(
                probs[completion.token_ids[0]].log().item(), abs=1e-5
            )
        counts = Counter(completion.token_ids[0] for completion in group)
        for token in nucleus:
            share = probs[token].item() / mass
            assert counts[token] > 0 or share < 0.03
            assert abs(counts[token] / 300 - share) < 4 * (share * (1 - share) / 300) ** 0.5 + 1e-9


def test_a_tiny_top_p_is_greedy(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    backend = backend_of(tiny)
    narrow = backend.generate(tiny.prompts, sampling(top_p=1e-6))
    greedy = backend.generate(tiny.prompts, sampling(temperature=0))
    assert tokens(narrow) == tokens(greedy)


@torch.no_grad()
def test_sampled_frequencies_match_the_probabilities(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2")
    backend = backend_of(tiny)
    count = 4000
    settings = sampling(max_new_tokens=1, num_completions=count, temperature=1.5)
    (group,) = backend.generate(tiny.prompts[:1], settings)
    counts = Counter(completion.token_ids[0] for completion in group)
    logits = tiny.reference_logits(backend.model, tiny.cases[0], [])[-1] / 1.5
    logits[list(tiny.processor.banned_token_ids)] = -torch.inf
    probs = logits.softmax(-1).tolist()
    common = [token for token, prob in enumerate(probs) if prob * count >= 5]
    rest = count - sum(counts[token] for token in common)
    rest_prob = 1 - sum(probs[token] for token in common)
    statistic = sum((counts[t] - probs[t] * count) ** 2 / (probs[t] * count) for t in common)
    statistic += (rest - rest_prob * count) ** 2 / (rest_prob * count)
    freedom = len(common)
    assert freedom > 20
    assert statistic < freedom + 4 * (2 * freedom) ** 0.5  # mean plus four deviations


def test_generation_leaves_no_trace_in_the_training_state(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    torch.manual_seed(0)
    before = torch.get_rng_state()
    backend_of(tiny).generate(tiny.prompts, sampling())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.is_grad_enabled()
