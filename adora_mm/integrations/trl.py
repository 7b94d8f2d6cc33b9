"""ADORA for TRL: a `GRPOTrainer` whose advantages carry one weight per prompt.

TRL has no hook between its advantages and its loss, so three of its methods are wrapped, and none
of their lines is repeated: `_generate` tells lengths and cut-off rollouts, `_calculate_rewards` the
rewards of every process, and `_generate_and_score_completions` returns the advantages, which are
multiplied on the way out. If a release of TRL stops calling one of them, training stops with an
error instead of going on as plain GRPO. Written for and tested with TRL 1.16.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import trl
from torch import Tensor
from transformers import Qwen2_5_VLProcessor

from adora_mm.config.algorithm import AdoraConfig
from adora_mm.integrations.weights import group_weights, resolve_adora, success_threshold
from adora_mm.processor import Processor


class AdoraGRPOTrainer(trl.GRPOTrainer):
    """TRL's trainer with ADORA weights; every other argument is TRL's own.

    adora: settings or a preset's name. success_reward: the reward function (by its name) whose raw
    value says what succeeded, above `success_threshold` (None: the settings' own, else 0.5); a
    rollout for which it returns None counts as neither. Steps of the schedule are TRL's
    `global_step`. Evaluation keeps weight 1. The weights appear in the logs under `adora/`, and per
    rollout in the table of completions. Raises ValueError for settings that cannot work.
    """

    def __init__(
        self,
        *args: Any,
        adora: AdoraConfig | str = "vl_reference",
        success_reward: str = "accuracy_reward",
        success_threshold: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.adora = resolve_adora(adora)
        self.success_column = _column(self.reward_func_names, success_reward)
        self.success_threshold = _threshold(self.adora, success_reward, success_threshold)
        _check_control(self.adora, self.args.generation_batch_size // self.num_generations)
        self._seen: dict[str, Tensor] = {}

    def _generate(self, prompts: list[Any]) -> Any:
        generated = super()._generate(prompts)
        _, completion_ids, model_tokens, *_ = generated
        # Not from the completion mask: TRL empties it for truncated rollouts on request.
        lengths = [len(ids) for ids in completion_ids]
        if model_tokens is not None:  # 1 where the policy wrote, 0 where a tool did
            lengths = [sum(row) for row in model_tokens]
        ends = {*self.eos_token_ids, self._tokenizer.pad_token_id}
        truncated = [ids[-1] not in ends for ids in completion_ids]
        self._seen["lengths"] = self._over_processes(lengths)
        self._seen["truncated"] = self._over_processes(truncated)
        return generated

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
        rewards: Tensor = super()._calculate_rewards(*args, **kwargs)  # over all processes already
        self._seen["rewards"] = rewards[:, self.success_column]
        return rewards

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        training = self.model.training
        self._seen.clear()
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        base_B = self.accelerator.gather(output["advantages"])
        _check_hooks(self._seen, rows=len(base_B))
        if training:
            weights_B = self._weights(base_B)
            first = self.accelerator.process_index * len(inputs)
            output["advantages"] = output["advantages"] * weights_B[first : first + len(inputs)]
            self._logs["advantages"].extend((base_B * weights_B).tolist())  # pushes out TRL's
        else:
            weights_B = torch.ones_like(base_B)
        self._logs["extra"]["adora_weight"].extend(weights_B.tolist())
        return output

    def _weights(self, base_B: Tensor) -> Tensor:
        """One weight per rollout of all processes, logged; a group may lie on several of them."""
        base_PG, rewards_PG, lengths_PG, truncated_PG = (
            values_B.view(-1, self.num_generations)
            for values_B in (base_B, *(self._seen[k] for k in ("rewards", "lengths", "truncated")))
        )
        result = group_weights(
            base_PG,
            rewards_PG > self.success_threshold,
            lengths_PG,
            truncated_PG,
            ~rewards_PG.isnan(),
            self.adora,
            step=self.state.global_step,
            seed=self.args.seed,
        )
        for name, value in result.metrics.items():
            self._metrics["train"][name].append(value)
        return result.weights_P.repeat_interleave(self.num_generations)

    def _over_processes(self, values: list[Any]) -> Tensor:
        gathered: Tensor = self.accelerator.gather(
            torch.tensor(values, device=self.accelerator.device)
        )
        return gathered


class PicturesOnlyProcessor(Qwen2_5_VLProcessor):
    """transformers' processor of Qwen2-VL, Qwen2.5-VL and Qwen3-VL without the part for videos.

    That part needs torchvision and is not asked for. Make one with `vlm_processor`.
    """

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None
    ) -> None:
        self.image_token = "<|image_pad|>"
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        # Past the parent: it insists on a video processor.
        super(Qwen2_5_VLProcessor, self).__init__(
            image_processor, tokenizer, chat_template=chat_template
        )

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> None:
        """Write the parts as the model's own folder has them, so that any processor reads them."""
        self.tokenizer.save_pretrained(save_directory)
        self.image_processor.save_pretrained(save_directory)


def vlm_processor(
    model_path: str | Path, *, min_pixels: int | None = None, max_pixels: int | None = None
) -> PicturesOnlyProcessor:
    """A `processing_class` for TRL that needs no torchvision, with adora-mm's own image pixels.

    `min_pixels` and `max_pixels` bound the resized image; None keeps the model's own limits.
    Raises ValueError for a model that reads no images.
    """
    parts = Processor(model_path, min_pixels=min_pixels, max_pixels=max_pixels)
    if parts.image_processor is None:
        raise ValueError(f"{model_path} reads no images; give TRL its tokenizer instead")
    parts.tokenizer.padding_side = "left"
    return PicturesOnlyProcessor(
        parts.image_processor, parts.tokenizer, chat_template=parts.tokenizer.chat_template
    )


def _column(names: list[str], success_reward: str) -> int:
    if names.count(success_reward) != 1:
        found = "more than one is" if success_reward in names else "none is"
        raise ValueError(
            f"success_reward={success_reward!r} must name one reward function, and {found} called "
            f"that; the names are {', '.join(names) or 'none at all'}"
        )
    return names.index(success_reward)


def _threshold(adora: AdoraConfig, success_reward: str, threshold: float | None) -> float:
    """The explicit one, else the settings', else 0.5."""
    if threshold is None:
        threshold = success_threshold(adora)
    if success_reward == "accuracy_reward" and not 0 <= threshold < 1:
        raise ValueError(
            f"accuracy_reward gives 0 or 1, which a threshold of {threshold} does not tell apart; "
            "pass success_threshold=0.5"
        )
    return threshold


def _check_control(adora: AdoraConfig, groups: int) -> None:
    if adora.control != "none" and groups < 2:
        raise ValueError(
            f"control={adora.control} needs at least two prompts per generation batch, and there "
            "is one; raise per_device_train_batch_size or steps_per_generation"
        )


def _check_hooks(seen: dict[str, Tensor], *, rows: int) -> None:
    found = {name: len(seen.get(name, ())) for name in ("rewards", "lengths", "truncated")}
    if set(found.values()) != {rows}:
        raise RuntimeError(
            f"TRL {trl.__version__} moved the places where ADORA looks on: {rows} advantages, but "
            f"{found}; install a release that adora-mm names in its extra `trl`"
        )
