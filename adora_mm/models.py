"""Policies: loading, inputs for prompts, and the scorer that turns responses into log-probs.

Prompts are padded on the left and responses on the right, so that all responses of a batch start
in the same column. The vision tower runs once per prompt, not once per rollout: its features are
repeated over the group's rows. Positions come from the model's own `get_rope_index` for the prompt
and continue one by one over the response.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

from adora_mm.logprobs import token_logprobs
from adora_mm.processor import Prompt

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
    path: str | Path, *, dtype: torch.dtype = torch.float32, attention: str = "sdpa"
) -> nn.Module:
    """Load a text or vision-language model in HF format through transformers' auto classes."""
    config = AutoConfig.from_pretrained(str(path))
    loader = AutoModelForImageTextToText if is_vision_config(config) else AutoModelForCausalLM
    return loader.from_pretrained(str(path), dtype=dtype, attn_implementation=attention)


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
    ) -> None:
        super().__init__()
        self.model: Any = model
        self.temperature = temperature
        self.banned_token_ids = tuple(banned_token_ids)
        self.max_logit_rows = max_logit_rows
        """At most about this many rows of the vocabulary's logits are alive at once."""
        self.has_vision = is_vision_config(model.config)

    def forward(
        self,
        prompts: PromptBatch,
        response_ids_BT: Tensor,
        response_mask_BT: Tensor,
        prompt_of_row: Sequence[int],
        max_response_tokens: int,
    ) -> tuple[Tensor, Tensor]:
        """Log-probs and entropies, [B, T] fp32 and zero on padding.

        `response_mask_BT` marks every real response token; `prompt_of_row[b]` says which prompt row
        b answers. `max_response_tokens` is the recipe's limit, the same on every rank.
        """
        rows = torch.tensor(prompt_of_row, device=response_ids_BT.device)
        hidden_BTH, anchor = self._hidden(prompts, response_ids_BT, response_mask_BT, rows)
        valid = response_mask_BT.bool()
        budget = len(prompt_of_row) * max_response_tokens
        logprobs_N, entropy_N = token_logprobs(
            self.model.lm_head,
            hidden_BTH[valid],
            response_ids_BT[valid],
            temperature=self.temperature,
            banned_token_ids=self.banned_token_ids,
            num_chunks=-(-budget // self.max_logit_rows),
        )
        zeros = torch.zeros(response_ids_BT.shape, device=logprobs_N.device)
        logprobs_BT = zeros.masked_scatter(valid, logprobs_N + anchor)
        return logprobs_BT, zeros.masked_scatter(valid, entropy_N)

    def _hidden(
        self, prompts: PromptBatch, response_ids_BT: Tensor, mask_BT: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        positions = prompt_positions(self.model, prompts)
        after = response_positions(positions, response_ids_BT.shape[1])
        inputs: dict[str, Any] = {
            "input_ids": torch.cat([prompts.ids_PT[rows], response_ids_BT], dim=1),
            "attention_mask": torch.cat([prompts.mask_PT[rows], mask_BT.long()], dim=1),
            "position_ids": torch.cat([positions, after], dim=-1)[..., rows, :],
        }
        anchor = torch.zeros((), device=response_ids_BT.device)
        if self.has_vision:
            features, anchor = self._features(prompts)
            if features is not None:
                repeated = repeat_features(features, prompts.images_per_prompt, rows.tolist())
                inputs["mm_encoder_outputs"] = {"image": repeated}
        states = self.model.model(**inputs, use_cache=False).last_hidden_state
        first = prompts.ids_PT.shape[1] - 1
        return states[:, first:-1], anchor

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
