"""The first stage: a benchmark's problems to `responses.jsonl`.

The manifest is written (or compared) first; then every sample that has no answer is generated.
Running the same command again goes on where it stopped, after a kill too, and gives the responses
of an uninterrupted run: local engines work in batches cut by position, and random numbers belong to
(seed, problem, sample).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from adora_mm.data import check_images
from adora_mm.prompts import question_text
from adora_mm.types import Problem
from evaluation.benchmarks import get_benchmark
from evaluation.engines import Engine, Shard
from evaluation.manifest import model_fingerprint, open_manifest, text_sha256
from evaluation.problems import ProblemSet, load_benchmark
from evaluation.responses import ResponseFile
from evaluation.settings import GenerateSettings, command_words, plan_of, prompt_of

SHOWN_ERRORS = 5
_PACKAGE_ROOT = str(Path(__file__).resolve().parents[1])


def prepare(settings: GenerateSettings) -> tuple[ProblemSet, str]:
    """Load the problems and write or compare the manifest; returns them and the run's identity."""
    benchmark = get_benchmark(settings.benchmark)
    if settings.backend != "openai":
        check_model_folder(settings.model)
    loaded = load_benchmark(benchmark, settings.data, settings.out, limit=settings.limit)
    return loaded, open_manifest(settings.out, manifest_of(settings, loaded))


def generate(
    settings: GenerateSettings,
    *,
    shard: Shard | None = None,
    log: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
) -> int:
    """Answer what is not answered yet; returns how many samples ended as errors this time.

    Raises ValueError, with one line, for a model, data or endpoint that cannot be used.
    """
    loaded, run = prepare(settings)
    prompt = prompt_of(settings)
    shown = [present(problem, prompt) for problem in loaded.problems]
    done = ResponseFile(settings.out / "responses.jsonl", run)
    total = len(shown) * settings.samples
    if len(done.answered) >= total:
        log(f"{settings.out}: all {total} samples are answered")
        return 0
    log(f"{settings.out}: {len(done.answered)} of {total} samples are answered")
    engine = build_engine(settings, shown)
    errors = 0
    try:
        for rows in engine.answer(shown, plan_of(settings), done, shard or Shard()):
            done.append(rows)
            for row in rows:
                if row.finish_reason == "error":
                    errors += 1
                    if errors <= SHOWN_ERRORS:
                        log(f"{row.id}: {row.error}")
            log(f"{settings.out}: {len(done.answered)} of {total}")
    finally:
        engine.close()
    if errors:
        log(f"{settings.out}: {errors} samples ended as errors; the same command tries them again")
    return errors


def generate_in_workers(settings: GenerateSettings, workers: int) -> None:
    """Run the same command in `workers` processes, each with its own share of the batches.

    Each gets a GPU of its own where there are some. Raises ValueError when one fails; what was
    answered is stored.
    """
    prepare(settings)
    devices = visible_devices()
    processes = []
    for index in range(workers):
        command = [sys.executable, "-m", "evaluation", "generate", *command_words(settings)]
        environment = dict(os.environ)
        environment["PYTHONPATH"] = os.pathsep.join(
            filter(None, [_PACKAGE_ROOT, environment.get("PYTHONPATH", "")])
        )
        if devices:
            environment["CUDA_VISIBLE_DEVICES"] = devices[index % len(devices)]
        processes.append(
            subprocess.Popen([*command, "--shard", f"{index}/{workers}"], env=environment)
        )
    try:
        codes = [process.wait() for process in processes]
    except BaseException:
        for process in processes:
            process.kill()
        raise
    if any(codes):
        raise ValueError(
            f"{settings.out}: {sum(map(bool, codes))} of {workers} workers failed (see above); "
            "the same command goes on from there"
        )


def visible_devices() -> list[str]:
    """The GPUs that workers may have, as `CUDA_VISIBLE_DEVICES` names them."""
    import torch

    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [name for name in listed.split(",") if name]
    return [str(number) for number in range(torch.cuda.device_count())]


def present(problem: Problem, prompt: str) -> Problem:
    """The problem as the model sees it: question and options inside the prompt.

    A problem's own messages are its whole prompt and stay as they are.
    """
    if problem.messages:
        return problem
    return replace(
        problem, question=prompt.replace("{question}", question_text(problem)), choices=()
    )


