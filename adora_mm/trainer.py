"""The training loop, on one page: collect, advantages, update, sync, evaluate, record, checkpoint.

Every rank runs this same loop. Rollouts are the rank's own share of the step's prompts; what must
agree over ranks (advantages, token counts, metrics) is gathered where it is needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from adora_mm import distributed
from adora_mm.advantages import record_moves
from adora_mm.batching import Minibatch, TrainGroup, split_groups
from adora_mm.checkpoint import (
    COMPLETE,
    best_checkpoint,
    checkpoint_path,
    load_checkpoint,
    prune_checkpoints,
    save_checkpoint,
)
from adora_mm.collect import Collected, collect_groups
from adora_mm.config import RunConfig
from adora_mm.data import ProblemSampler
from adora_mm.dynamic_sampling import BatchShape, StepBatch, collect_step
from adora_mm.engine import Engine
from adora_mm.faults import SkippedUpdates, batch_row
from adora_mm.overlap import Generate, RolloutsAhead
from adora_mm.phases import Phases
from adora_mm.plan import Plan
from adora_mm.processor import Processor
from adora_mm.recorder import Recorder
from adora_mm.rollout import RolloutBackend, Sampling
from adora_mm.run_folder import RunFolder
from adora_mm.signals import Stopped, StopWish
from adora_mm.step import advantages_of, minibatches_of, rollout_metrics, train_groups
from adora_mm.training_data import RunProblems
from adora_mm.types import Problem
from adora_mm.validation import evaluate
from adora_mm.verify import CheckerPool

EVALUATION_SEED = "evaluation"  # apart from every training step's


class Trainer:
    """One run from its first or its resumed step to its last."""

    def __init__(
        self,
        config: RunConfig,
        plan: Plan,
        folder: RunFolder,
        recorder: Recorder | None,
        problems: RunProblems,
        processor: Processor,
        backend: RolloutBackend,
        engine: Engine,
        pool: CheckerPool,
        wish: StopWish,
        phases: Phases,
        say: Callable[[str], None],
    ) -> None:
        self.config, self.plan, self.folder, self.recorder = config, plan, folder, recorder
        self.problems, self.processor = problems, processor
        self.backend, self.engine, self.pool = backend, engine, pool
        self.sampler = ProblemSampler(
            problems.train, config.rollout.prompts_per_step, seed=config.seed
        )
        self.ahead = RolloutsAhead()
        self.synced: dict[str, float] = {}
        """Metrics of the last update of the rollout engine's weights."""
        self.last_seen: dict[str, bool] = {}
        self.first_step = 1
        self.shape = BatchShape(
            prompts=config.rollout.prompts_per_step, minibatch=config.train.prompts_per_minibatch
        )
        self.shape.share()  # refuses a minibatch that does not divide over the ranks
        self.wish, self.phases, self.say = wish, phases, say
        self.accuracy: dict[int, float] = {}
        """Held-out accuracy of the evaluated steps, in the first mode."""
        self.skipped = SkippedUpdates(
            folder.faults,
            limit=config.faults.max_skipped_updates,
            rank=distributed.place()[0],
            say=say,
        )

    def resume(self, checkpoint: Any) -> None:
        """Restore everything that the next step depends on."""
        state = load_checkpoint(checkpoint, self.engine)
        self.sampler.load_state(state["sampler"])
        self.last_seen = dict(state["last_seen"])
        self.first_step = state["step"] + 1
        self.sync(state["step"])

    def run(self) -> None:
        config, total = self.config, self.plan.total_steps
        if self.first_step == 1:
            self.sync(0)  # what samples is what will be trained, from the first answer on
            self.evaluate(0)
        for step in range(self.first_step, total + 1):
            before = self.ahead.position(self.sampler)
            began = time.monotonic()
            distributed.seed_all(f"{config.seed}/{step}")
            lag = int(bool(self.ahead))  # updates since the weights that made these rollouts
            with self.phases("rollout"):
                batch = self.collect(step)
            self.phases.rollouts(batch.collected.rollout_s, batch.collected.reward_s)
            epoch = self.sampler.epoch  # before the next step's problems are drawn
            self.stop_if_asked(step - 1, before)  # this step has changed nothing yet
            if self.overlaps(step):
                with self.phases("sync"):
                    self.start_ahead(step + 1)

            result = advantages_of(batch.facts_PG, config.advantage, step=step, seed=config.seed)
            groups = train_groups(batch.collected, batch.share, result, config.loss)
            minibatches = minibatches_of(
                groups,
                config.loss,
                config.train,
                num_minibatches=len(batch.facts_PG) // config.train.prompts_per_minibatch,
                batching=self.engine.batching,
                pad=self.processor.pad_token_id,
            )
            with self.phases("logprobs"):
                minibatches = [
                    self.engine.add_logprobs(minibatch, on_policy=index == 0)
                    for index, minibatch in enumerate(minibatches)
                ]
            with self.phases("update"):
                updates = self.update(step, minibatches, groups)
            if not self.ahead:
                with self.phases("sync"):
                    self.sync(step)

            self.last_seen, moves = record_moves(
                self.last_seen, batch.problem_ids, result.tas_P.tolist()
            )
            metrics = rollout_metrics(batch.facts_PG) | batch.metrics | result.metrics | moves
            metrics |= mean_metrics(updates) | self.synced
            metrics |= {"data/epoch": epoch, "rollout/policy_lag": lag}
            if self.recorder is not None:
                self.recorder.train_samples(
                    step, batch.collected.groups, batch.share, result, policy_version=step - 1 - lag
                )
                self.recorder.groups(step, batch.problem_ids, batch.facts_PG, result)
                times = {"time/step_s": round(time.monotonic() - began, 4)}
                self.recorder.step(step, metrics, times | self.phases.take())
            if step == total or _due(step, config.evaluation.every_steps):
                self.evaluate(step)
            if step == total or _due(step, config.checkpoint.every_steps):
                self.save(step, self.sampler.state())
            if step < total:
                self.stop_if_asked(step, self.ahead.position(self.sampler))

    def update(
        self, step: int, minibatches: Sequence[Minibatch], groups: Sequence[TrainGroup]
    ) -> list[dict[str, float]]:
        """The optimizer steps of a rollout batch; a skipped one leaves its batch in faults/."""
        parts = split_groups(groups, len(minibatches))
        updates = []
        for index, (minibatch, part) in enumerate(zip(minibatches, parts, strict=True)):
            metrics = self.engine.update(minibatch)
            name = f"step-{step:06d}-update-{index + 1}"
            self.skipped.check(metrics, partial(batch_row, part, metrics), name=name)
            updates.append(metrics)
        return updates

    def sync(self, step: int) -> None:
        """Bring the rollout engine to the weights after `step`."""
        self.synced = self.backend.update_weights(self.engine.named_weights(), version=step)

    def overlaps(self, step: int) -> bool:
        """Whether the next step's rollouts are made while this one trains."""
        checkpoint = _due(step, self.config.checkpoint.every_steps)
        return (
            self.config.rollout.overlap == "one_step"
            and step < self.plan.total_steps
            and not checkpoint
        )

    def start_ahead(self, step: int) -> None:
        """Begin the rollouts of `step` with the weights as they are now, two steps older."""
        self.sync(step - 2)
        self.backend.wake()
        self.ahead.start(self.sampler, self.shape.share(), partial(self.generate, step))

    def collect(self, step: int) -> StepBatch:
        """The step's rollouts; this rank makes its share of them, or has made it ahead."""
        next_batch = self.sampler.next_batch
        generate: Generate = partial(self.generate, step)
        if self.ahead:
            problems, collected = self.ahead.take()
            next_batch, generate = (lambda: problems), (lambda *_: collected)
        self.backend.wake()
        batch = collect_step(
            next_batch, generate, self.shape, self.config.reward, self.config.dynamic_sampling
        )
        self.backend.sleep(weights_follow=True)
        return batch

    def generate(
        self, step: int, problems: Sequence[Problem], keys: Sequence[str], attempt: int
    ) -> Collected:
        """Scored rollouts of these problems."""
        rollout = self.config.rollout
        sampling = Sampling(
            num_completions=rollout.group_size,
            max_new_tokens=rollout.max_new_tokens,
            temperature=rollout.temperature,
            top_p=rollout.top_p,
            seed=f"{self.config.seed}/{step}/{attempt}",
        )
        return collect_groups(
            self.backend, self.processor, self.pool, problems, sampling, self.config.reward, keys,
            replace_bad=self.config.data.on_bad == "drop",
        )  # fmt: skip

    def evaluate(self, step: int) -> None:
        if not self.problems.val:
            return
        if self.ahead:
            self.ahead.settle()
            self.sync(step)
        self.backend.wake()
        with self.phases("evaluate"):
            outcomes = evaluate(
                self.backend,
                self.processor,
                self.pool,
                self.problems.val,
                self.config.evaluation,
                name="val",
                step=step,
                max_new_tokens=self.config.rollout.max_new_tokens,
                seed=EVALUATION_SEED,
                reward=self.config.reward,
            )
        self.backend.sleep()
        if outcomes:
            self.accuracy[step] = outcomes[0][0].accuracy
        if self.recorder is not None:
            self.recorder.evaluation(outcomes)
            self.recorder.times(step, self.phases.take())

    def save(self, step: int, sampler: Mapping[str, Any]) -> None:
        """Write the checkpoint after `step`, unless it is there or the policy may be broken."""
        folder, keep = self.folder.checkpoints, self.config.checkpoint
        path = checkpoint_path(folder, step)
        there = distributed.broadcast((path / COMPLETE).is_file())
        if there or self.skipped.in_a_row:
            if not there:
                self.say(f"step {step} is not saved: its last optimizer step was skipped")
            return
        state = {
            "step": step,
            "sampler": sampler,
            "last_seen": self.last_seen,
            "accuracy": self.accuracy.get(step),
        }
        with self.phases("checkpoint"):
            save_checkpoint(path, self.engine, self.processor, state)
        if self.recorder is not None:
            self.recorder.times(step, self.phases.take())
        if distributed.is_first():
            prune_checkpoints(folder, keep_last=keep.keep_last, keep_best=keep.keep_best)
            best = best_checkpoint(folder)
            if best is not None:
                self.folder.update_info(best={"checkpoint": best[0].name, "accuracy": best[1]})

    def stop_if_asked(self, step: int, sampler: Mapping[str, Any]) -> None:
        """When any rank was told to stop: save the state after `step`, and raise Stopped."""
        signum = max(distributed.gather(self.wish.signum))
        if not signum:
            return
        self.phases.take()  # of a step that will be done again
        if step > 0:
            self.save(step, sampler)
        raise Stopped(signum, f"stopped after step {step}; go on with --resume")


def mean_metrics(updates: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over the optimizer steps of a rollout batch: maxima of `_max` names, means of the others.

    A skipped step has few metrics; the others are then over the steps that were taken.
    """
    merged: dict[str, float] = {}
    for name in dict.fromkeys(name for update in updates for name in update):
        values = [update[name] for update in updates if name in update]
        merged[name] = max(values) if name.endswith("_max") else sum(values) / len(values)
    return merged


def _due(step: int, every: int) -> bool:
    return every > 0 and step % every == 0
