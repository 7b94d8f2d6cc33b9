"""Rollouts with transformers in the training process: for tiny models, CPUs and debugging.

The prompt and its images are computed once and their key-value cache is repeated for the G
completions, which `model.generate` would compute G times over. Rows that have stopped are taken
out of the batch as it thins out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from adora_mm.faults import NonFiniteError
from adora_mm.logprobs import policy_logits
from adora_mm.models import (
    collate_prompts,
    image_features,
    is_vision_config,
    load_policy,
    prompt_positions,
    response_positions,
)
from adora_mm.processor import Processor, Prompt
from adora_mm.rollout.sampling import Finished, Sampling, uniform_stream
from adora_mm.rollout.weight_sync import Traffic
from adora_mm.types import Completion


class TransformersBackend:
    """Samples from its own copy of the policy; `update_weights` brings that copy up to date."""

    def __init__(
        self,
        model_path: str | Path,
        processor: Processor,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        max_rows: int = 512,
        attention: str = "sdpa",
    ) -> None:
        self.processor = processor
        self.max_rows = max_rows
        self.device = torch.device(device)
        self.model: Any = (
            load_policy(model_path, dtype=dtype, attention=attention).to(self.device).eval()
        )
        self.has_vision = is_vision_config(self.model.config)
        self.stop_token_ids = stop_tokens(self.model.generation_config)
        self.version = 0

    @torch.inference_mode()
    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """Completions in the order of the prompts; `sampling.py` says what makes them repeatable.

        The log-probs are those of the tempered distribution over all tokens that are not banned,
        before top-p cuts it: the same that the trainer scores.
        """
        per_pass = max(1, self.max_rows // sampling.num_completions)
        # Prompts of like length share a pass, and so less padding.
        order = sorted(range(len(prompts)), key=lambda place: -len(prompts[place].token_ids))
        completions: dict[int, list[Completion]] = {}
        for start in range(0, len(order), per_pass):
            places = order[start : start + per_pass]
            for index, done in self._generate_pass([prompts[i] for i in places], sampling):
                completions[places[index]] = done
                if finished is not None:
                    finished(places[index], done)
        return [completions[place] for place in range(len(prompts))]

    def update_weights(self, named_weights: object, *, version: int) -> dict[str, float]:
        """Copy the trainer's weights.

        Raises ValueError when a parameter is missing, unknown or of another shape (`copy_` alone
        would broadcast it).
        """
        assert isinstance(named_weights, Iterable)
        own = dict(self.model.named_parameters())
        missing = set(own)
        traffic = Traffic()
        for name, weight in traffic.watch(named_weights):
            if name not in own:
                raise ValueError(f"weight sync: the rollout model has no parameter {name}")
            if weight.shape != own[name].shape:
                raise ValueError(
                    f"weight sync: {name} came with shape {tuple(weight.shape)}, the rollout model "
                    f"has {tuple(own[name].shape)}"
                )
            own[name].data.copy_(weight)
            missing.discard(name)
        if missing:
            raise ValueError(f"weight sync: nothing came for {sorted(missing)[:3]}")
        self.version = version
        return {"sync/bytes": float(traffic.bytes)}

    def sleep(self, *, weights_follow: bool = False) -> None:
        if self.device.type == "cuda":
            self.model.to("cpu")
            torch.cuda.empty_cache()

    def wake(self) -> None:
        self.model.to(self.device)

    def close(self) -> None:
        self.model = None

    def _generate_pass(
        self, prompts: Sequence[Prompt], sampling: Sampling
    ) -> Iterator[tuple[int, list[Completion]]]:
        """Prompts with all their completions, by place, as they are done."""
        count = sampling.num_completions
        state = self._prefill(prompts, count)
        uniforms_BT = _uniforms(prompts, sampling).to(self.device)
        rows = [_Row() for _ in range(len(prompts) * count)]
        unfinished = set(range(len(prompts)))
        for step in range(sampling.max_new_tokens):
            logits_BV = self._sampled_logits(state.logits_BV, sampling)
            if logits_BV.isnan().any():
                raise NonFiniteError(
                    "the policy's logits are not finite: its weights are broken; start a new run "
                    "with a lower train.learning_rate from policy.path=.../policy of a checkpoint"
                )
            tokens_B = _draw(logits_BV, uniforms_BT[state.rows, step], sampling)
            logprobs_B = torch.log_softmax(logits_BV, -1).gather(-1, tokens_B[:, None])[:, 0]
            alive = self._record(rows, state.rows, tokens_B, logprobs_B)
            if step + 1 == sampling.max_new_tokens:
                alive = [False] * len(alive)
            places = state.rows.tolist()
            going_on = {place // count for place, on in zip(places, alive, strict=True) if on}
            for prompt in sorted(unfinished - going_on):
                own = rows[prompt * count : (prompt + 1) * count]
                yield prompt, [self._completion(row) for row in own]
            unfinished = going_on
            if not unfinished:
                break
            self._advance(state, tokens_B, alive)

    def _prefill(self, prompts: Sequence[Prompt], count: int) -> _State:
        batch = collate_prompts(prompts, self.processor.pad_token_id).to(self.device)
        positions = prompt_positions(self.model, batch)
        cache = DynamicCache(config=self.model.config.get_text_config())
        inputs: dict[str, Any] = {}
        features = image_features(self.model, batch) if self.has_vision else None
        if features is not None:
            inputs["mm_encoder_outputs"] = {"image": features}
        hidden = self.model.model(
            input_ids=batch.ids_PT,
            attention_mask=batch.mask_PT,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            **inputs,
        ).last_hidden_state[:, -1]
        cache.batch_repeat_interleave(count)
        return _State(
            cache=cache,
            mask_BT=batch.mask_PT.repeat_interleave(count, dim=0),
            positions=response_positions(positions, 1).repeat_interleave(count, dim=-2),
            logits_BV=self.model.lm_head(hidden).repeat_interleave(count, dim=0),
            rows=torch.arange(len(prompts) * count, device=self.device),
        )

    def _sampled_logits(self, logits_BV: Tensor, sampling: Sampling) -> Tensor:
        return policy_logits(
            logits_BV,
            temperature=sampling.temperature or 1.0,
            banned_token_ids=self.processor.banned_token_ids,
        )

    def _record(
        self, rows: list[_Row], places: Tensor, tokens_B: Tensor, logprobs_B: Tensor
    ) -> list[bool]:
        """Append a token to each unfinished row; say which rows of the batch go on."""
        alive = []
        for place, token, logprob in zip(
            places.tolist(), tokens_B.tolist(), logprobs_B.tolist(), strict=True
        ):
            row = rows[place]
            if not row.stopped:
                row.token_ids.append(token)
                row.logprobs.append(logprob)
                row.stopped = token in self.stop_token_ids
            alive.append(not row.stopped)
        return alive

    def _advance(self, state: _State, tokens_B: Tensor, alive: list[bool]) -> None:
        """Feed the drawn tokens; drop stopped rows once a quarter of the batch has stopped."""
        if sum(alive) <= 0.75 * len(alive):
            keep = torch.tensor([i for i, on in enumerate(alive) if on], device=self.device)
            state.cache.batch_select_indices(keep)
            state.mask_BT, state.rows = state.mask_BT[keep], state.rows[keep]
            state.positions = state.positions[..., keep, :]
            tokens_B = tokens_B[keep]
        state.mask_BT = torch.cat([state.mask_BT, state.mask_BT.new_ones(len(tokens_B), 1)], 1)
        hidden = self.model.model(
            input_ids=tokens_B[:, None],
            attention_mask=state.mask_BT,
            position_ids=state.positions,
            past_key_values=state.cache,
            use_cache=True,
        ).last_hidden_state[:, -1]
        state.positions = state.positions + 1
        state.logits_BV = self.model.lm_head(hidden)

    def _completion(self, row: _Row) -> Completion:
        return Completion(
            token_ids=tuple(row.token_ids),
            text=self.processor.decode(row.token_ids),
            finish_reason="stop" if row.stopped else "length",
            logprobs=tuple(row.logprobs),
        )


class _Row:
    """A completion under construction."""

    def __init__(self) -> None:
        self.token_ids: list[int] = []
        self.logprobs: list[float] = []
        self.stopped = False


@dataclass(slots=True, kw_only=True)
class _State:
    """The rows still in the batch: cache, mask and next positions, all in the same order."""

    cache: DynamicCache
    mask_BT: Tensor
    positions: Tensor
    logits_BV: Tensor
    rows: Tensor
    """Which completion each row of the batch is."""


def stop_tokens(generation_config: Any) -> frozenset[int]:
    """Token ids that end a response, from the model's generation config."""
    eos = generation_config.eos_token_id
    if eos is None:
        raise ValueError(
            "the model's generation_config.json names no eos_token_id, so no response would ever "
            "end; add it to the model folder"
        )
    return frozenset(eos if isinstance(eos, (list, tuple)) else [eos])


