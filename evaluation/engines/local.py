"""The rollout backend of the training loop, asked for one fixed batch after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

from adora_mm.data import ImageError, check_images
from adora_mm.models import DTYPES, policy_path
from adora_mm.processor import Processor
from adora_mm.prompts import PromptError
from adora_mm.rollout import RolloutBackend, Sampling, build_backend
from adora_mm.types import Problem
from evaluation.engines.base import SamplePlan, Shard, batches, missing_samples
from evaluation.responses import Response, ResponseFile, sample_id


def build_processor(
    model: str,
    problems: Sequence[Problem],
    *,
    system_prompt: str,
    min_pixels: int | None,
    max_pixels: int | None,
    max_prompt_tokens: int,
) -> Processor:
    """The model's processor, once every problem was found to fit into a prompt of it.

    Raises ValueError, with one line, for the first image or prompt that cannot be used.
    """
    for _, reason in check_images(problems):
        raise ValueError(reason)
    processor = Processor(
        policy_path(model),
        system_prompt=system_prompt,
        min_pixels=min_pixels,
        max_pixels=max_pixels,
        max_prompt_tokens=max_prompt_tokens,
    )
    for problem in problems:
        try:
            processor.check_length(problem)
        except (PromptError, ImageError) as error:
            raise ValueError(f"{error} (here: --max-prompt-tokens, --max-pixels)") from error
    return processor


def build_local_backend(model: str, processor: Processor, dtype: str) -> RolloutBackend:
    """The training loop's `transformers` backend, on the GPU where there is one."""
    return build_backend(
        "transformers",
        str(policy_path(model)),
        processor,
        dtype=DTYPES[dtype],
        device="cuda" if torch.cuda.is_available() else "cpu",
    )


class LocalEngine:
    """Batches by position; a batch that was cut short is computed again and its rest is stored."""

    def __init__(self, backend: RolloutBackend, processor: Processor) -> None:
        self._backend, self._processor = backend, processor

    def answer(
        self, problems: Sequence[Problem], plan: SamplePlan, done: ResponseFile, shard: Shard
    ) -> Iterator[list[Response]]:
        sampling = Sampling(
            num_completions=plan.samples,
            max_new_tokens=plan.max_new_tokens,
            temperature=plan.temperature,
            top_p=plan.top_p,
            seed=plan.seed,
        )
        for batch in batches(problems, plan.batch, shard):
            missing = missing_samples(batch, plan.samples, done)
            if not missing:
                continue
            prompts = [self._processor.encode(problem) for problem in batch]
            completions = self._backend.generate(prompts, sampling)
            by_id = dict(zip((problem.id for problem in batch), completions, strict=True))
            yield [
                Response(
                    id=sample_id(problem.id, sample),
                    problem=problem.id,
                    sample=sample,
                    text=by_id[problem.id][sample].text,
                    finish_reason=by_id[problem.id][sample].finish_reason,
                    num_tokens=len(by_id[problem.id][sample].token_ids),
                )
                for problem, sample in missing
            ]

    def close(self) -> None:
        self._backend.close()
