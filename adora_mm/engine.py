"""The training engine: DeepSpeed around a ResponseScorer, on CPU and GPU alike.

Three things of DeepSpeed are undone or taken over here, so that an update does not depend on how a
batch is cut over micro-batches and ranks:
- it averages gradients over ranks: the loss, already divided by global counts, is multiplied by the
  number of ranks;
- its gradient-accumulation counter: the boundary is set by hand at the last micro-batch;
- its default of clipping at 1.0 when the config says nothing: the config always says something.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from adora_mm.batching import MicroBatch, Minibatch
from adora_mm.config import EngineConfig, LossConfig, PolicyConfig, TrainConfig
from adora_mm.config.loading import merge
from adora_mm.distributed import add_up, combine
from adora_mm.faults import SKIPPED
from adora_mm.gradients import discard_gradients
from adora_mm.kernels import apply_liger
from adora_mm.lora import adapter_weights, adapters_off, add_adapters, plain_weights
from adora_mm.losses import LossInputs, policy_loss
from adora_mm.microbatch_memory import MicrobatchMemory
from adora_mm.models import DTYPES, ResponseScorer, choose_batching, load_policy
from adora_mm.optimizer import build_optimizer, freeze_parts, set_learning_rates


def deepspeed_config(
    engine: EngineConfig, *, dtype: str, grad_clip: float, microbatch_rows: int
) -> dict[str, Any]:
    """DeepSpeed's JSON for a recipe; `engine.extra` is merged on top."""
    zero: dict[str, Any] = {"stage": engine.zero_stage}
    if engine.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu"}
    if engine.offload_params:
        zero["offload_param"] = {"device": "cpu"}
    config: dict[str, Any] = {
        "train_micro_batch_size_per_gpu": microbatch_rows,
        "gradient_accumulation_steps": 1,
        "gradient_clipping": grad_clip,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        # The optimizer is torch's AdamW: DeepSpeed's own CPU Adam needs a compiler at start.
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 10**9,
    }
    if dtype == "bfloat16":
        config["bf16"] = {"enabled": True}
    return merge(config, engine.extra)


