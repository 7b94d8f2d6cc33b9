"""One evaluation of one model on one data folder: responses, verdicts and results as files.

    responses.jsonl   one row per problem: prompt facts, completions, verdicts
    results.json      accuracy with interval, rates, and everything needed to repeat the run

It is the evaluation during training (`adora_mm.validation`) on another set: its prompt, its
sampling and its checker profile, so that the number can stand beside those of `evals.jsonl`.
Benchmarks have prompts, splits and rules of their own and run in stages (`evaluation.generate`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from adora_mm.config import EvaluationConfig, RewardConfig
from adora_mm.data import fingerprint, load_problems
from adora_mm.files import write_atomically
from adora_mm.run_folder import git_revision, versions
from adora_mm.samples import sample_row
from adora_mm.types import Problem
from adora_mm.validation import EvalResult, evaluate
from adora_mm.verify import CheckerPool
from evaluation.engines.local import build_local_backend, build_processor


@dataclass(frozen=True, slots=True, kw_only=True)
class EvalRun:
    """What to measure."""

    model: str
    """HF folder, hub name, a run's checkpoint `.../policy`, or `embedded`."""
    data: str
    """Data folder, `path` or `path@split`."""
    out: Path
    samples: int = 0
    """Sampled completions per problem; 0 evaluates greedily."""
    dtype: str = "float32"
    temperature: float = 1.0
    max_new_tokens: int = 96
    max_prompt_tokens: int = 4096
    limit: int | None = None
    system_prompt: str = ""
    min_pixels: int | None = None
    max_pixels: int | None = None
    seed: int = 0
    checker_workers: int = 2


def run(settings: EvalRun) -> EvalResult:
    """Evaluate and write both files; problems that cannot be shown to the model are refused.

    Raises ValueError, with one line, for unusable data or an output folder that is already full.
    """
    if (settings.out / "results.json").exists():
        raise ValueError(f"{settings.out} already holds results; choose another --out")
    problems = load_problems(settings.data, limit=settings.limit)
    processor = build_processor(
        settings.model,
        problems,
        system_prompt=settings.system_prompt,
        min_pixels=settings.min_pixels,
        max_pixels=settings.max_pixels,
        max_prompt_tokens=settings.max_prompt_tokens,
    )
    config = EvaluationConfig(
        greedy=settings.samples == 0,
        samples=settings.samples,
        temperature=settings.temperature,
    )
    backend = build_local_backend(settings.model, processor, settings.dtype)
    try:
        with CheckerPool(settings.checker_workers) as pool:
            ((result, groups),) = evaluate(
                backend,
                processor,
                pool,
                problems,
                config,
                name=settings.data,
                step=0,
                max_new_tokens=settings.max_new_tokens,
                seed=settings.seed,
                reward=RewardConfig(),
            )
    finally:
        backend.close()
    settings.out.mkdir(parents=True, exist_ok=True)
    rows = [json.dumps(sample_row(group, step=0), ensure_ascii=False) for group in groups]
    write_atomically(settings.out / "responses.jsonl", "\n".join(rows) + "\n")
    text = json.dumps(_results(settings, problems, result), indent=1)
    write_atomically(settings.out / "results.json", text + "\n")
    return result


def _results(settings: EvalRun, problems: Sequence[Problem], result: EvalResult) -> dict[str, Any]:
    return {
        "result": asdict(result),
        "settings": {**asdict(settings), "out": settings.out.name},
        "data_fingerprint": fingerprint(problems),
        "versions": versions(),
        "git_revision": git_revision(),
    }
