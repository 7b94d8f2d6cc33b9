"""Policies: loading, inputs for prompts, and the scorer that turns responses into log-probs.

Batches come with prompts padded on the left and responses on the right. The scorer computes them in
one of three forms, which give the same numbers:

    prefix  one row without padding, every prompt once before all its responses (shared_prompts.py)
    packed  one row without padding, the prompt again before each response
    padded  the rows as they come, for models that the other two do not support

The vision tower runs once per prompt in all of them; where a prompt is repeated, its features are.
Positions come from the model's own `get_rope_index` for the prompt and continue one by one over the
response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from adora_mm.families import mend_generation_config, refuse_unsupported
from adora_mm.logprobs import token_logprobs
from adora_mm.processor import Prompt
from adora_mm.shared_prompts import (
    attention_for_shared_rows,
    shared_row,
    why_not_shared,
)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
EMBEDDED_POLICY = Path(__file__).parent / "assets" / "tiny_qwen2_5_vl"


def policy_path(path: str) -> Path | str:
    """The folder or hub name of a recipe's `policy.path`; `embedded` ships with the package."""
    return EMBEDDED_POLICY if path == "embedded" else path


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptBatch:
    """P left-padded prompts with the pixels of their images, in order."""

    ids_PT: Tensor
    mask_PT: Tensor
    """1 on real tokens."""
    pixel_values: Tensor | None
    image_grid_thw: Tensor | None
    images_per_prompt: tuple[int, ...]

    def to(self, device: torch.device | str) -> PromptBatch:
        def move(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device)

        return PromptBatch(
            ids_PT=self.ids_PT.to(device),
            mask_PT=self.mask_PT.to(device),
            pixel_values=move(self.pixel_values),
            image_grid_thw=move(self.image_grid_thw),
            images_per_prompt=self.images_per_prompt,
        )


def collate_prompts(prompts: Sequence[Prompt], pad_token_id: int) -> PromptBatch:
    """Pad prompts on the left to the longest one and put their images in a row."""
    longest = max(len(prompt.token_ids) for prompt in prompts)
    ids_PT = torch.full((len(prompts), longest), pad_token_id, dtype=torch.long)
    mask_PT = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids_PT[row, longest - len(prompt.token_ids) :] = torch.tensor(prompt.token_ids)
        mask_PT[row, longest - len(prompt.token_ids) :] = 1
    pixels = [p.pixel_values for p in prompts if p.pixel_values is not None]
    grids = [p.image_grid_thw for p in prompts if p.image_grid_thw is not None]
    return PromptBatch(
        ids_PT=ids_PT,
        mask_PT=mask_PT,
        pixel_values=torch.cat(pixels) if pixels else None,
        image_grid_thw=torch.cat(grids) if grids else None,
        images_per_prompt=tuple(
            0 if p.image_grid_thw is None else len(p.image_grid_thw) for p in prompts
        ),
    )


def is_vision_config(config: Any) -> bool:
    return "vision_config" in config.to_dict()


def load_policy(
    path: str | Path,
    *,
    dtype: torch.dtype = torch.float32,
    attention: str = "sdpa",
    batching: str = "padded",
) -> nn.Module:
    """Load a text or vision-language model in HF format through transformers' auto classes.

    With a `batching` of shared rows, the model can be called by a `ResponseScorer` of that batching
    only: a call without its row raises. Raises ValueError for a model that cannot be trained.
    """
    config = AutoConfig.from_pretrained(str(path), trust_remote_code=False)
    refuse_unsupported(config, path)
    loader = AutoModelForImageTextToText if is_vision_config(config) else AutoModelForCausalLM
    chosen: str | dict[str, str] = attention
    if batching != "padded":
        chosen = attention_for_shared_rows(config, attention)
    model = loader.from_pretrained(
        str(path), dtype=dtype, attn_implementation=chosen, trust_remote_code=False
    )
    mend_generation_config(model)
    return model


