"""vLLM offline: the engine for real models on GPUs, imported only when it is asked for.

The prompt's tokens are ours, so that every engine sees the same prompt, and pictures are resized
here, because vLLM's resizing differs by rounding. vLLM expands the images itself; a prompt that
comes out longer or shorter than ours means other pixel limits and stops the run. Each sample is a
request of its own with its own seed, and ends at the tokens of the model's generation config.
"""

from __future__ import annotations

import importlib.metadata
import os
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from PIL import Image

from adora_mm.data import open_image
from adora_mm.processor import Processor, Prompt
from adora_mm.types import Problem
from evaluation.engines.base import SamplePlan, Shard, batches, missing_samples, request_seed
from evaluation.responses import Response, ResponseFile, sample_id

BATCHES_AT_ONCE = 16
"""vLLM schedules by itself: a few batches go in together, and are stored together."""
ABSENT = "--backend vllm needs the vllm package: pip install -r requirements/gpu.txt"
QUIET = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # one process, which ends with ours
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
}
"""Environment of the engine, where the user says nothing else."""


class VllmEngine:
    """One vLLM engine in this process."""

    def __init__(
        self,
        model: str,
        processor: Processor,
        *,
        dtype: str,
        max_new_tokens: int,
        max_prompt_tokens: int,
        min_pixels: int | None,
        max_pixels: int | None,
        max_images: int,
    ) -> None:
        for name, value in QUIET.items():
            os.environ.setdefault(name, value)
        try:
            import vllm
        except ImportError as error:
            raise ValueError(ABSENT) from error
        limits = {"min_pixels": min_pixels, "max_pixels": max_pixels}
        given = {name: value for name, value in limits.items() if value is not None}
        options: dict[str, Any] = {"mm_processor_kwargs": given} if given else {}
        if processor.image_processor is not None:
            options["limit_mm_per_prompt"] = {"image": max_images, "video": 0}
        self._vllm: Any = vllm
        self._processor = processor
        self._llm: Any = vllm.LLM(
            model=model,
            dtype=dtype,
            max_model_len=min(max_prompt_tokens + max_new_tokens, window_tokens(model)),
            seed=0,
            enforce_eager=not torch.cuda.is_available(),  # compiling for a CPU takes minutes
            **options,
        )

    def answer(
        self, problems: Sequence[Problem], plan: SamplePlan, done: ResponseFile, shard: Shard
    ) -> Iterator[list[Response]]:
        waiting: list[tuple[Problem, int]] = []
        for number, batch in enumerate(batches(problems, plan.batch, shard), start=1):
            waiting += missing_samples(batch, plan.samples, done)
            if waiting and number % BATCHES_AT_ONCE == 0:
                yield self._generate(waiting, plan)
                waiting = []
        if waiting:
            yield self._generate(waiting, plan)

    def close(self) -> None:
        self._llm = None

    def _generate(self, wanted: Sequence[tuple[Problem, int]], plan: SamplePlan) -> list[Response]:
        prompts, lengths = self._prompts(wanted)
        sampling = [
            self._vllm.SamplingParams(
                n=1,
                temperature=plan.temperature,
                top_p=plan.top_p,
                max_tokens=plan.max_new_tokens,
                seed=request_seed(plan.seed, problem.id, sample),
                logit_bias=dict.fromkeys(self._processor.banned_token_ids, -100.0),
            )
            for problem, sample in wanted
        ]
        outputs = self._llm.generate(prompts, sampling, use_tqdm=False)
        rows = []
        for (problem, sample), output, length in zip(wanted, outputs, lengths, strict=True):
            if len(output.prompt_token_ids) != length:
                raise ValueError(
                    f"problem {problem.id}: vLLM made {len(output.prompt_token_ids)} prompt tokens "
                    f"where the processor makes {length}; give --min-pixels and --max-pixels"
                )
            completion = output.outputs[0]
            known = completion.finish_reason in ("stop", "length")
            rows.append(
                Response(
                    id=sample_id(problem.id, sample),
                    problem=problem.id,
                    sample=sample,
                    text=self._processor.decode(completion.token_ids),
                    finish_reason=completion.finish_reason if known else "error",
                    num_tokens=len(completion.token_ids),
                    error="" if known else f"finish reason {completion.finish_reason}",
                )
            )
        return rows

    def _prompts(
        self, wanted: Sequence[tuple[Problem, int]]
    ) -> tuple[list[dict[str, Any]], list[int]]:
        prompts, lengths = [], []
        for problem, _ in wanted:
            images = [
                open_image(
                    path,
                    max_megapixels=self._processor.max_image_megapixels,
                    problem_id=problem.id,
                )
                for path in problem.images
            ]
            encoded = self._processor.encode_images(problem, images)
            prompt: dict[str, Any] = {"prompt_token_ids": list(encoded.unexpanded_ids)}
            if encoded.image_grid_thw is not None:
                prompt["multi_modal_data"] = {"image": self._resized(images, encoded)}
            prompts.append(prompt)
            lengths.append(len(encoded.token_ids))
        return prompts, lengths

    def _resized(self, images: Sequence[Image.Image], encoded: Prompt) -> list[Image.Image]:
        """The pictures in the size that the processor gave them."""
        assert encoded.image_grid_thw is not None
        settings: Any = self._processor.image_processor
        sizes = [
            (columns * settings.patch_size, rows * settings.patch_size)
            for _, rows, columns in encoded.image_grid_thw.tolist()
        ]
        return [
            image.resize(size, settings.resample) for image, size in zip(images, sizes, strict=True)
        ]


def window_tokens(model: str) -> int:
    """The most tokens that the model takes; vLLM refuses to start with room for more."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(model, trust_remote_code=False)
    return int(config.get_text_config().max_position_embeddings)


def vllm_version() -> str:
    """For the manifest, without the seconds of an import. Raises ValueError without the package."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    raise ValueError(ABSENT)
