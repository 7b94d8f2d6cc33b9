"""`ResponseScorer` against one-by-one forward passes through transformers' own processors.

All three batchings. Everything is fp32. Tolerances: 1e-5 for log-probs and entropies, 1e-4 of the
norm for gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from model_fixtures import (
    KINDS,
    VISION_KINDS,
    Case,
    Tiny,
    TinyModels,
    random_response,
    reference_scores,
)
from torch import Tensor

from adora_mm.models import (
    PromptBatch,
    ResponseScorer,
    collate_prompts,
    image_features,
    load_policy,
    prompt_positions,
    repeat_features,
    response_positions,
)

TEMPERATURE = 0.7
BATCHINGS = ("prefix", "packed", "padded")
ROWS = (0, 1, 1, 2, 3, 2, 4, 0, 3)
"""Which prompt each row answers: groups of unequal size, not in order."""
LENGTHS = (5, 9, 1, 7, 2, 12, 6, 3, 8)


def responses_of(tiny: Tiny) -> list[list[int]]:
    return [random_response(tiny, length, seed) for seed, length in enumerate(LENGTHS)]


def pad_right(responses: Sequence[Sequence[int]], pad: int) -> tuple[Tensor, Tensor]:
    longest = max(len(response) for response in responses)
    ids_BT = torch.tensor([[*r, *[pad] * (longest - len(r))] for r in responses])
    mask_BT = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in responses])
    return ids_BT, mask_BT


def score(
    tiny: Tiny, model: Any, rows: Sequence[int], responses: Sequence[Sequence[int]], **options: Any
) -> tuple[Tensor, Tensor]:
    """Scores of `responses`; the batch holds the prompts that `rows` name, and no others."""
    used = sorted(set(rows))
    batch = collate_prompts([tiny.prompts[i] for i in used], tiny.processor.pad_token_id)
    ids_BT, mask_BT = pad_right(responses, tiny.processor.pad_token_id)
    scorer = ResponseScorer(
        model,
        temperature=options.pop("temperature", TEMPERATURE),
        banned_token_ids=tiny.processor.banned_token_ids,
        batching=options.pop("batching", "padded"),
        **options,
    )
    return scorer(batch, ids_BT, mask_BT, [used.index(row) for row in rows], ids_BT.numel())


def reference(
    tiny: Tiny, model: Any, case: Case, response: Sequence[int], **overrides: Tensor
) -> tuple[Tensor, Tensor]:
    return reference_scores(
        tiny.reference_logits(model, case, response, **overrides),
        response,
        temperature=TEMPERATURE,
        banned=tiny.processor.banned_token_ids,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("adapters", [False, True])
@torch.no_grad()
def test_scores_equal_one_by_one_forwards(
    tiny_model: TinyModels, kind: str, batching: str, adapters: bool
) -> None:
    tiny = tiny_model(kind)
    model, ours = tiny.load(adapters=adapters), tiny.load(batching, adapters=adapters)
    responses = responses_of(tiny)
    logprobs_BT, entropy_BT = score(tiny, ours, ROWS, responses, batching=batching)
    assert logprobs_BT.dtype == entropy_BT.dtype == torch.float32
    for b, (row, response) in enumerate(zip(ROWS, responses, strict=True)):
        logprobs, entropy = reference(tiny, model, tiny.cases[row], response)
        torch.testing.assert_close(logprobs_BT[b, : len(response)], logprobs, atol=1e-5, rtol=0)
        torch.testing.assert_close(entropy_BT[b, : len(response)], entropy, atol=1e-5, rtol=0)
        assert not logprobs_BT[b, len(response) :].any()
        assert not entropy_BT[b, len(response) :].any()


@pytest.mark.parametrize("kind", VISION_KINDS)
@torch.no_grad()
def test_the_comparison_would_notice_wrong_positions(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    model = tiny.load()
    response = random_response(tiny, 8, 0)
    for row in (1, 2, 3):
        length = len(tiny.prompts[row].token_ids) + len(response)
        wrong = torch.arange(length).expand(3, 1, length)
        right, _ = reference(tiny, model, tiny.cases[row], response)
        other, _ = reference(tiny, model, tiny.cases[row], response, position_ids=wrong)
        assert (right - other).abs().max() > 0.05


@pytest.mark.parametrize("kind", VISION_KINDS)
@torch.no_grad()
def test_the_comparison_would_notice_swapped_pictures(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    model = tiny.load()
    response = random_response(tiny, 8, 0)
    case = tiny.cases[2]
    swapped = Case(problem=case.problem, images=case.images[::-1])
    right, _ = reference(tiny, model, case, response)
    other, _ = reference(tiny, model, swapped, response)
    assert (right - other).abs().max() > 0.05


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batching", BATCHINGS)
@pytest.mark.parametrize("adapters", [False, True])
def test_gradients_equal_one_by_one_forwards(
    tiny_model: TinyModels, kind: str, batching: str, adapters: bool
) -> None:
    tiny = tiny_model(kind)
    responses = responses_of(tiny)
    ours, theirs = tiny.load(batching, adapters=adapters), tiny.load(adapters=adapters)
    logprobs_BT, entropy_BT = score(
        tiny, ours, ROWS, responses, max_logit_rows=16, batching=batching
    )
    weights_B = torch.linspace(-1.0, 2.0, len(ROWS))  # as advantages would
    ((logprobs_BT.sum(1) + 0.1 * entropy_BT.sum(1)) * weights_B).sum().backward()
    for row, response, weight in zip(ROWS, responses, weights_B, strict=True):
        logprobs, entropy = reference(tiny, theirs, tiny.cases[row], response)
        ((logprobs.sum() + 0.1 * entropy.sum()) * weight).backward()
    assert relative_gradient_errors(ours, theirs) == {}


def relative_gradient_errors(ours: Any, theirs: Any, limit: float = 1e-4) -> dict[str, float]:
    """Parameters whose gradients differ by more than `limit` of their norm.

    Key biases shift all scores of a query alike, so their true gradient is zero: a floor of `limit`
    times the mean norm over all parameters judges those.
    """
    got, expected = (
        {name: p.grad for name, p in model.named_parameters() if p.requires_grad}
        for model in (ours, theirs)
    )
    floor = sum(grad.norm().item() for grad in expected.values()) / len(expected)
    errors = {
        name: (got[name] - grad).norm().item() / max(grad.norm().item(), floor)
        for name, grad in expected.items()
    }
    return {name: error for name, error in errors.items() if not error <= limit}


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3"])
def test_chunked_logits_change_neither_values_nor_gradients(
    tiny_model: TinyModels, kind: str
) -> None:
    tiny = tiny_model(kind)
    responses = responses_of(tiny)
    whole, pieces = tiny.load(), tiny.load()
    scores = score(tiny, whole, ROWS, responses)
    chunked = score(tiny, pieces, ROWS, responses, max_logit_rows=1)
    torch.testing.assert_close(chunked, scores, atol=5e-6, rtol=0)
    scores[0].sum().backward()
    chunked[0].sum().backward()
    assert relative_gradient_errors(pieces, whole, limit=1e-5) == {}


@pytest.mark.parametrize("kind", VISION_KINDS)
@pytest.mark.parametrize("batching", BATCHINGS)
@torch.no_grad()
def test_the_vision_tower_sees_each_picture_once(
    tiny_model: TinyModels, kind: str, batching: str
) -> None:
    tiny = tiny_model(kind)
    model = tiny.load(batching)
    seen: list[int] = []
    model.model.visual.register_forward_hook(
        lambda _module, inputs, _output: seen.append(len(inputs[0]))
    )
    score(tiny, model, ROWS, responses_of(tiny), batching=batching)
    pixels = [p.pixel_values for p in tiny.prompts if p.pixel_values is not None]
    assert seen == [sum(len(patches) for patches in pixels)]


@pytest.mark.parametrize("kind", VISION_KINDS)
@pytest.mark.parametrize("batching", ["prefix", "padded"])
def test_a_batch_without_pictures_gives_the_vision_tower_zero_gradients(
    tiny_model: TinyModels, kind: str, batching: str
) -> None:
    tiny = tiny_model(kind)
    model = tiny.load(batching)
    responses = [random_response(tiny, 4, 0), random_response(tiny, 6, 1)]
    logprobs_BT, _ = score(tiny, model, (0, 4), responses, batching=batching)
    logprobs_BT.sum().backward()
    for b, row in enumerate((0, 4)):
        expected, _ = reference(tiny, tiny.load(), tiny.cases[row], responses[b])
        torch.testing.assert_close(logprobs_BT[b, : len(responses[b])], expected, atol=1e-5, rtol=0)
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert missing == []
    assert all(not p.grad.any() for p in model.model.visual.parameters())
    assert all(p.grad.any() for p in model.lm_head.parameters())


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_a_mixed_batch_reaches_every_part_of_the_vision_tower(
    tiny_model: TinyModels, kind: str
) -> None:
    tiny = tiny_model(kind)
    model = tiny.load()
    logprobs_BT, _ = score(tiny, model, (0, 1), [random_response(tiny, 4, 0)] * 2)
    logprobs_BT[0].sum().backward(retain_graph=True)  # the row without a picture
    assert all(not p.grad.any() for p in model.model.visual.parameters())
    logprobs_BT[1].sum().backward()
    assert [n for n, p in model.model.visual.named_parameters() if not p.grad.any()] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batching", ["prefix", "padded"])
@torch.no_grad()
def test_a_row_scores_the_same_whatever_shares_its_batch(
    tiny_model: TinyModels, kind: str, batching: str
) -> None:
    tiny = tiny_model(kind)
    model = tiny.load(batching)
    responses = responses_of(tiny)
    together, _ = score(tiny, model, ROWS, responses, batching=batching)
    for b, row in enumerate(ROWS):
        alone, _ = score(tiny, model, (row,), responses[b : b + 1], batching=batching)
        torch.testing.assert_close(together[b, : alone.shape[1]], alone[0], atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", VISION_KINDS)
@torch.no_grad()
def test_repeated_features_stay_with_their_prompts(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    model = tiny.load()
    batch = collate_prompts(tiny.prompts, tiny.processor.pad_token_id)
    assert batch.images_per_prompt == (0, 1, 2, 1, 0)
    features = image_features(model, batch)
    assert features is not None
    repeated = repeat_features(features, batch.images_per_prompt, (2, 0, 3, 2))
    for got, image in zip(repeated.pooler_output, (1, 2, 3, 1, 2), strict=True):
        assert torch.equal(got, features.pooler_output[image])
    assert len(features.pooler_output) == 4  # the original is left alone


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_positions_go_on_after_the_largest_of_the_prompt(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    model = tiny.load()
    batch = collate_prompts(tiny.prompts, tiny.processor.pad_token_id)
    positions = prompt_positions(model, batch)
    after = response_positions(positions, 3)
    for p, case in enumerate(tiny.cases):
        inputs = tiny.reference_inputs(case)
        types = inputs["mm_token_type_ids"]
        whole, _ = model.model.get_rope_index(
            torch.cat([inputs["input_ids"], torch.zeros(1, 3, dtype=torch.long)], 1),
            mm_token_type_ids=torch.cat([types, types.new_zeros(1, 3)], 1),
            image_grid_thw=inputs.get("image_grid_thw"),
        )
        assert torch.equal(positions[:, p, batch.mask_PT[p].bool()], whole[:, 0, :-3])
        assert torch.equal(after[:, p], whole[:, 0, -3:])


def test_prompts_are_padded_on_the_left(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    batch: PromptBatch = collate_prompts(tiny.prompts, tiny.processor.pad_token_id)
    longest = max(len(prompt.token_ids) for prompt in tiny.prompts)
    for ids, mask, prompt in zip(batch.ids_PT, batch.mask_PT, tiny.prompts, strict=True):
        pad = longest - len(prompt.token_ids)
        assert ids.tolist() == [tiny.processor.pad_token_id] * pad + list(prompt.token_ids)
        assert mask.tolist() == [0] * pad + [1] * len(prompt.token_ids)
    assert batch.image_grid_thw is not None
    assert len(batch.image_grid_thw) == 4
    moved = batch.to("meta")
    assert moved.ids_PT.device.type == "meta"
    assert moved.pixel_values is not None
    assert moved.pixel_values.device.type == "meta"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batching", ["prefix", "padded"])
@torch.no_grad()
def test_half_precision_scores_in_full_precision(
    tiny_model: TinyModels, kind: str, batching: str
) -> None:
    tiny = tiny_model(kind)
    model = load_policy(tiny.folder, dtype=torch.bfloat16, batching=batching).eval()
    logprobs_BT, entropy_BT = score(tiny, model, ROWS, responses_of(tiny), batching=batching)
    assert logprobs_BT.dtype == entropy_BT.dtype == torch.float32
    exact, _ = score(tiny, tiny.load(), ROWS, responses_of(tiny))
    assert (logprobs_BT - exact).abs().mean() < 0.1  # bf16 keeps 8 bits