def choose_batching(path: str | Path, wanted: str, attention: str) -> tuple[str, str]:
    """The batching that `train.batching` means for a model, and a word on it for the console.

    `auto` is prefix where the model supports it, else padded. Raises ValueError when `wanted` is a
    form that it does not support.
    """
    if wanted == "padded":
        return wanted, "padded rows"
    reason = why_not_shared(
        AutoConfig.from_pretrained(str(path), trust_remote_code=False), attention
    )
    if reason is None:
        batching = "prefix" if wanted == "auto" else wanted
        notes = {
            "prefix": "each prompt once for all its rollouts",
            "packed": "rows without padding",
        }
        return batching, notes[batching]
    if wanted == "auto":
        return "padded", f"padded rows, since prompts cannot be shared: {reason}"
    raise ValueError(f"train.batching={wanted} does not work here: {reason}; use padded")


def image_features(model: Any, batch: PromptBatch) -> Any | None:
    """The vision tower's output for the batch's images; None when it has none."""
    if batch.pixel_values is None:
        return None
    return model.model.get_image_features(
        batch.pixel_values, batch.image_grid_thw, return_dict=True
    )


def repeat_features(features: Any, images_per_prompt: Sequence[int], rows: Sequence[int]) -> Any:
    """Repeat per-image features so that row i holds the images of prompt rows[i].

    Covers the extra per-layer features of Qwen3-VL (`deepstack_features`): like the main ones,
    each layer holds one tensor per image.
    """
    starts = [sum(images_per_prompt[:i]) for i in range(len(images_per_prompt))]
    order = [starts[row] + k for row in rows for k in range(images_per_prompt[row])]
    repeated = type(features)(**features)
    repeated.pooler_output = [features.pooler_output[i] for i in order]
    if features.get("deepstack_features") is not None:
        repeated.deepstack_features = [
            [layer[i] for i in order] for layer in features.deepstack_features
        ]
    return repeated


def prompt_positions(model: Any, batch: PromptBatch) -> Tensor:
    """Position ids of the prompts: [P, T], or [3, P, T] for models with multimodal rope."""
    if not is_vision_config(model.config):
        return (batch.mask_PT.cumsum(-1) - 1).clamp(min=0)
    positions, _ = model.model.get_rope_index(
        batch.ids_PT,
        mm_token_type_ids=(batch.ids_PT == model.config.image_token_id).int(),
        image_grid_thw=batch.image_grid_thw,
        attention_mask=batch.mask_PT,
    )
    return positions


def response_positions(positions_PT: Tensor, length: int) -> Tensor:
    """Positions of `length` tokens after each prompt: one past its largest position, then +1.

    The largest position of a multimodal prompt is shared by its three axes, since text ends it.
    """
    start = positions_PT.amax(-1, keepdim=True) + 1
    if positions_PT.dim() == 3:
        start = start.amax(0, keepdim=True).expand(3, -1, -1)
    return start + torch.arange(length, device=positions_PT.device)


