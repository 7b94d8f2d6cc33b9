"""The section `rollout.vllm`: what it refuses, and what it means for vLLM's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from adora_mm.config import ConfigError, VllmConfig, load_config
from adora_mm.rollout.vllm_process import command_line

TINY = Path(__file__).resolve().parents[2] / "configs/geo3k_tiny.yaml"


def test_every_started_server_has_its_gpus() -> None:
    two = ["rollout.vllm.start_servers=2", "rollout.vllm.server_gpus=['0,1','2,3']"]
    assert load_config(TINY, two).rollout.vllm.server_gpus == ("0,1", "2,3")
    with pytest.raises(ConfigError, match="server_gpus names 2 servers"):
        load_config(TINY, two[1:])


@pytest.mark.parametrize("word", ["kv_cache_gb=0", "gpu_memory_utilization=1.5", "images=ftp"])
def test_values_out_of_range_are_refused(word: str) -> None:
    with pytest.raises(ConfigError, match=word.split("=")[0]):
        load_config(TINY, [f"rollout.vllm.{word}"])


def test_an_engine_in_the_training_process_cannot_run_ahead() -> None:
    ahead = ["rollout.overlap=one_step", "loss.mismatch=truncated_is"]
    assert load_config(TINY, [*ahead, "rollout.backend=vllm_server"]).rollout.vllm.start_servers
    with pytest.raises(ConfigError, match="needs an engine outside the training process"):
        load_config(TINY, [*ahead, "rollout.backend=vllm"])


def test_servers_listen_on_loopback_unless_told_otherwise() -> None:
    assert VllmConfig().host == "127.0.0.1"


def test_arguments_become_words() -> None:
    arguments = {"max_model_len": 64, "enforce_eager": True, "enable_chunked_prefill": False}
    assert command_line(arguments | {"limit_mm_per_prompt": {"image": 1}}) == [
        "--max-model-len", "64", "--enforce-eager", "--no-enable-chunked-prefill",
        "--limit-mm-per-prompt", '{"image": 1}',
    ]  # fmt: skip
