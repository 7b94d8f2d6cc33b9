"""Prompts shared by their rollouts: the row of tokens, and who attends to whom in it.

G rollouts of one prompt, as G padded sequences, compute the prompt and its pictures G times. Here
all tokens of a micro-batch stand in one row without padding, each prompt once:

    [prompt 1 | response 1.1 | ... | response 1.G | prompt 2 | response 2.1 | ...]

Three rules make this row equal to the separate sequences, because everything else in a transformer
(embeddings, norms, MLPs, the head) acts on each token alone:

    attention   a prompt sees itself, causally; a response sees its own prompt whole and itself,
                causally; nobody sees another response or another prompt
    positions   every response starts one past its prompt's largest position (with multimodal rope
                on all three axes), as if it stood alone
    prediction  the state of the prompt's last token predicts the first token of each of its
                responses; inside a response the state at t - 1 predicts token t

So attention is computed block by block (`split_attention`) and no mask of the row's size exists.
The positions are those of `models.response_positions`; this file only puts them in the row's order.
Tests compare with a dense mask over the row and with one sequence at a time (tests/test_shared*).

A *packed* row repeats the prompt before every response: the same code, with blocks of one response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AttentionInterface

SHARED_MODELS = ("qwen2", "qwen3", "llama", "qwen2_5_vl", "qwen3_vl")
"""Model types whose attention, positions and image features were tested in this form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A prompt in the row and the responses right after it, in tokens."""

    prompt: int
    """Which prompt of the batch."""
    prompt_tokens: int
    response_tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedRow:
    """Where everything stands in the row of N tokens."""

    blocks: tuple[Block, ...]
    source_N: Tensor
    """Token n of the row is entry source_N[n] of all prompt places [P * T], then all response
    places [B * T], padding included in the count."""
    predictor_M: Tensor
    """Place in the row of the state that predicts each response token; the tokens are in the order
    of the true entries of the response mask."""

    def gather(self, prompts_PT: Tensor, responses_BT: Tensor) -> Tensor:
        """Put per-token values of prompts and responses in the row's order; [..., N]."""
        flat = torch.cat([prompts_PT.flatten(-2), responses_BT.flatten(-2)], dim=-1)
        return flat[..., self.source_N]


def shared_row(
    prompt_mask_PT: Tensor,
    response_mask_BT: Tensor,
    prompt_of_row: Sequence[int],
    *,
    repeat_prompts: bool = False,
) -> SharedRow:
    """Lay out a batch of padded prompts and responses as one row.

    `prompt_of_row[b]` says which prompt response b answers. `repeat_prompts` gives every response a
    prompt of its own (a packed row).
    """
    device = response_mask_BT.device
    prompt_places = _real_places(prompt_mask_PT, start=0)
    response_places = _real_places(response_mask_BT, start=prompt_mask_PT.numel())
    members_of: list[tuple[int, list[int]]] = [
        (p, [b for b, prompt in enumerate(prompt_of_row) if prompt == p])
        for p in range(len(prompt_places))
    ]
    if repeat_prompts:
        members_of = [(p, [b]) for p, members in members_of for b in members]
    blocks: list[Block] = []
    source: list[Tensor] = []
    predictors: dict[int, Tensor] = {}
    end = 0
    for p, members in members_of:
        source += [prompt_places[p], *(response_places[b] for b in members)]
        lengths = tuple(len(response_places[b]) for b in members)
        blocks.append(Block(prompt=p, prompt_tokens=len(prompt_places[p]), response_tokens=lengths))
        end += len(prompt_places[p])
        last_of_prompt = torch.tensor([end - 1])
        for b, length in zip(members, lengths, strict=True):
            predictors[b] = torch.cat([last_of_prompt, torch.arange(end, end + length)])[:length]
            end += length
    return SharedRow(
        blocks=tuple(blocks),
        source_N=torch.cat(source).to(device),
        predictor_M=torch.cat([predictors[b] for b in range(len(response_places))]).to(device),
    )


def _real_places(mask: Tensor, *, start: int) -> list[Tensor]:
    """Places of the real tokens of each row, counted from `start` over the padded rows."""
    places = torch.arange(start, start + mask.numel()).view(mask.shape)
    return [row[real] for row, real in zip(places, mask.bool().cpu(), strict=True)]


# ------------------------------------------------------------------------------ attention


