"""Rows in which rollouts share their prompt: the layout, the mask rule, and what breaks without it.

`test_models.py` compares every batching with one sequence at a time. Here the same row goes through
transformers' own attention under a mask of the whole row, written down from the rule; and the
mistakes that no error message would show are made on purpose, to see that the comparison does.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from model_fixtures import KINDS, VISION_KINDS, Tiny, TinyModels, random_response
from torch import Tensor
from transformers import Qwen2Config

from adora_mm import models, shared_prompts
from adora_mm.models import (
    ResponseScorer,
    choose_batching,
    collate_prompts,
    load_policy,
    prompt_positions,
    response_positions,
)
from adora_mm.shared_prompts import (
    Block,
    SharedRow,
    repeats_prompt,
    shared_row,
    split_attention,
    why_not_shared,
)

ROWS = (1, 2, 1, 0, 2, 1)
"""Two groups with 1 and 2 pictures and one without, of unequal size, mixed up."""
LENGTHS = (7, 12, 1, 5, 9, 3)


def batch_of(tiny: Tiny) -> tuple[Any, Tensor, Tensor]:
    prompts = collate_prompts(tiny.prompts[:3], tiny.processor.pad_token_id)
    ids_BT = torch.full((len(ROWS), max(LENGTHS)), tiny.processor.pad_token_id)
    mask_BT = torch.zeros(ids_BT.shape, dtype=torch.bool)
    for b, length in enumerate(LENGTHS):
        ids_BT[b, :length] = torch.tensor(random_response(tiny, length, b))
        mask_BT[b, :length] = True
    return prompts, ids_BT, mask_BT


def score(tiny: Tiny, model: Any, batching: str = "prefix") -> Tensor:
    scorer = ResponseScorer(model, temperature=1.0, banned_token_ids=(), batching=batching)
    prompts, ids_BT, mask_BT = batch_of(tiny)
    logprobs: Tensor = scorer(prompts, ids_BT, mask_BT, ROWS, ids_BT.numel())[0]
    return logprobs[mask_BT]


def dense_mask(blocks: tuple[Block, ...]) -> Tensor:
    """The mask rule, pair by pair: True where the query (first axis) sees the key."""
    owner = []  # of each token: its block, and its response (-1: the prompt)
    for number, block in enumerate(blocks):
        owner += [(number, -1)] * block.prompt_tokens
        for response, length in enumerate(block.response_tokens):
            owner += [(number, response)] * length
    return torch.tensor(
        [
            [
                key <= query
                and owner[key][0] == owner[query][0]
                and owner[key][1] in (-1, owner[query][1])
                for key in range(len(owner))
            ]
            for query in range(len(owner))
        ]
    )


def score_dense(tiny: Tiny, model: Any, mask_NN: Tensor, row: SharedRow, **change: Any) -> Tensor:
    """The row through transformers' own sdpa attention with a mask over the whole row."""
    prompts, ids_BT, mask_BT = batch_of(tiny)
    positions = prompt_positions(model, prompts)
    after = response_positions(positions, ids_BT.shape[1])[..., torch.tensor(ROWS), :]
    inputs: dict[str, Any] = {
        "input_ids": row.gather(prompts.ids_PT, ids_BT)[None],
        "position_ids": row.gather(positions, after)[..., None, :],
        "attention_mask": mask_NN[None, None],
    }
    if tiny.has_vision:
        inputs |= {"pixel_values": prompts.pixel_values, "image_grid_thw": prompts.image_grid_thw}
    logits = model(**(inputs | change), use_cache=False).logits[0, row.predictor_M]
    return torch.log_softmax(logits, -1).gather(-1, ids_BT[mask_BT][:, None])[:, 0]


def row_of(tiny: Tiny) -> SharedRow:
    prompts, _, mask_BT = batch_of(tiny)
    return shared_row(prompts.mask_PT, mask_BT, ROWS)


def gradient_error(ours: Any, theirs: Any) -> float:
    """Norm of the difference over the norm, all parameters together."""
    pairs = [(p.grad, q.grad) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True)]
    difference = sum((p - q).square().sum().item() for p, q in pairs)
    return (difference / sum(q.square().sum().item() for _, q in pairs)) ** 0.5


# ------------------------------------------------------------------------------ the layout