class ResponseScorer(nn.Module):
    """A policy as the engine sees it: responses in, log-probs and entropy of their tokens out."""

    def __init__(
        self,
        model: nn.Module,
        *,
        temperature: float,
        banned_token_ids: Sequence[int],
        max_logit_rows: int = 4096,
        batching: str = "padded",
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.temperature = temperature
        self.banned_token_ids = tuple(banned_token_ids)
        self.max_logit_rows = max_logit_rows
        """At most about this many rows of the vocabulary's logits are alive at once."""
        self.batching = batching
        """The one that the model was loaded for."""
        self.has_vision = is_vision_config(model.config)

    def forward(
        self,
        prompts: PromptBatch,
        response_ids_BT: Tensor,
        response_mask_BT: Tensor,
        prompt_of_row: Sequence[int],
        max_tokens: int,
    ) -> tuple[Tensor, Tensor]:
        """Log-probs and entropies, [B, T] fp32 and zero on padding.

        `response_mask_BT` marks every real response token; `prompt_of_row[b]` says which prompt row
        b answers. `max_tokens` is an upper bound on the response tokens of any batch of this step,
        the same on every rank.
        """
        valid = response_mask_BT.bool()
        compute = self._padded_states if self.batching == "padded" else self._shared_states
        hidden_NH, anchor = compute(prompts, response_ids_BT, valid, prompt_of_row)
        logprobs_N, entropy_N = token_logprobs(
            self.model.lm_head,
            hidden_NH,
            response_ids_BT[valid],
            temperature=self.temperature,
            banned_token_ids=self.banned_token_ids,
            num_chunks=-(-max_tokens // self.max_logit_rows),
        )
        zeros = torch.zeros(response_ids_BT.shape, device=logprobs_N.device)
        logprobs_BT = zeros.masked_scatter(valid, logprobs_N + anchor)
        return logprobs_BT, zeros.masked_scatter(valid, entropy_N)

    def _padded_states(
        self, prompts: PromptBatch, ids_BT: Tensor, mask_BT: Tensor, prompt_of_row: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """The state that predicts each response token, [N, H], and `_features`' zero."""
        rows = torch.tensor(prompt_of_row, device=ids_BT.device)
        positions = prompt_positions(self.model, prompts)
        after = response_positions(positions, ids_BT.shape[1])
        images, anchor = self._images(prompts, prompt_of_row)
        states = self.model.model(
            input_ids=torch.cat([prompts.ids_PT[rows], ids_BT], dim=1),
            attention_mask=torch.cat([prompts.mask_PT[rows], mask_BT.long()], dim=1),
            position_ids=torch.cat([positions, after], dim=-1)[..., rows, :],
            use_cache=False,
            **images,
        ).last_hidden_state
        first = prompts.ids_PT.shape[1] - 1
        return states[:, first:-1][mask_BT], anchor

    def _shared_states(
        self, prompts: PromptBatch, ids_BT: Tensor, mask_BT: Tensor, prompt_of_row: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """The same from one row in which every prompt stands once (or, packed, once a response)."""
        row = shared_row(
            prompts.mask_PT, mask_BT, prompt_of_row, repeat_prompts=self.batching == "packed"
        )
        rows = torch.tensor(prompt_of_row, device=ids_BT.device)
        positions = prompt_positions(self.model, prompts)
        after = response_positions(positions, ids_BT.shape[1])[..., rows, :]
        images, anchor = self._images(prompts, [block.prompt for block in row.blocks])
        states = self.model.model(
            input_ids=row.gather(prompts.ids_PT, ids_BT)[None],
            position_ids=row.gather(positions, after)[..., None, :],
            shared_blocks=row.blocks,
            use_cache=False,
            **images,
        ).last_hidden_state
        # Not by plain indexing: its backward adds with atomics, so the sum over the responses of a
        # prompt would depend on which thread is first.
        return states[0].index_select(0, row.predictor_M), anchor

    def _images(self, prompts: PromptBatch, order: Sequence[int]) -> tuple[dict[str, Any], Tensor]:
        """The model's argument for the pictures of the prompts in `order`; `_features`' zero."""
        if not self.has_vision:
            return {}, torch.zeros((), device=prompts.ids_PT.device)
        features, anchor = self._features(prompts)
        if features is None:
            return {}, anchor
        repeated = repeat_features(features, prompts.images_per_prompt, order)
        return {"mm_encoder_outputs": {"image": repeated}}, anchor

    def _features(self, prompts: PromptBatch) -> tuple[Any | None, Tensor]:
        """Image features, and a zero that ties the vision tower into the graph.

        A rank whose micro-batch has no image runs the tower on a blank one and multiplies by zero:
        under ZeRO-3 (and any gradient all-reduce) every rank must touch the same parameters, else
        the others wait for it for ever.
        """
        features = image_features(self.model, prompts)
        if features is not None:
            return features, torch.zeros((), device=prompts.ids_PT.device)
        vision = self.model.config.vision_config
        side = vision.spatial_merge_size
        width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
        blank = torch.zeros(side * side, width, device=prompts.ids_PT.device)
        grid = torch.tensor([[1, side, side]], device=prompts.ids_PT.device)
        output = self.model.model.get_image_features(blank, grid, return_dict=True)
        zero = torch.cat(list(output.pooler_output)).float().sum() * 0
        for layer in output.get("deepstack_features") or []:
            zero = zero + torch.cat(list(layer)).float().sum() * 0
        return None, zero
