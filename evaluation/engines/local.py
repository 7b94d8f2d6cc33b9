"""The rollout backend of the training loop, asked for one fixed batch after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from adora_mm.processor import Processor
from adora_mm.rollout import RolloutBackend, Sampling
from adora_mm.types import Problem
from evaluation.engines.base import SamplePlan, Shard, batches, missing_samples
from evaluation.responses import Response, ResponseFile, sample_id


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