def test_prompts_come_once_and_responses_after_their_own() -> None:
    prompts = torch.tensor([[0, 10, 11], [20, 21, 22]])
    responses = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6]])
    row = shared_row(prompts > 0, responses > 0, (1, 0, 1))
    assert row.gather(prompts, responses).tolist() == [10, 11, 3, 20, 21, 22, 1, 2, 4, 5, 6]
    assert row.blocks == (
        Block(prompt=0, prompt_tokens=2, response_tokens=(1,)),
        Block(prompt=1, prompt_tokens=3, response_tokens=(2, 3)),
    )
    # 1 2 | 3 | 4 5 6 in the order of the mask; first tokens are predicted by 22, 11 and 22
    assert row.predictor_M.tolist() == [5, 6, 1, 5, 8, 9]


def test_a_packed_row_repeats_the_prompt() -> None:
    prompts, responses = torch.tensor([[0, 7, 8]]), torch.tensor([[1, 2], [3, 0]])
    row = shared_row(prompts > 0, responses > 0, (0, 0), repeat_prompts=True)
    assert row.gather(prompts, responses).tolist() == [7, 8, 1, 2, 7, 8, 3]
    assert row.predictor_M.tolist() == [1, 2, 5]


def test_an_empty_response_takes_no_place() -> None:
    prompts, responses = torch.tensor([[7, 8]]), torch.tensor([[1, 2], [0, 0]])
    row = shared_row(prompts > 0, responses > 0, (0, 0))
    assert row.gather(prompts, responses).tolist() == [7, 8, 1, 2]
    assert row.predictor_M.tolist() == [1, 2]


def test_positions_go_on_from_the_prompt_for_every_response() -> None:
    positions = torch.tensor([[[0, 0, 1, 2, 3]], [[0, 0, 1, 1, 3]], [[0, 0, 1, 2, 3]]])
    mask, responses = torch.tensor([[0, 1, 1, 1, 1]]), torch.ones(2, 2)  # a pad first
    row = shared_row(mask, responses, (0, 0))
    after = response_positions(positions, 2).expand(-1, 2, -1)
    for axis in row.gather(positions, after):
        assert axis[-4:].tolist() == [4, 5, 4, 5]


# ------------------------------------------------------------- the mask rule, and mistakes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("repeated", [False, True])
def test_split_attention_equals_a_dense_mask(
    tiny_model: TinyModels, kind: str, repeated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_prompts, "repeats_prompt", lambda block: repeated)
    tiny = tiny_model(kind)
    ours, theirs = tiny.load("prefix"), tiny.load()
    row = row_of(tiny)
    logprobs = score(tiny, ours)
    expected = score_dense(tiny, theirs, dense_mask(row.blocks), row)
    torch.testing.assert_close(logprobs, expected, atol=1e-5, rtol=0)
    weights = torch.linspace(-1.0, 2.0, len(expected))
    (logprobs * weights).sum().backward()
    (expected * weights).sum().backward()
    assert gradient_error(ours, theirs) < 1e-5


