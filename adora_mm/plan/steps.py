"""What a run will do, counted: steps, rollouts, updates, tokens."""

from __future__ import annotations

import math
from dataclasses import dataclass

from adora_mm.config import RunConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Counts over the whole run and all ranks."""

    num_problems: int
    """0: not known."""
    total_steps: int
    updates_per_step: int
    rollouts: int
    max_response_tokens: int
    """Upper bound: every response at its limit."""

    @property
    def total_updates(self) -> int:
        return self.total_steps * self.updates_per_step


def make_plan(config: RunConfig, num_problems: int) -> Plan:
    """The plan of a recipe for a training set of `num_problems`."""
    prompts, rollout, train = config.rollout.prompts_per_step, config.rollout, config.train
    steps = train.total_steps
    if steps is None:
        assert train.episodes is not None, "checked by TrainConfig"
        steps = max(1, math.ceil(train.episodes * num_problems / prompts))
    rollouts = steps * prompts * rollout.group_size
    return Plan(
        num_problems=num_problems,
        total_steps=steps,
        updates_per_step=prompts // train.prompts_per_minibatch,
        rollouts=rollouts,
        max_response_tokens=rollouts * rollout.max_new_tokens,
    )


def describe(
    plan: Plan,
    config: RunConfig,
    num_parameters: int | None = None,
    num_trained: int | None = None,
) -> str:
    """Two lines for people; `num_trained` of the parameters are trained, None: all of them."""
    rollout = config.rollout
    lines = [
        f"{plan.total_steps} steps x {rollout.prompts_per_step} prompts x {rollout.group_size} "
        f"rollouts = {plan.rollouts:,} rollouts, at most {plan.max_response_tokens:,} tokens; "
        f"{plan.total_updates:,} optimizer steps"
    ]
    if plan.num_problems:
        epochs = plan.total_steps * rollout.prompts_per_step / plan.num_problems
        lines[0] += f"; {epochs:.1f} passes over {plan.num_problems:,} problems"
    if num_parameters is not None:
        width = 2 if config.policy.dtype == "bfloat16" else 4
        trained = num_parameters if num_trained is None else num_trained
        # Weights, gradients, and Adam's two moments (and the master copy when training in bf16).
        total = num_parameters * width + trained * (width + 8 + (4 if width == 2 else 0))
        loads_reference = config.loss.kl_coef > 0 and config.policy.lora is None
        copies = "policy, rollout copy" + (", reference" if loads_reference else "")
        part = "" if trained == num_parameters else f", {trained:,} of them trained"
        lines.append(
            f"{num_parameters:,} parameters{part} ({copies}); weights, gradients and optimizer "
            f"about {total / 1e9:.2f} GB before ZeRO-{config.engine.zero_stage} shares them out"
        )
    return "\n".join(lines)
