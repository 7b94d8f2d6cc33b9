"""Gradient noise at a policy: what each variant's weights do to the same groups' gradients.

For N groups sampled from one policy, g_s is the gradient of group s's GRPO objective at ratio 1
(the mean over its rollouts of A_i times the mean over tokens of grad log p). A variant's update is
the mean of w_s g_s, so all of them follow from the N x N matrix of products <g_s, g_t>:

    signal  |G|^2, unbiased:  (N |mean|^2 - mean |w g|^2) / (N - 1)
    noise   trace of the covariance of w_s g_s over groups
    scale   noise / signal, in prompts: the batch at which noise and signal are equally large
            (the simple noise scale of McCandlish et al., arXiv 1812.06162)
    cosine  between the variant's mean gradient and plain GRPO's on the same groups
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from variants import VARIANTS

from adora_mm.batching import TrainGroup, collate_groups
from adora_mm.collect import collect_groups
from adora_mm.config import RunConfig, load_config
from adora_mm.data import load_problems
from adora_mm.models import ResponseScorer, load_policy
from adora_mm.processor import Processor
from adora_mm.rollout import Sampling, build_backend
from adora_mm.step import advantages_of, gather_facts, train_groups
from adora_mm.verify import CheckerPool

WEIGHTED = ("grpo", "adora_attenuate", "adora_amplify", "matched_random", "scaled_lr")
"""Variants that differ by weights alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseRow:
    """One variant's update at one policy."""

    variant: str
    groups: int
    with_signal: int
    """Groups with a gradient."""
    weight_mean: float
    """Over the groups with a gradient."""
    signal: float
    noise: float
    scale: float
    """Infinite when the batch is too small to see a signal."""
    cosine: float


def measure_noise(policy: Path, recipe: Path, *, problems: int, seed: int) -> list[NoiseRow]:
    """Sample `problems` groups from a policy and compare the variants on them."""
    configs = {name: load_config(recipe, VARIANTS[name]) for name in WEIGHTED}
    groups, weights = sample_groups(policy, configs, problems=problems, seed=seed)
    products_SS = gradient_products(policy, configs["grpo"], groups)
    return [noise_row(name, products_SS, weights[name], weights["grpo"]) for name in WEIGHTED]


def sample_groups(
    policy: Path, configs: dict[str, RunConfig], *, problems: int, seed: int
) -> tuple[list[TrainGroup], dict[str, Tensor]]:
    """Groups with plain GRPO advantages, and every variant's weights for them."""
    config = configs["grpo"]
    processor = Processor(policy, max_prompt_tokens=config.data.max_prompt_tokens)
    backend = build_backend("transformers", str(policy), processor)
    sampling = Sampling(
        num_completions=config.rollout.group_size,
        max_new_tokens=config.rollout.max_new_tokens,
        temperature=config.rollout.temperature,
        seed=f"noise/{seed}",
    )
    train = config.data.train
    every = load_problems(train if isinstance(train, str) else train[0])
    chosen = random.Random(seed).sample(every, problems)
    with CheckerPool(1) as pool:
        collected = collect_groups(backend, processor, pool, chosen, sampling, config.reward)
    backend.close()
    share = range(problems)
    facts_PG = gather_facts(collected.groups, share, config.reward)
    results = {
        name: advantages_of(facts_PG, own.advantage, step=1, seed=seed)
        for name, own in configs.items()
    }
    groups = train_groups(collected, share, results["grpo"], config.loss)
    return groups, {name: result.weights_P.double() for name, result in results.items()}


def gradient_products(policy: Path, config: RunConfig, groups: Sequence[TrainGroup]) -> Tensor:
    """<g_s, g_t> of all pairs of groups, float64 [S, S]."""
    processor = Processor(policy)
    scorer = ResponseScorer(
        load_policy(policy, dtype=torch.float32),
        temperature=config.rollout.temperature,
        banned_token_ids=processor.banned_token_ids,
    )
    parameters = list(scorer.parameters())
    gradients_SN = torch.zeros(len(groups), sum(p.numel() for p in parameters))
    for index, group in enumerate(groups):
        if not group.has_signal:
            continue
        scorer.zero_grad()
        group_objective(scorer, group, processor.pad_token_id).backward()
        gradients_SN[index] = torch.cat(
            [torch.zeros(p.numel()) if p.grad is None else p.grad.flatten() for p in parameters]
        )
    return (gradients_SN @ gradients_SN.T).double()


def group_objective(scorer: ResponseScorer, group: TrainGroup, pad: int) -> Tensor:
    """Mean over rollouts of A_i times the mean log-prob of the response's tokens."""
    batch = collate_groups([group], pad)
    logprobs_BT, _ = scorer(
        prompts=batch.prompts,
        response_ids_BT=batch.response_ids_BT,
        response_mask_BT=batch.response_mask_BT,
        prompt_of_row=batch.prompt_of_row,
        max_tokens=batch.response_ids_BT.numel(),
    )
    tokens_B = batch.response_mask_BT.sum(dim=1)
    return (batch.advantages_B * logprobs_BT.sum(dim=1) / tokens_B).mean()


def noise_row(name: str, products_SS: Tensor, weights_S: Tensor, plain_S: Tensor) -> NoiseRow:
    """Signal, noise and direction of one variant's update (formulas at the top of the file)."""
    count = len(weights_S)
    signal_S = products_SS.diagonal() > 0
    mean_square = float((weights_S.square() * products_SS.diagonal()).mean())
    square_of_mean = float(weights_S @ products_SS @ weights_S) / count**2
    signal = (count * square_of_mean - mean_square) / (count - 1)
    noise = (mean_square - square_of_mean) * count / (count - 1)
    plain = float(plain_S @ products_SS @ plain_S) / count**2
    across = float(weights_S @ products_SS @ plain_S) / count**2
    return NoiseRow(
        variant=name,
        groups=count,
        with_signal=int(signal_S.sum()),
        weight_mean=float(weights_S[signal_S].mean()),
        signal=signal,
        noise=noise,
        scale=noise / signal if signal > 0 else float("inf"),
        cosine=across / (plain * square_of_mean) ** 0.5,
    )