@pytest.mark.parametrize(
    ("prompt", "responses", "repeated"),
    [
        (3, (9, 4, 0, 7), True),
        (4, (6,), True),
        (20, (5, 2, 6), False),
        (2, (0, 0), False),
        (2, (), False),
    ],
)
def test_both_forms_of_the_attention_equal_a_dense_mask(
    prompt: int, responses: tuple[int, ...], repeated: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Short prompts are repeated before long responses, others are not; a second block follows."""
    monkeypatch.setattr(shared_prompts, "KEY_BLOCK", 1)
    block = Block(prompt=0, prompt_tokens=prompt, response_tokens=responses)
    assert repeats_prompt(block) is repeated
    blocks = (block, Block(prompt=1, prompt_tokens=2, response_tokens=(3, 1)))
    length = sum(block.prompt_tokens + sum(block.response_tokens) for block in blocks)
    generator = torch.Generator().manual_seed(0)
    query, key, value = (
        torch.randn(1, heads, length, 8, generator=generator).requires_grad_()
        for heads in (4, 2, 2)
    )
    found, _ = split_attention(
        torch.nn.Identity(), query, key, value, None, shared_blocks=blocks, scaling=0.3
    )
    expected = F.scaled_dot_product_attention(
        query, key, value, attn_mask=dense_mask(blocks), scale=0.3, enable_gqa=True
    ).transpose(1, 2)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    upstream = torch.randn(found.shape, generator=generator)
    ours = torch.autograd.grad(found, (query, key, value), upstream)
    theirs = torch.autograd.grad(expected, (query, key, value), upstream)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_prompt_is_repeated_where_that_is_less_work() -> None:
    """Long responses after a short prompt; below a block of keys nothing is skipped."""
    cases = ((126, 1024, True), (600, 1024, True), (1086, 1024, False), (126, 256, False))
    for prompt, longest, repeated in cases:
        block = Block(prompt=0, prompt_tokens=prompt, response_tokens=(longest, 10) * 4)
        assert repeats_prompt(block) is repeated


@pytest.mark.parametrize("kind", KINDS)
def test_a_plain_causal_mask_is_noticed(tiny_model: TinyModels, kind: str) -> None:
    """Responses that see each other: no error, wrong log-probs and wrong gradients."""
    tiny = tiny_model(kind)
    ours, theirs = tiny.load("prefix"), tiny.load()
    row = row_of(tiny)
    causal = torch.ones_like(dense_mask(row.blocks)).tril()
    logprobs, wrong = score(tiny, ours), score_dense(tiny, theirs, causal, row)
    assert (logprobs - wrong).abs().max() > 0.05
    logprobs.sum().backward()
    wrong.sum().backward()
    assert gradient_error(ours, theirs) > 0.05


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_running_positions_are_noticed(tiny_model: TinyModels, kind: str) -> None:
    """Positions that count on through the row, as if it were one text."""
    tiny = tiny_model(kind)
    row = row_of(tiny)
    running = torch.arange(len(row.source_N))[None]
    if tiny.has_vision:
        running = running.expand(3, 1, -1)
    wrong = score_dense(tiny, tiny.load(), dense_mask(row.blocks), row, position_ids=running)
    assert (score(tiny, tiny.load("prefix")) - wrong).abs().max() > 0.05


@pytest.mark.parametrize("kind", VISION_KINDS)
@torch.no_grad()
def test_pictures_in_another_order_are_noticed(
    tiny_model: TinyModels, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = tiny_model(kind)
    right = score(tiny, tiny.load("prefix"))
    whole = models.image_features

    def swapped(model: Any, batch: Any) -> Any:
        features = whole(model, batch)
        one, two, three = features.pooler_output
        assert one.shape != two.shape
        features.pooler_output = [two, one, three]
        return features

    monkeypatch.setattr(models, "image_features", swapped)
    assert (right - score(tiny, tiny.load("prefix"))).abs().max() > 0.05


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen2"])
def test_a_shared_model_refuses_plain_calls(tiny_model: TinyModels, kind: str) -> None:
    """transformers builds no mask for it, so a padded call would be silently wrong."""
    tiny = tiny_model(kind)
    with pytest.raises(TypeError, match="shared_blocks"):
        score(tiny, tiny.load("prefix"), "padded")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("batching", ["prefix", "padded"])
def test_gradient_checkpointing_changes_nothing(
    tiny_model: TinyModels, kind: str, batching: str
) -> None:
    tiny = tiny_model(kind)
    plain, saving = tiny.load(batching).train(), tiny.load(batching).train()
    saving.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    calls: list[int] = []
    layer = saving.get_decoder().layers[0]
    layer.input_layernorm.register_forward_hook(lambda *_: calls.append(1))
    expected, logprobs = score(tiny, plain, batching), score(tiny, saving, batching)
    torch.testing.assert_close(logprobs, expected, atol=1e-6, rtol=0)
    expected.square().sum().backward()
    logprobs.square().sum().backward()
    assert len(calls) == 2  # computed again in the backward pass
    assert gradient_error(saving, plain) < 1e-6


def test_the_gradient_repeats_bit_by_bit_on_two_threads(tiny_model: TinyModels) -> None:
    """All first tokens of a prompt's responses are predicted by one state; the sum of what comes
    back to it must not depend on which thread is first (plain indexing adds atomically)."""
    tiny = tiny_model("qwen2")
    model = tiny.load(batching="prefix")
    scorer = ResponseScorer(model, temperature=1.0, banned_token_ids=(), batching="prefix")
    prompts = collate_prompts(tiny.prompts[:1], tiny.processor.pad_token_id)
    ids_BT = torch.tensor([random_response(tiny, 2, b) for b in range(600)])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        gradients = []
        for _ in range(8):
            model.zero_grad()
            scorer(prompts, ids_BT, ids_BT > -1, (0,) * 600, ids_BT.numel())[0].sum().backward()
            gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    finally:
        torch.set_num_threads(before)
    for again in gradients[1:]:
        assert all(torch.equal(a, b) for a, b in zip(again, gradients[0], strict=True))


# -------------------------------------------------------------------------- flash-attention


def end_aligned_varlen(query: Tensor, key: Tensor, value: Tensor, **kwargs: Any) -> Tensor:
    """What flash-attn documents of its variable-length call, sequence by sequence."""
    assert kwargs["causal"]
    starts_q, starts_k = kwargs["cu_seqlens_q"].tolist(), kwargs["cu_seqlens_k"].tolist()
    assert kwargs["cu_seqlens_q"].dtype == kwargs["cu_seqlens_k"].dtype == torch.int32
    assert (starts_q[-1], starts_k[-1]) == (len(query), len(key))
    outputs = []
    for a, b, c, d in zip(starts_q, starts_q[1:], starts_k, starts_k[1:], strict=False):
        assert b - a <= kwargs["max_seqlen_q"]
        assert d - c <= kwargs["max_seqlen_k"]
        visible = torch.ones(b - a, d - c, dtype=torch.bool).tril(d - c - (b - a))
        outputs.append(
            F.scaled_dot_product_attention(
                query[a:b].transpose(0, 1),
                key[c:d].transpose(0, 1),
                value[c:d].transpose(0, 1),
                attn_mask=visible,
                scale=kwargs["softmax_scale"],
                enable_gqa=True,
            ).transpose(0, 1)
        )
    return torch.cat(outputs)


@pytest.mark.parametrize("kind", ["qwen3_vl", "qwen2"])
def test_the_varlen_call_is_the_same_attention(
    tiny_model: TinyModels, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel itself needs a GPU; its place is taken by a loop with its documented rule."""
    tiny = tiny_model(kind)
    kernel = SimpleNamespace(flash_attn_varlen_func=end_aligned_varlen)
    monkeypatch.setitem(sys.modules, "flash_attn", kernel)
    ours, theirs = tiny.load("prefix"), tiny.load("prefix")
    ours.get_decoder().config._attn_implementation = "adora_varlen"
    logprobs, expected = score(tiny, ours), score(tiny, theirs)
    torch.testing.assert_close(logprobs, expected, atol=1e-5, rtol=0)
    logprobs.sum().backward()
    expected.sum().backward()
    assert 0 < gradient_error(ours, theirs) < 1e-5


# --------------------------------------------------------------------- what is not supported


def save_config(folder: Any, **settings: Any) -> Any:
    Qwen2Config(num_hidden_layers=2, **settings).save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("settings", "attention", "reason"),
    [
        (
            {"use_sliding_window": True, "sliding_window": 8, "max_window_layers": 1},
            "sdpa",
            "sliding_attention layers",
        ),
        ({"attention_dropout": 0.1}, "sdpa", "attention_dropout"),
        ({}, "eager", "no form for policy.attention=eager"),
    ],
)
def test_what_cannot_share_falls_back_by_name_or_is_refused(
    tmp_path: Any, settings: dict[str, Any], attention: str, reason: str
) -> None:
    folder = save_config(tmp_path, **settings)
    batching, note = choose_batching(folder, "auto", attention)
    assert batching == "padded"
    assert reason in note
    for wanted in ("prefix", "packed"):
        with pytest.raises(ValueError, match=f"train.batching={wanted} does not work.*{reason}"):
            choose_batching(folder, wanted, attention)
    assert choose_batching(folder, "padded", attention)[0] == "padded"


def test_other_model_types_are_not_assumed_to_work() -> None:
    config = Qwen2Config(num_hidden_layers=1)
    assert why_not_shared(config, "sdpa") is None
    config.model_type = "gemma3"
    assert "gemma3 was not tested" in str(why_not_shared(config, "sdpa"))


@pytest.mark.parametrize("kind", KINDS)
def test_every_tested_model_shares_by_default(tiny_model: TinyModels, kind: str) -> None:
    folder = tiny_model(kind).folder
    for attention in shared_prompts.ATTENTION:
        assert choose_batching(folder, "auto", attention)[0] == "prefix"
        assert choose_batching(folder, "packed", attention)[0] == "packed"


def test_a_saved_model_does_not_remember_the_batching(
    tiny_model: TinyModels, tmp_path: Any
) -> None:
    tiny_model("qwen2_5_vl").load("prefix").save_pretrained(tmp_path)
    assert "adora_" not in (tmp_path / "config.json").read_text()
    plain = load_policy(tmp_path)
    assert plain.get_decoder().config._attn_implementation == "sdpa"
