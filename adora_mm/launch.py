"""Assembles a run from its recipe and runs it: the same on one process and on many."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from transformers.utils import logging as transformers_logging

from adora_mm import distributed, peers
from adora_mm.agreement import check_same_start, check_visible
from adora_mm.checkpoint import COMPLETE
from adora_mm.config import RunConfig
from adora_mm.data import fingerprint
from adora_mm.engine import Engine
from adora_mm.families import check_family
from adora_mm.faults import RunFault
from adora_mm.hub import check_model
from adora_mm.kernels import check_kernels
from adora_mm.metrics.console import ConsoleLog
from adora_mm.metrics.trackers import wanted_trackers
from adora_mm.models import DTYPES, policy_path
from adora_mm.phases import Phases
from adora_mm.plan import Plan, describe, make_plan
from adora_mm.processor import Processor
from adora_mm.recorder import Recorder
from adora_mm.rollout import RolloutBackend, build_backend
from adora_mm.rollout.watched import WatchedBackend
from adora_mm.rollout.weight_sync import whole_numel
from adora_mm.run_folder import RunFolder, check_disk, git_revision, versions
from adora_mm.signals import Stopped, stop_wish
from adora_mm.trainer import Trainer
from adora_mm.training_data import RunProblems, load_run_problems
from adora_mm.verify import CheckerPool

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a run works with, before any weight is loaded."""

    processor: Processor
    problems: RunProblems
    plan: Plan
    policy_path: Path | str


def prepare(config: RunConfig) -> Setting:
    """Load processor and problems and check both; writes nothing. Raises ValueError."""
    path = policy_path(config.policy.path)
    check_model(path)
    check_family(path)
    processor = Processor(
        path,
        system_prompt=config.data.system_prompt,
        min_pixels=config.data.min_pixels,
        max_pixels=config.data.max_pixels,
        max_prompt_tokens=config.data.max_prompt_tokens,
        max_image_megapixels=config.data.max_image_megapixels,
    )
    problems = load_run_problems(config.data, processor, seed=config.seed)
    plan = make_plan(config, len(problems.train))
    return Setting(processor=processor, problems=problems, plan=plan, policy_path=path)


def train(config: RunConfig, *, resume: bool, make_data: Callable[[], None]) -> Path:
    """Run a recipe to its end; returns the run's folder.

    `make_data` fills missing data folders and is called on rank 0 alone. Raises ValueError for
    anything the user can mend, before the run folder is touched where possible.
    """
    _quiet_libraries()
    rank, _, device = distributed.start(config.engine.threads)
    first = rank == 0
    folder = RunFolder(Path(config.run_dir) / config.name)
    with running_together() as line, contextlib.closing(folder):
        _on_first(lambda: folder.check_free(resume=resume))
        _on_first(lambda: wanted_trackers(config.logging))
        _on_first(lambda: check_kernels(config.policy, device))
        _on_first(make_data)
        make_there = "`adora prep` with the words of the recipe's data.prep makes it there"
        check_visible(config.data.folders, make_there)
        setting = prepare(config)
        check_same_start(config, setting.problems)
        console = ConsoleLog(
            enabled=first, total_steps=setting.plan.total_steps, progress=config.logging.progress
        )
        _run(config, setting, folder, console, device, line, resume=resume)
    return folder.path


@contextlib.contextmanager
def running_together() -> Iterator[peers.Peers | None]:
    """All ranks end with the first that fails, and each tells that first error; collective."""
    line = peers.connect()
    try:
        yield line
    except BaseException as error:
        if line is not None:
            first = "" if isinstance(error, RunFault | ValueError | Stopped) else line.news()
            if first:
                raise RunFault(f"this rank ends because {first}") from error
            if not isinstance(error, Stopped | distributed.FirstRankError):
                line.tell(" ".join(str(error).split()) or type(error).__name__)
        raise
    finally:
        if line is not None:
            line.close()


def _run(
    config: RunConfig,
    setting: Setting,
    folder: RunFolder,
    console: ConsoleLog,
    device: Any,
    line: peers.Peers | None,
    *,
    resume: bool,
) -> None:
    started = time.monotonic()
    first = distributed.is_first()
    with contextlib.ExitStack() as cleanup:
        pool = CheckerPool(
            config.checker.workers, config.checker.timeout_s, config.checker.memory_mb
        )
        cleanup.callback(pool.close)
        cleanup.callback(console.close)
        backend = _backend(config, setting, folder, console, device)
        backend = _watched(backend, config, folder, console, line)
        cleanup.callback(backend.close)
        engine = _engine(config, setting, device, console)
        sizes = [(whole_numel(p), p.requires_grad) for p in engine.model.parameters()]
        total, trained = sum(size for size, _ in sizes), sum(size for size, on in sizes if on)
        _on_first(lambda: check_disk(folder.path, _checkpoint_bytes(config, total, trained)))
        checkpoint = _on_first(lambda: folder.open(config, resume=resume))
        if checkpoint is not None:
            check_visible([checkpoint / COMPLETE], "Every machine reads it to resume")
        try:
            recorder = None
            if first:
                _announce(
                    config, setting, folder, console, distributed.place()[1], total, trained, engine
                )
                recorder = Recorder(folder, config, console, after_step=_kept(checkpoint))
                cleanup.callback(recorder.close)
            wish = cleanup.enter_context(stop_wish(console.say))
            trainer = Trainer(
                config, setting.plan, folder, recorder, setting.problems, setting.processor,
                backend, engine, pool, wish, Phases(device, console.phase), console.say,
            )  # fmt: skip
            if checkpoint is not None:
                console.say(f"resuming after {checkpoint.name}")
                trainer.resume(checkpoint)
            elif resume:
                console.say("no complete checkpoint yet: starting from the beginning")
            trainer.run()
            _finish(folder, recorder, console, started)
        except BaseException:
            if first and folder.info:
                folder.update_info(status="stopped", minutes=_minutes(folder, started))
            raise


