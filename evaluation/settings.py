"""What `adora eval generate` is asked to do: checked once, and written as words for workers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from evaluation.benchmarks import PROMPTS, get_benchmark
from evaluation.engines import ENGINES, SamplePlan


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateSettings:
    """What to ask, whom, and how."""

    benchmark: str
    model: str
    out: Path
    data: str | None = None
    """Data folder or the source's own files; None looks in `data/BENCHMARK`."""
    limit: int | None = None
    backend: str = "transformers"
    prompt: str = ""
    """The user's text with `{question}`, or a name of `PROMPTS`; empty takes the benchmark's."""
    system_prompt: str = ""
    samples: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 2048
    seed: int = 0
    batch: int = 16
    dtype: str = "float32"
    threads: int = 1
    """CPU threads of one local process; the sums of a logit depend on it."""
    min_pixels: int | None = None
    max_pixels: int | None = None
    max_prompt_tokens: int = 8192
    base_url: str = ""
    concurrency: int = 16
    timeout_s: float = 600.0
    retries: int = 6
    pause_s: float = 1.0
    key_variable: str = "OPENAI_API_KEY"
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.backend not in ENGINES:
            raise ValueError(f"--backend {self.backend!r}: choose from {', '.join(ENGINES)}")
        if self.backend == "openai" and not self.base_url:
            raise ValueError("--backend openai needs --base-url, for instance http://host:8000/v1")
        for name in ("samples", "batch", "max_new_tokens", "threads", "concurrency", "limit"):
            value = vars_of(self)[name]
            if value is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} must be at least 1, not {value}")
        if self.temperature < 0 or not 0 < self.top_p <= 1:
            raise ValueError("--temperature must be 0 or more, --top-p over 0 and at most 1")
        if self.timeout_s <= 0 or self.pause_s < 0 or self.retries < 0:
            raise ValueError("--timeout must be over 0, --pause and --retries 0 or more")
        if self.samples > 1 and self.temperature == 0:
            raise ValueError("--samples over 1 needs --temperature over 0: greedy ones are equal")
        if self.prompt and self.prompt not in PROMPTS and "{question}" not in self.prompt:
            raise ValueError(f"--prompt must hold {{question}}, or be one of {', '.join(PROMPTS)}")


def plan_of(settings: GenerateSettings) -> SamplePlan:
    """The part of the settings that engines look at."""
    return SamplePlan(
        samples=settings.samples,
        temperature=settings.temperature,
        top_p=settings.top_p,
        max_new_tokens=settings.max_new_tokens,
        seed=settings.seed,
        batch=settings.batch,
    )


def prompt_of(settings: GenerateSettings) -> str:
    """The user's text with `{question}` in it."""
    chosen = settings.prompt or get_benchmark(settings.benchmark).prompt
    return PROMPTS.get(chosen, chosen)


def command_words(settings: GenerateSettings) -> list[str]:
    """The words of `adora eval generate` that mean these settings."""
    renamed = {"timeout_s": "timeout", "pause_s": "pause"}
    words = [settings.benchmark]
    for name, value in vars_of(settings).items():
        if name == "benchmark" or value is None:
            continue
        text = json.dumps(value) if isinstance(value, Mapping) else str(value)
        words.append(f"--{renamed.get(name, name).replace('_', '-')}={text}")
    return words


def vars_of(settings: GenerateSettings) -> dict[str, Any]:
    """The settings by name."""
    return {each.name: getattr(settings, each.name) for each in fields(settings)}
