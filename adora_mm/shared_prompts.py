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
from transformers import AttentionInterface

SHARED_MODELS = ("qwen2", "qwen3", "llama", "qwen2_5_vl", "qwen3_vl")
"""Model types whose attention, positions and image features were tested in this form."""
KEY_BLOCK = 512
"""Keys that torch's CPU kernel computes at once (kvSplitSize in its FlashAttentionKernel.cpp):
causality skips whole blocks only. Kernels of GPUs have smaller ones."""
MASKED = 1.15
"""What a pair of query and key costs under a mask, against one without: chosen so that the rule
takes the faster form in the timings of benchmarks/RESULTS.md, on a CPU."""


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
    """Attention over a shared row: each prompt causally, then its responses as a batch; or both in
    one, where that is less work (`repeats_prompt`).

    Called by transformers: query [1, H, N, D], key and value [1, K, N, D] with K dividing H;
    returns [1, N, H, D].
    """
    whole = tuple(x[0].transpose(0, 1) for x in (query, key, value))
    parts: list[Tensor] = []
    start = 0
    for block in shared_blocks:
        stop = start + block.prompt_tokens + sum(block.response_tokens)
        query_NHD, key_NKD, value_NKD = (x[start:stop] for x in whole)
        attend = _together if repeats_prompt(block) else _apart
        parts += attend(query_NHD, key_NKD, value_NKD, block, scaling)
        start = stop
    return torch.cat(parts)[None], None


def repeats_prompt(block: Block) -> bool:
    """Whether attention repeats the prompt's queries before each response.

    [prompt | response] as a causal row lets the kernel skip what is above the diagonal; responses
    alone need a mask, and a kernel computes what a mask hides. So queries of a short prompt are
    worth repeating before long responses. Counted are pairs of query and key.
    """
    prompt, longest = block.prompt_tokens, max(block.response_tokens, default=0)
    rows = len(block.response_tokens)
    row = prompt + longest
    repeated = rows * row * _keys_of_causal(row)
    apart = prompt * _keys_of_causal(prompt) + MASKED * rows * longest * row
    return longest > 0 and repeated < apart


def _keys_of_causal(length: int) -> float:
    """Keys that a causal kernel computes for a query, on average."""
    return min(length, (length + KEY_BLOCK) / 2)


def _together(
    query_NHD: Tensor, key_NKD: Tensor, value_NKD: Tensor, block: Block, scaling: float | None
) -> list[Tensor]:
    """Every response a causal row with the prompt before it."""
    places_GT, real_M = _rows(block, query_NHD.device)
    query, key, value = (_take(x, places_GT) for x in (query_NHD, key_NKD, value_NKD))
    out_GTHD = _attend(query, key, value, scaling)
    end = block.prompt_tokens  # what the prompt's tokens get is the same in every row
    return [out_GTHD[0, :end], out_GTHD[:, end:].flatten(0, 1).index_select(0, real_M)]


def _apart(
    query_NHD: Tensor, key_NKD: Tensor, value_NKD: Tensor, block: Block, scaling: float | None
) -> list[Tensor]:
    """The prompt causally; then its responses, whose keys are [prompt | own response]."""
    end = block.prompt_tokens
    query, key, value = (x[None, :end] for x in (query_NHD, key_NKD, value_NKD))
    parts = [_attend(query, key, value, scaling)[0]]
    if sum(block.response_tokens):
        places_GT, real_M = _rows(block, query_NHD.device)
        length = places_GT.shape[1]
        visible = torch.ones(length - end, length, dtype=torch.bool, device=query_NHD.device)
        queries = _take(query_NHD, places_GT[:, end:])
        keys, values = (_take(x, places_GT) for x in (key_NKD, value_NKD))
        out_GRHD = _attend(queries, keys, values, scaling, visible=visible.tril(end))
        parts.append(out_GRHD.flatten(0, 1).index_select(0, real_M))
    return parts


def _rows(block: Block, device: torch.device) -> tuple[Tensor, Tensor]:
    """Places in a block of its rows [prompt | response], one a response, padded to the longest; and
    which of the G * R places of responses hold a token.

    Padding is on the right, where causality hides it from every real token, so any token may stand
    there. Made on the host from the lengths: on a GPU, counting what is real would wait for it, and
    the dry run of a plan (`plan/dry_run.py`) has no values to count.
    """
    lengths_G1 = torch.tensor(block.response_tokens)[:, None]
    starts_G1 = block.prompt_tokens + lengths_G1.cumsum(0) - lengths_G1
    steps_R = torch.arange(max(block.response_tokens))
    last = block.prompt_tokens + sum(block.response_tokens) - 1
    responses_GR = (starts_G1 + steps_R).clamp(max=last)
    prompts_GP = torch.arange(block.prompt_tokens).expand(len(lengths_G1), -1)
    real_M = torch.cat(
        [row * len(steps_R) + steps_R[:length] for row, length in enumerate(block.response_tokens)]
    )
    return torch.cat([prompts_GP, responses_GR], dim=1).to(device), real_M.to(device)


def _take(x_NHD: Tensor, places_GT: Tensor) -> Tensor:
    """One copy of every token where a row needs it, [G, T, H, D]."""
    return x_NHD.index_select(0, places_GT.flatten()).unflatten(0, places_GT.shape)


def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scaling: float | None,
    *,
    visible: Tensor | None = None,
) -> Tensor:
    """Scaled dot-product attention, [batch, tokens, heads, D]; causal unless `visible` is given."""
    if key.is_cuda and key.shape[2] < query.shape[2]:
        # With a mask CUDA's fused kernels do not take fewer key heads; one way for both forms.
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