def manifest_of(settings: GenerateSettings, loaded: ProblemSet) -> dict[str, Any]:
    """Everything that decides the responses."""
    from adora_mm.run_folder import git_revision, versions

    prompt, found = prompt_of(settings), versions()
    if settings.backend == "vllm":
        from evaluation.engines.vllm import vllm_version

        found["vllm"] = vllm_version()
    local = settings.backend != "openai"
    model = (
        model_fingerprint(_model_path(settings.model))
        if local
        else {"path": settings.base_url, "name": settings.model, "sha256": None}
    )
    return {
        "benchmark": settings.benchmark,
        "limit": settings.limit,
        "data": {**loaded.facts, "folder": settings.data},
        "model": {**model, "dtype": settings.dtype if local else None},
        "backend": {
            "name": settings.backend,
            "threads": settings.threads if settings.backend == "transformers" else None,
            "extra": dict(settings.extra),
        },
        "prompt": {
            "user": prompt,
            "system": settings.system_prompt,
            "sha256": text_sha256(f"{settings.system_prompt}\n{prompt}"),
        },
        "sampling": {
            "samples": settings.samples,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "max_new_tokens": settings.max_new_tokens,
            "seed": settings.seed,
            "batch": settings.batch,
        },
        "images": {
            "min_pixels": settings.min_pixels,
            "max_pixels": settings.max_pixels,
            "max_prompt_tokens": settings.max_prompt_tokens if local else None,
        },
        "versions": found,
        "git_revision": git_revision(),
    }


def build_engine(settings: GenerateSettings, shown: Sequence[Problem]) -> Engine:
    """The engine that the settings name, after the problems were checked for it."""
    if settings.backend == "openai":
        for _, reason in check_images(shown):
            raise ValueError(reason)
        return _endpoint(settings)
    import torch

    from evaluation.engines.local import LocalEngine, build_local_backend, build_processor

    processor = build_processor(
        settings.model,
        shown,
        system_prompt=settings.system_prompt,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        max_prompt_tokens=settings.max_prompt_tokens,
    )
    if settings.backend == "vllm":
        from evaluation.engines.vllm import VllmEngine

        return VllmEngine(
            str(_model_path(settings.model)),
            processor,
            dtype=settings.dtype,
            max_new_tokens=settings.max_new_tokens,
            max_prompt_tokens=settings.max_prompt_tokens,
            min_pixels=settings.min_pixels,
            max_pixels=settings.max_pixels,
            max_images=max(len(problem.images) for problem in shown),
        )
    torch.set_num_threads(settings.threads)
    return LocalEngine(build_local_backend(settings.model, processor, settings.dtype), processor)


def _endpoint(settings: GenerateSettings) -> Engine:
    from evaluation.engines.client import EndpointConfig
    from evaluation.engines.endpoint import EndpointEngine, RequestStyle

    return EndpointEngine(
        EndpointConfig(
            base_url=settings.base_url,
            model=settings.model,
            timeout_s=settings.timeout_s,
            retries=settings.retries,
            pause_s=settings.pause_s,
            key_variable=settings.key_variable,
            failures_in_a_row=max(20, 3 * settings.concurrency),
        ),
        RequestStyle(
            system_prompt=settings.system_prompt,
            min_pixels=settings.min_pixels,
            max_pixels=settings.max_pixels,
            extra=settings.extra,
        ),
        concurrency=settings.concurrency,
    )


def _model_path(model: str) -> Path | str:
    from adora_mm.models import policy_path

    return policy_path(model)


def check_model_folder(model: str) -> None:
    """Raise ValueError for a local folder that lacks what a prompt needs; hub names pass."""
    folder = Path(_model_path(model))
    if not folder.is_dir():
        return
    try:
        config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError) as error:
        raise ValueError(f"{folder}: not a model folder (no readable config.json)") from error
    if not any((folder / name).is_file() for name in ("tokenizer.json", "tokenizer_config.json")):
        raise ValueError(f"{folder}: has no tokenizer; copy the base model's tokenizer files there")
    processors = ("preprocessor_config.json", "processor_config.json")
    if "vision_config" in config and not any((folder / name).is_file() for name in processors):
        raise ValueError(
            f"{folder}: has no image processor; copy the base's preprocessor_config.json to it"
        )
