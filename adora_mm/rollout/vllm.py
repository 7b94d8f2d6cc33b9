"""Rollouts with vLLM inside the training process: one engine per rank, on the rank's own device.

With `tensor_parallel_size` neighbouring ranks share one (`engine_ranks.py`).

The engine runs in this very process, so that weights pass from the trainer to it without a copy in
between. Between rollouts it sleeps: before an update of its weights it drops them with the KV cache
(vLLM's level 2), else it moves them to host memory (level 1). On CPUs sleeping does nothing.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from adora_mm.config import VllmConfig
from adora_mm.faults import RunFault
from adora_mm.processor import Processor, Prompt
from adora_mm.rollout.engine_ranks import EngineRanks
from adora_mm.rollout.sampling import Finished, Sampling
from adora_mm.rollout.vllm_requests import (
    WORKER_EXTENSION,
    check_prompt,
    check_version,
    completion_of,
    engine_arguments,
    group_of,
    pictures,
    sampling_fields,
    stop_token_ids,
)
from adora_mm.rollout.weight_sync import Fingerprints, Traffic, add_shares, check_complete, compare
from adora_mm.types import Completion

WHERE = "the rollout engine"


class VllmBackend:
    """Samples with vLLM; every rank has its own engine, or part of one, and its own prompts."""

    def __init__(
        self,
        model_path: str | Path,
        processor: Processor,
        *,
        dtype: torch.dtype,
        device: torch.device,
        config: VllmConfig,
        max_model_len: int,
    ) -> None:
        self.processor, self.dtype = processor, dtype
        self.stop_token_ids = stop_token_ids(model_path)
        self._sleeps = config.sleep and device.type == "cuda"
        self._asleep: tuple[str, ...] = ()
        """vLLM's tags of what it gave back and has not got again yet."""
        self._weights_dropped = False
        self._ranks = EngineRanks(config.tensor_parallel_size)
        self._llm: Any = start_engine(
            model_path,
            processor,
            dtype=dtype,
            config=config,
            max_model_len=max_model_len,
            sleeps=self._sleeps,
        )
        self._parameters: list[str] = self._call("adora_parameters")
        self._compared = False
        self.version = 0
        self._set_version(0)
        self.sleep()

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """Completions in the order of the prompts, each prompt and its pictures passed once.

        `finished` hears of all of them at the end.

        Raises ValueError when vLLM expands a prompt otherwise than the trainer, StaleAnswer for a
        completion of other weights than the last update's, and RunFault when the engine fails:
        asked again it would mix what it has left undone into the new answers, and ranks that share
        it would no longer be in step.
        """
        from vllm import SamplingParams

        banned = self.processor.banned_token_ids
        inputs, params = [], []
        shared, mine = self._ranks.together(list(prompts))
        for prompt in shared:
            item: dict[str, Any] = {"prompt_token_ids": list(prompt.unexpanded_ids)}
            images = pictures(prompt, self.processor)
            if images:
                item["multi_modal_data"] = {"image": images}
            inputs.append(item)
            fields = sampling_fields(prompt, sampling, banned=banned, stop=self.stop_token_ids)
            params.append(SamplingParams(**fields))
        if not inputs:
            return []
        try:
            outputs = self._llm.generate(inputs, params, use_tqdm=False)
        except (RuntimeError, OSError) as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise RunFault(
                f"vLLM failed ({reason}); go on from the last checkpoint with --resume"
            ) from error
        groups = [
            self._group(prompt, output, sampling)
            for prompt, output in zip(prompts, outputs[mine], strict=True)
        ]
        for place, group in enumerate(groups):
            if finished is not None:
                finished(place, group)
        return groups

    def update_weights(self, named_weights: Any, *, version: int) -> dict[str, float]:
        """Take the trainer's weights as they are gathered, then forget what the old ones computed.

        The first time, both sides' fingerprints are compared. Raises WeightSyncError.
        """
        self._wake("weights")
        traffic = Traffic()
        stream = traffic.watch(named_weights)
        sent = Fingerprints(self.dtype)
        if not self._compared:
            stream = sent.watch(stream)
        loaded = self._call("adora_load", stream)
        check_complete(loaded, self._parameters, where=WHERE)
        if not self._compared:
            shares = self._ranks.gather(self._call("adora_fingerprints"))
            compare(sent.blocks, add_shares(shares), where=WHERE)
        self._compared, self._weights_dropped = True, False
        self._forget()
        self._set_version(version)
        return {"sync/bytes": float(traffic.bytes)}

    def sleep(self, *, weights_follow: bool = False) -> None:
        """Give device memory back; `weights_follow` drops the weights as well."""
        if self._sleeps and not self._asleep:
            self._llm.sleep(level=2 if weights_follow else 1)
            self._asleep, self._weights_dropped = ("weights", "kv_cache"), weights_follow

    def wake(self) -> None:
        self._wake("weights", "kv_cache")
        if self._weights_dropped:
            raise RuntimeError("the rollout engine dropped its weights and none came since")

    def close(self) -> None:
        if self._llm is None:
            return
        self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _group(self, prompt: Prompt, output: Any, sampling: Sampling) -> list[Completion]:
        check_prompt(prompt, output.prompt_token_ids)
        completions = []
        for answer in output.outputs:
            spans = answer.weight_versions or []
            check_version([span.version for span in spans], str(self.version), where=WHERE)
            logprobs = [
                step[token].logprob
                for step, token in zip(answer.logprobs, answer.token_ids, strict=True)
            ]
            completions.append(
                completion_of(self.processor, answer.token_ids, logprobs, answer.finish_reason)
            )
        return group_of(completions, sampling)

    def _wake(self, *tags: str) -> None:
        wanted = [tag for tag in tags if tag in self._asleep]
        if wanted:
            self._llm.wake_up(tags=wanted)
            self._asleep = tuple(tag for tag in self._asleep if tag not in wanted)

    def _forget(self) -> None:
        """Drop cached prompts and pictures. The engine core's own reset is the one that tells the
        scheduler as well; resetting the worker alone leaves it pointing at features that are gone.
        """
        self._llm.reset_prefix_cache()
        self._llm.reset_mm_cache()
        self._llm.llm_engine.engine_core.reset_encoder_cache()

    def _set_version(self, version: int) -> None:
        self._llm.update_weight_version(str(version))
        self.version = version

    def _call(self, method: str, *args: Any) -> Any:
        return self._llm.collective_rpc(method, args=args)[0]