class Engine:
    """One policy under training, and its frozen reference when the loss has a KL term.

    With adapters (`policy.lora`) the reference is the policy without them: no second model.

    Every rank calls every method in the same order: each of them may communicate.
    """

    def __init__(
        self,
        model_path: str | Path,
        *,
        policy: PolicyConfig,
        train: TrainConfig,
        engine: EngineConfig,
        loss: LossConfig,
        temperature: float,
        banned_token_ids: Sequence[int],
        max_response_tokens: int,
        group_size: int,
        total_updates: int,
        device: torch.device,
        seed: int = 0,
        say: Callable[[str], None] = print,
    ) -> None:
        import deepspeed

        self.loss_config = loss
        self.train_config = train
        self.lora = policy.lora
        self.zero_stage = engine.zero_stage
        self.device = device
        self.max_tokens = _most_response_tokens(train, group_size, max_response_tokens)
        self.total_updates = total_updates
        self.updates = 0
        self.memory = MicrobatchMemory(say)
        self.batching, self.batching_note = choose_batching(
            model_path, train.batching, policy.attention
        )
        self._scorer = partial(
            ResponseScorer,
            temperature=temperature,
            banned_token_ids=tuple(banned_token_ids),
            batching=self.batching,
        )
        model = self._load(model_path, policy)
        _prepare(model, policy, seed)
        scorer = self._scorer(model)
        config = deepspeed_config(
            engine,
            dtype=policy.dtype,
            grad_clip=train.grad_clip,
            microbatch_rows=train.groups_per_microbatch * group_size,
        )
        self.deepspeed: Any = deepspeed.initialize(
            model=scorer, optimizer=build_optimizer(model, train), config=config
        )[0]
        self.reference: Any = None
        if loss.kl_coef > 0:
            self.reference = (
                self._load_reference(model_path, policy, config)
                if self.lora is None
                else self.deepspeed
            )

    @property
    def model(self) -> Any:
        """The HF model inside; under ZeRO-3 its parameters are partitioned."""
        return self.deepspeed.module.model

    def add_logprobs(self, minibatch: Minibatch, *, on_policy: bool = False) -> Minibatch:
        """Fill in log-probs of the policy as it is now, and of the reference if there is one.

        `on_policy` leaves the policy's out: the next update is the first on these rollouts, so it
        computes the same numbers anyway and takes them from there.
        """
        self.deepspeed.eval()
        return replace(
            minibatch,
            micro_batches=tuple(
                self._with_logprobs(batch, on_policy) for batch in minibatch.micro_batches
            ),
        )

    def update(self, minibatch: Minibatch) -> dict[str, float]:
        """One optimizer step on this rank's part of a minibatch; metrics over all ranks.

        `optim/skipped_token_frac` is the share of tokens in groups that needed no scoring. A step
        whose loss or gradient is not finite is not taken, on any rank: its metrics are `SKIPPED`=1
        and the learning rates. Raises MemoryFault when a micro-batch does not fit.
        """
        scored = minibatch.scored_tokens
        counts = combine(
            {
                "scored_tokens": scored,
                "tokens": scored + minibatch.skipped_tokens,
                "sequences": minibatch.scored_sequences + minibatch.skipped_sequences,
            }
        )
        self.deepspeed.train()
        rates = set_learning_rates(
            self.deepspeed.optimizer,
            self.train_config,
            self.updates,
            total_updates=self.total_updates,
        )
        metrics = combine(
            self.memory.run(
                minibatch.micro_batches,
                partial(self._accumulate_gradients, counts=counts),
                undo=self._discard_gradients,
            )
        )
        grad_norm = math.nan
        if math.isfinite(metrics["loss/total"]):
            grad_norm = self._step()
        if not math.isfinite(grad_norm):
            self._discard_gradients()
            return {SKIPPED: 1.0, **rates}
        self.updates += 1
        skipped = 1 - counts["scored_tokens"] / max(counts["tokens"], 1)
        return metrics | {
            "optim/grad_norm": grad_norm,
            **rates,
            "optim/skipped_token_frac": skipped,
            SKIPPED: 0.0,
        }

    def _accumulate_gradients(
        self, micro_batches: Sequence[MicroBatch], *, counts: dict[str, float]
    ) -> dict[str, float]:
        """Forward and backward of every micro-batch; this rank's part of the metrics."""
        parts: list[dict[str, float]] = []
        last = len(micro_batches) - 1
        for index, batch in enumerate(micro_batches):
            self.deepspeed.set_gradient_accumulation_boundary(index == last)
            output = policy_loss(self._loss_inputs(batch, counts), self.loss_config)
            self.deepspeed.backward(output.loss * self.deepspeed.world_size)
            metrics = output.metrics | {"loss/total": output.loss}
            parts.append({name: value.detach().item() for name, value in metrics.items()})
        return add_up(parts)

    def _discard_gradients(self) -> None:
        discard_gradients(self.deepspeed, self.zero_stage)

    def named_weights(self) -> Iterator[tuple[str, Tensor]]:
        """Every parameter under its HF name, whole, one at a time; valid until the next.

        Under ZeRO-3 they are gathered in buckets (`lora.plain_weights`). Adapters are merged into
        copies of what they adapt; the policy itself is not changed.
        """
        return plain_weights(self.model, partitioned=self.zero_stage == 3)

    def adapter_weights(self) -> Iterator[tuple[str, Tensor]]:
        """The adapters under peft's names, gathered likewise; nothing without `policy.lora`."""
        return adapter_weights(self.model, partitioned=self.zero_stage == 3)

    def _with_logprobs(self, batch: MicroBatch, on_policy: bool) -> MicroBatch:
        old = ref = None
        with torch.no_grad():
            if not on_policy:
                old, _ = self._score(self.deepspeed, batch)
            if self.reference is not None:
                with nullcontext() if self.lora is None else adapters_off(self.model):
                    ref, _ = self._score(self.reference, batch)
        return replace(batch, old_logprobs_BT=old, ref_logprobs_BT=ref)

    def _score(self, module: Any, batch: MicroBatch) -> tuple[Tensor, Tensor]:
        scored: tuple[Tensor, Tensor] = module(
            prompts=batch.prompts.to(self.device),
            response_ids_BT=batch.response_ids_BT.to(self.device),
            response_mask_BT=batch.response_mask_BT.to(self.device),
            prompt_of_row=batch.prompt_of_row,
            max_tokens=self.max_tokens,
        )
        return scored

    def _loss_inputs(self, batch: MicroBatch, counts: dict[str, float]) -> LossInputs:
        logprobs_BT, entropy_BT = self._score(self.deepspeed, batch)
        old_logprobs_BT = batch.old_logprobs_BT
        return LossInputs(
            logprobs_BT=logprobs_BT,
            old_logprobs_BT=logprobs_BT.detach() if old_logprobs_BT is None else old_logprobs_BT,
            ref_logprobs_BT=batch.ref_logprobs_BT,
            rollout_logprobs_BT=batch.rollout_logprobs_BT.to(self.device),
            advantages_B=batch.advantages_B.to(self.device),
            mask_BT=batch.loss_mask_BT.to(self.device),
            entropy_BT=entropy_BT,
            num_tokens=counts["tokens"],
            num_sequences=counts["sequences"],
            scored_tokens=counts["scored_tokens"],
        )

    def _step(self) -> float:
        """Take the optimizer step unless the gradient is not finite; its norm before clipping.

        From stage 1 on, DeepSpeed leaves such a step out by itself and reports an infinite norm.
        """
        norm = None
        if self.zero_stage == 0:
            # The plain optimizer of stage 0 keeps no norm; its gradients are all here.
            grads = [p.grad for p in self.model.parameters() if p.grad is not None]
            norm = float(nn.utils.get_total_norm(grads))
            if not math.isfinite(norm):
                return norm
        self.deepspeed.step()
        return float(self.deepspeed.get_global_grad_norm()) if norm is None else norm

    def _load(self, model_path: str | Path, policy: PolicyConfig) -> nn.Module:
        model = load_policy(
            model_path,
            dtype=DTYPES[policy.dtype],
            attention=policy.attention,
            batching=self.batching,
        )
        if policy.liger:
            apply_liger(model)
        return model

    def _load_reference(
        self, model_path: str | Path, policy: PolicyConfig, config: dict[str, Any]
    ) -> Any:
        """A frozen copy of the starting policy; partitioned like the policy under ZeRO-3."""
        scorer = self._scorer(self._load(model_path, policy)).requires_grad_(False).eval()
        if self.zero_stage != 3:
            return scorer.to(self.device)
        import deepspeed

        reference = deepspeed.initialize(model=scorer, config=config)[0]
        reference.eval()
        return reference


def _most_response_tokens(train: TrainConfig, group_size: int, max_response_tokens: int) -> int:
    """Bound on the response tokens of any micro-batch of any rank."""
    most = train.groups_per_microbatch * group_size * max_response_tokens
    if train.max_tokens_per_microbatch is None:
        return most
    return min(most, max(train.max_tokens_per_microbatch, max_response_tokens))


def _prepare(model: Any, policy: PolicyConfig, seed: int) -> None:
    if policy.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    freeze_parts(model, policy)
    if policy.lora is not None:
        add_adapters(model, policy, seed=seed)
