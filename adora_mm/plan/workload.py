"""The largest micro-batch that a recipe allows; how long prompts and responses are taken to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from adora_mm.config import DataConfig, RunConfig
from adora_mm.models import is_vision_config
from adora_mm.shared_prompts import why_not_shared

TEXT_TOKENS = 200
"""Of a prompt beside its picture, where the recipe's data are not looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of one prompt (pictures included) and of one response; patches of its picture."""

    prompt: int
    response: int
    patches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """One micro-batch: `groups` prompts with `rollouts` responses each."""

    groups: int
    rollouts: int
    lengths: Lengths
    batching: str

    @property
    def prompt_copies(self) -> int:
        """How often prompts stand in the micro-batch."""
        return self.groups * (1 if self.batching == "prefix" else self.rollouts)

    @property
    def tokens(self) -> int:
        return self.prompt_copies * self.lengths.prompt + self.response_tokens

    @property
    def response_tokens(self) -> int:
        return self.groups * self.rollouts * self.lengths.response


def longest(config: RunConfig, model_config: Any) -> Lengths:
    """Every prompt and response at its limit, one picture as large as allowed."""
    data = config.data
    return Lengths(
        prompt=data.max_prompt_tokens,
        response=config.rollout.max_new_tokens,
        patches=_most_patches(data, model_config),
    )


def expected(
    config: RunConfig, model_config: Any, *, prompt: int | None, response: int | None
) -> Lengths:
    """Mean lengths: as given, or the largest picture and TEXT_TOKENS, a quarter of the cap."""
    most = longest(config, model_config)
    merged = most.patches // _merge(model_config)
    return Lengths(
        prompt=min(most.prompt, prompt or merged + TEXT_TOKENS),
        response=min(most.response, response or max(1, most.response // 4)),
        patches=most.patches,
    )


def batching_of(config: RunConfig, model_config: Any) -> str:
    """The form that `train.batching` comes to for this model (`models.choose_batching`)."""
    if config.train.batching != "auto":
        return config.train.batching
    reason = why_not_shared(model_config, config.policy.attention)
    return "prefix" if reason is None else "padded"


def microbatch(config: RunConfig, lengths: Lengths, batching: str) -> Rows:
    """The dearest micro-batch of groups of such lengths, cut as `plan_microbatches` does."""
    train = config.train
    limit = train.max_tokens_per_microbatch

    def rows(groups: int, rollouts: int) -> Rows:
        return Rows(groups=groups, rollouts=rollouts, lengths=lengths, batching=batching)

    rollouts = config.rollout.group_size
    while limit is not None and rollouts > 1 and rows(1, rollouts).tokens > limit:
        rollouts = -(-rollouts // 2)
    groups = 1
    while groups < train.groups_per_microbatch and (
        limit is None or rows(groups + 1, rollouts).tokens <= limit
    ):
        groups += 1
    return rows(groups, rollouts)


def _merge(model_config: Any) -> int:
    return model_config.vision_config.spatial_merge_size**2 if is_vision_config(model_config) else 1


def _most_patches(data: DataConfig, model_config: Any) -> int:
    """Patches of a picture of `data.max_pixels`, or of one that fills the prompt."""
    if not is_vision_config(model_config):
        return 0
    vision: Mapping[str, Any] = model_config.vision_config.to_dict()
    merge = _merge(model_config)
    most = max(1, data.max_prompt_tokens - TEXT_TOKENS // 4) * merge
    if data.max_pixels is not None:
        most = min(most, data.max_pixels // vision["patch_size"] ** 2)
    return max(merge, most // merge * merge)