def start_engine(
    model_path: str | Path,
    processor: Processor,
    *,
    dtype: torch.dtype,
    config: VllmConfig,
    max_model_len: int,
    sleeps: bool,
) -> Any:
    """A vLLM engine in this process, which leaves the trainer's settings as they were.

    Raises ValueError when vLLM is not installed.
    """
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        import vllm
    except ImportError as error:
        raise ValueError(
            "rollout.backend=vllm needs the vllm package; install it with "
            "`bash configs/setup.sh --vllm`, or use rollout.backend=transformers"
        ) from error
    threads, set_threads = torch.get_num_threads(), torch.set_num_threads
    try:
        return vllm.LLM(
            model=str(model_path),
            worker_extension_cls=WORKER_EXTENSION,
            tensor_parallel_size=config.tensor_parallel_size,
            # vLLM joins the trainer's processes, where there are any: one engine per rank, or
            # per group of neighbouring ranks.
            distributed_executor_backend="external_launcher" if dist.is_initialized() else "uni",
            enable_sleep_mode=sleeps,
            disable_log_stats=True,
            **engine_arguments(processor, config, dtype=dtype, max_model_len=max_model_len),
        )
    finally:
        torch.set_num_threads = set_threads  # vLLM's CPU worker switches it off for the process
        torch.set_num_threads(threads)