def _watched(
    backend: RolloutBackend,
    config: RunConfig,
    folder: RunFolder,
    console: ConsoleLog,
    line: peers.Peers | None,
) -> RolloutBackend:
    def leave(message: str) -> None:
        if line is not None:
            line.tell(message)
        peers.leave(message)

    return WatchedBackend(
        backend,
        timeout_s=config.faults.rollout_timeout_s,
        retries=config.faults.rollout_retries,
        folder=folder.faults,
        say=console.say,
        leave=leave,
    )


def _quiet_libraries() -> None:
    """Keep the console for the run: no progress bars of loading, DeepSpeed's errors only."""
    transformers_logging.disable_progress_bar()
    logging.getLogger("DeepSpeed").setLevel(logging.ERROR)


def _engine(config: RunConfig, setting: Setting, device: Any, console: ConsoleLog) -> Engine:
    return Engine(
        setting.policy_path,
        policy=config.policy,
        train=config.train,
        engine=config.engine,
        loss=config.loss,
        temperature=config.rollout.temperature,
        banned_token_ids=setting.processor.banned_token_ids,
        max_response_tokens=config.rollout.max_new_tokens,
        group_size=config.rollout.group_size,
        total_updates=setting.plan.total_updates,
        device=device,
        seed=config.seed,
        say=console.say,
    )


def _backend(
    config: RunConfig, setting: Setting, folder: RunFolder, console: ConsoleLog, device: Any
) -> RolloutBackend:
    rollout, name = config.rollout, config.rollout.backend
    options: dict[str, Any] = {"dtype": DTYPES[config.policy.dtype], "device": device}
    if name.startswith("transformers"):
        options |= {"max_rows": rollout.max_rows, "attention": config.policy.attention}
    else:
        longest = max(rollout.max_new_tokens, config.evaluation.max_new_tokens or 0)
        options |= {
            "config": rollout.vllm,
            "max_model_len": config.data.max_prompt_tokens + longest,
        }
    if name == "vllm_server":
        options |= {"folder": folder.path / "servers", "say": console.say}
    return build_backend(name, str(setting.policy_path), setting.processor, **options)


def _announce(
    config: RunConfig,
    setting: Setting,
    folder: RunFolder,
    console: ConsoleLog,
    world_size: int,
    num_parameters: int,
    num_trained: int,
    engine: Engine,
) -> None:
    """Say what will happen, and write run.json."""
    problems = setting.problems
    console.say(f"{config.name}: {folder.path}")
    ranks = folder.info.get("world_size", world_size)
    if ranks != world_size:
        console.say(
            f"resuming on {world_size} processes instead of {ranks}: the same problems, rollout "
            "seeds and updates, but sums are taken in another order, so numbers agree to rounding "
            "only; with dynamic sampling each process fills its own share, so batches differ"
        )
    console.say(describe(setting.plan, config, num_parameters, num_trained))
    console.say(f"batching: {engine.batching_note}")
    for line in problems.dropped[:5]:
        console.say(f"dropped: {line}")
    if problems.dropped:
        console.say(f"{len(problems.dropped)} problems dropped (data.on_bad=drop)")
    sets = {"train": (config.data.train, problems.train), "val": (config.data.val, problems.val)}
    folder.update_info(
        name=config.name,
        status="running",
        seed=config.seed,
        versions=versions(),
        git_revision=git_revision(),
        data={
            name: {"path": path, "count": len(part), "fingerprint": fingerprint(part)}
            for name, (path, part) in sets.items()
            if part
        },
        dropped=len(problems.dropped),
        policy={
            "path": config.policy.path,
            "num_parameters": num_parameters,
            "num_trained": num_trained,
        },
        world_size=world_size,
        batching=engine.batching,
        started=folder.info.get("started", time.strftime("%Y-%m-%dT%H:%M:%S%z")),
    )


def _finish(
    folder: RunFolder, recorder: Recorder | None, console: ConsoleLog, started: float
) -> None:
    if recorder is None:
        return
    minutes = _minutes(folder, started)
    folder.update_info(status="finished", minutes=minutes)
    console.close()
    console.final_table(recorder.evaluations)
    console.say(f"finished in {minutes:.1f} minutes: {folder.path}")


def _minutes(folder: RunFolder, started: float) -> float:
    """Minutes of this process and of those that it resumed."""
    return round((time.monotonic() - started) / 60 + folder.info.get("minutes", 0.0), 2)


def _kept(checkpoint: Path | None) -> int:
    """The last step whose records stay; -1 for none, since evaluations start at step 0."""
    return -1 if checkpoint is None else int(checkpoint.name.removeprefix("step-"))


def _on_first(action: Callable[[], T]) -> T:
    """Rank 0's result on every rank; its ValueError or OSError is raised on every rank."""
    outcome: Any = None
    if distributed.is_first():
        try:
            outcome = (True, action())
        except (ValueError, OSError) as error:
            outcome = (False, str(error))
    worked, value = distributed.broadcast(outcome)
    if not worked:
        raise distributed.FirstRankError(value)
    return value


def _checkpoint_bytes(config: RunConfig, num_parameters: int, num_trained: int) -> int:
    """Room for the checkpoints that stay plus the one being written.

    That is the weights, and of what is trained the master copy and both moments.
    """
    width, keep = 2 if config.policy.dtype == "bfloat16" else 4, config.checkpoint
    return (keep.keep_last + keep.keep_best + 1) * (num_parameters * width + num_trained * 12)