def split_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    shared_blocks: Sequence[Block],
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention over a shared row: each prompt causally, then its responses as a batch.

    Called by transformers: query [1, H, N, D], key and value [1, K, N, D] with K dividing H;
    returns [1, N, H, D].
    """
    query, key, value = (x[0].transpose(0, 1) for x in (query, key, value))
    parts: list[Tensor] = []
    start = 0
    for block in shared_blocks:
        end = start + block.prompt_tokens
        stop = end + sum(block.response_tokens)
        prompt = [x[None, start:end] for x in (query, key, value)]
        parts += _attend(*prompt, scaling=scaling)
        if stop > end:
            answers = _answers(query[end:stop], key[start:stop], value[start:stop], block, scaling)
            parts += answers
        start = stop
    return torch.cat(parts)[None], None


def _answers(
    query_MHD: Tensor, key_NKD: Tensor, value_NKD: Tensor, block: Block, scaling: float | None
) -> list[Tensor]:
    """Attention of a prompt's responses, padded to the longest: keys are [prompt | own response].

    Padding is on the right, where causality hides it from every real token.
    """
    lengths = list(block.response_tokens)
    query_GRHD = pad_sequence(query_MHD.split(lengths), batch_first=True)
    keys, values = (
        torch.cat(
            [
                x[: block.prompt_tokens].expand(len(lengths), -1, -1, -1),
                pad_sequence(x[block.prompt_tokens :].split(lengths), batch_first=True),
            ],
            dim=1,
        )
        for x in (key_NKD, value_NKD)
    )
    visible = torch.ones(
        query_GRHD.shape[1], keys.shape[1], dtype=torch.bool, device=keys.device
    ).tril(block.prompt_tokens)
    out_GRHD = _attend(query_GRHD, keys, values, visible=visible, scaling=scaling)
    return [row[:length] for row, length in zip(out_GRHD, lengths, strict=True)]


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    visible: Tensor | None = None,
    scaling: float | None,
) -> Tensor:
    """Scaled dot-product attention, [batch, tokens, heads, D]; causal unless `visible` is given."""
    if key.is_cuda and key.shape[2] < query.shape[2]:
        # CUDA's fused kernels take fewer key heads only without a mask.
        key, value = (
            x.repeat_interleave(query.shape[2] // x.shape[2], dim=2) for x in (key, value)
        )
    return F.scaled_dot_product_attention(
        query.transpose(1, 2),
        key.transpose(1, 2),
        value.transpose(1, 2),
        attn_mask=visible,
        is_causal=visible is None,
        scale=scaling,
        enable_gqa=key.shape[2] < query.shape[2],
    ).transpose(1, 2)


def varlen_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    shared_blocks: Sequence[Block],
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """The same through one call of flash-attention's variable-length kernel.

    Every prompt and every response is a sequence of queries; the keys of a response are gathered
    as [prompt | own]. The kernel's causal rule is aligned at the end (flash-attn 2.1 and later):
    query j of n sees all but the last n - 1 - j keys, which is the rule of this file.
    """
    from flash_attn import flash_attn_varlen_func

    keys, query_lengths, key_lengths = _sequences(shared_blocks)
    place_of_key = torch.tensor(keys, device=key.device)
    query, key, value = (x[0].transpose(0, 1) for x in (query, key, value))
    out_NHD = flash_attn_varlen_func(
        query,
        key[place_of_key],
        value[place_of_key],
        cu_seqlens_q=_ends(query_lengths, key.device),
        cu_seqlens_k=_ends(key_lengths, key.device),
        max_seqlen_q=max(query_lengths),
        max_seqlen_k=max(key_lengths),
        softmax_scale=scaling,
        causal=True,
    )
    return out_NHD[None], None


def _sequences(blocks: Sequence[Block]) -> tuple[list[int], list[int], list[int]]:
    """Places of all keys in the row, and the numbers of queries and keys of every sequence."""
    keys: list[int] = []
    query_lengths: list[int] = []
    key_lengths: list[int] = []
    end = 0
    for block in blocks:
        prompt = range(end, end + block.prompt_tokens)
        keys += prompt
        query_lengths.append(len(prompt))
        key_lengths.append(len(prompt))
        end = prompt.stop
        for length in block.response_tokens:
            keys += [*prompt, *range(end, end + length)]
            query_lengths.append(length)
            key_lengths.append(len(prompt) + length)
            end += length
    return keys, query_lengths, key_lengths


def _ends(lengths: Sequence[int], device: torch.device) -> Tensor:
    return F.pad(torch.tensor(lengths).cumsum(0), (1, 0)).to(device, torch.int32)


ATTENTION = {
    "sdpa": ("adora_split", split_attention),
    "flash_attention_2": ("adora_varlen", varlen_attention),
}
"""`policy.attention` -> the form of it for shared rows. The names mean nothing to transformers, so
it builds no mask for them: every mask that it could build would be silently wrong here."""

for _name, _function in ATTENTION.values():
    AttentionInterface.register(_name, _function)


def why_not_shared(config: Any, attention: str) -> str | None:
    """Why a model cannot be trained in shared rows, in a few words; None when it can.

    `config` is a transformers config, `attention` the recipe's `policy.attention`.
    """
    text = config.get_text_config().to_dict()
    layers = set(text.get("layer_types") or ()) - {"full_attention"}
    if config.model_type not in SHARED_MODELS:
        return f"model type {config.model_type} was not tested, only {', '.join(SHARED_MODELS)}"
    if layers:
        return f"the model has {', '.join(sorted(layers))} layers"
    if text.get("attention_dropout"):
        return "the model's config sets attention_dropout"
    if attention not in ATTENTION:
        return f"it has no form for policy.attention={attention}, only {', '.join(ATTENTION)}"
    return None


def attention_for_shared_rows(config: Any, attention: str) -> str | dict[str, str]:
    """The argument `attn_implementation` of `from_pretrained`; the vision tower keeps its own."""
    name = ATTENTION[attention][0]
    if "vision_config" not in config.to_dict():
        return name
    return {"": attention, "text_config": name, "vision_config": attention}
