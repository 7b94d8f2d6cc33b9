"""How difficult problems are for a policy: it answers each of them n times, and the checker counts.

Rows are appended to `FILE.partial` and synced after every batch. An interrupted measurement goes on
where it stopped, with the completions that it would have had, because the random numbers of each
depend on (seed, problem, index) alone. The finished file is written whole and last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from adora_mm.collect import collect_groups
from adora_mm.config import RunConfig
from adora_mm.data import fingerprint
from adora_mm.files import write_atomically
from adora_mm.models import DTYPES, policy_path
from adora_mm.processor import Processor
from adora_mm.rewards import succeeded
from adora_mm.rollout import RolloutBackend, Sampling, build_backend
from adora_mm.training_data import find_unusable
from adora_mm.types import Problem, RolloutGroup
from adora_mm.verify import CheckerPool

Rows = dict[str, dict[str, Any]]
"""Problem's id -> its row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difficulty:
    """What was measured."""

    rows: Sequence[dict[str, Any]]
    resumed: int
    """Rows that an earlier, interrupted run had left."""


def measure(
    problems: Sequence[Problem],
    config: RunConfig,
    out: Path,
    *,
    progress: Callable[[Iterable[Sequence[Problem]], int], Iterable[Sequence[Problem]]],
    backend: RolloutBackend | None = None,
) -> Difficulty:
    """Pass rates of a recipe's policy under its rollout settings (`group_size` answers each).

    `backend` replaces the engine that the recipe names. Raises ValueError for a finished file of
    other settings, and for problems that cannot be shown to the policy.
    """
    processor = Processor(
        policy_path(config.policy.path),
        system_prompt=config.data.system_prompt,
        min_pixels=config.data.min_pixels,
        max_pixels=config.data.max_pixels,
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_image_megapixels=config.data.max_image_megapixels,
    )
    for reason in find_unusable(problems, processor, config.data).values():
        raise ValueError(reason)
    settings = _settings(problems, config)
    partial = out.with_name(f"{out.name}.partial")
    done = _finished(out, settings) or _begun(partial, settings)
    resumed = len(done)
    waiting = [problem for problem in problems if problem.id not in done]
    if waiting:
        engine = backend or _build(config, processor)
        try:
            _answer(waiting, config, processor, engine, partial, done, progress)
        finally:
            engine.close()
    rows = [done[problem.id] for problem in problems]
    lines = [{"settings": settings}, *rows]
    write_atomically(out, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
    partial.unlink(missing_ok=True)
    return Difficulty(rows=rows, resumed=resumed)


def _answer(
    waiting: Sequence[Problem],
    config: RunConfig,
    processor: Processor,
    engine: RolloutBackend,
    partial: Path,
    done: Rows,
    progress: Callable[[Iterable[Sequence[Problem]], int], Iterable[Sequence[Problem]]],
) -> None:
    sampling = Sampling(
        num_completions=config.rollout.group_size,
        max_new_tokens=config.rollout.max_new_tokens,
        temperature=config.rollout.temperature,
        top_p=config.rollout.top_p,
        seed=f"difficulty/{config.seed}",
    )
    size = config.rollout.prompts_per_step
    batches = [waiting[start : start + size] for start in range(0, len(waiting), size)]
    checker = config.checker
    with (
        CheckerPool(checker.workers, checker.timeout_s, checker.memory_mb) as pool,
        partial.open("ab") as file,
    ):
        for batch in progress(batches, len(batches)):
            found = collect_groups(engine, processor, pool, batch, sampling, config.reward)
            rows = [_row(group, config) for group in found.groups]
            file.write("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode())
            file.flush()
            os.fsync(file.fileno())
            done |= {row["id"]: row for row in rows}


def _row(group: RolloutGroup, config: RunConfig) -> dict[str, Any]:
    rollouts = group.rollouts
    right = sum(succeeded(r.verdict, r.completion, config.reward) for r in rollouts)
    return {
        "id": group.problem.id,
        "n": len(rollouts),
        "correct": right,
        "pass_rate": right / len(rollouts),
        "truncated": sum(r.completion.finish_reason != "stop" for r in rollouts),
        "unparsed": sum(r.verdict.outcome == "unparsed" for r in rollouts),
        "mean_tokens": sum(len(r.completion.token_ids) for r in rollouts) / len(rollouts),
    }


def _settings(problems: Sequence[Problem], config: RunConfig) -> dict[str, Any]:
    """Everything that the rates depend on; two files with equal settings hold equal rates."""
    data, rollout = config.data, config.rollout
    return {
        "policy": config.policy.path,
        "dtype": config.policy.dtype,
        "system_prompt": data.system_prompt,
        "min_pixels": data.min_pixels,
        "max_pixels": data.max_pixels,
        "backend": rollout.backend,
        "samples": rollout.group_size,
        "max_new_tokens": rollout.max_new_tokens,
        "temperature": rollout.temperature,
        "top_p": rollout.top_p,
        "truncated": config.reward.truncated,
        "seed": config.seed,
        "data_fingerprint": fingerprint(problems),
    }


def _finished(out: Path, settings: dict[str, Any]) -> Rows:
    if not out.exists():
        return {}
    first, *rows = out.read_bytes().splitlines() or [b"{}"]
    if json.loads(first).get("settings") != settings:
        raise ValueError(f"{out}: holds pass rates of other settings or data; choose another --out")
    return {row["id"]: row for row in map(json.loads, rows)}


def _begun(partial: Path, settings: dict[str, Any]) -> Rows:
    """The whole rows of an interrupted run; the file is cut behind them, or begun."""
    header = (json.dumps({"settings": settings}, ensure_ascii=False) + "\n").encode()
    content = partial.read_bytes() if partial.exists() else b""
    if b"\n" not in content:
        partial.write_bytes(header)
        return {}
    if not content.startswith(header):
        raise ValueError(
            f"{partial}: of an interrupted run with other settings or data; delete it, or choose "
            "another --out"
        )
    whole = content[: content.rindex(b"\n") + 1]
    os.truncate(partial, len(whole))
    return {row["id"]: row for row in map(json.loads, whole.splitlines()[1:])}


def _build(config: RunConfig, processor: Processor) -> RolloutBackend:
    return build_backend(
        config.rollout.backend,
        str(policy_path(config.policy.path)),
        processor,
        dtype=DTYPES[config.policy.dtype],
        device="cuda" if torch.cuda.is_available() else "cpu",
        max_rows=config.rollout.max_rows,
        attention=config.policy.attention,
    )