def _uniforms(prompts: Sequence[Prompt], sampling: Sampling) -> Tensor:
    streams = [
        uniform_stream(sampling.seed, prompt.problem_id, index, sampling.max_new_tokens)
        for prompt in prompts
        for index in range(sampling.num_completions)
    ]
    return torch.from_numpy(np.stack(streams))


def _draw(logits_BV: Tensor, uniforms_B: Tensor, sampling: Sampling) -> Tensor:
    """One token per row by inverting the cumulative distribution; the largest when greedy."""
    if sampling.temperature == 0:
        return logits_BV.argmax(-1)
    probs_BV = torch.softmax(logits_BV.double(), -1)
    if sampling.top_p < 1:
        probs_BV = _nucleus(probs_BV, sampling.top_p)
    cumulative_BV = probs_BV.cumsum(-1)
    # Scaled to just below the true total, and strictly above: a token of probability zero is
    # never drawn.
    targets_B1 = uniforms_B[:, None] * cumulative_BV[:, -1:] * (1 - 1e-12)
    return torch.searchsorted(cumulative_BV, targets_B1, right=True)[:, 0]


def _nucleus(probs_BV: Tensor, top_p: float) -> Tensor:
    """Zero all but the smallest set of tokens whose mass reaches top_p (Holtzman et al. 2020)."""
    ordered, order = probs_BV.sort(-1, descending=True)
    outside = ordered.cumsum(-1) - ordered >= top_p
    return probs_BV.masked_fill(outside.scatter(-1, order, outside), 0.0)
