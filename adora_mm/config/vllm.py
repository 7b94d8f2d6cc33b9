"""Settings of vLLM: its engines, its servers, and how weights get there."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from adora_mm.config.base import Section


class VllmConfig(Section):
    """vLLM in the training processes (`backend: vllm`) or as servers (`backend: vllm_server`)."""

    kv_cache_gb: float | None = Field(default=None, gt=0)
    """GiB for the keys and values of running sequences, per engine; None takes what
    `gpu_memory_utilization` leaves beside the weights."""
    gpu_memory_utilization: float = Field(default=0.5, gt=0, le=1)
    """Share of the device's memory for weights and cache while the engine is awake."""
    max_sequences: int = Field(default=256, ge=1)
    """Completions that an engine samples at once."""
    max_images: int = Field(default=4, ge=1)
    """Images per prompt, at most."""
    enforce_eager: bool = False
    """No compilation and no CUDA graphs: a quick start, slower sampling."""
    prefix_caching: bool = True
    sleep: bool = True
    """Give device memory back between rollouts (engines in the training processes, on GPUs)."""
    servers: tuple[str, ...] = ()
    """Addresses of running servers, such as http://node7:8000; docs/rollouts.md says how to start
    them. Empty: rank 0 starts `start_servers` on its own machine."""
    start_servers: int = Field(default=1, ge=1)
    host: str = "127.0.0.1"
    """Where servers that are started here listen. Whoever reaches it can replace the weights."""
    server_gpus: tuple[str, ...] = ()
    """CUDA_VISIBLE_DEVICES of each server that is started here; empty leaves it as it is."""
    server_arguments: tuple[str, ...] = ()
    """Further words of vLLM's command line for servers that are started here."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs per server that is started here; with `backend: vllm`, neighbouring ranks per engine."""
    start_timeout_s: float = Field(default=900.0, gt=0)
    request_timeout_s: float = Field(default=900.0, gt=0)
    """For one prompt's completions."""
    request_retries: int = Field(default=2, ge=0)
    """Further attempts, with growing pauses, before a server is given up."""
    requests_per_server: int = Field(default=32, ge=1)
    """Prompts that each rank has at one server at once."""
    images: Literal["base64", "path"] = "base64"
    """Pictures within the request, or as files in the exchange folder."""
    weight_transfer: Literal["broadcast", "files"] = "broadcast"
    """How weights go from rank 0 to the servers: over the network, or as files in the exchange
    folder, for servers that cannot connect to rank 0's machine."""
    transfer_backend: Literal["auto", "nccl", "gloo"] = "auto"
    """What `broadcast` goes over: NCCL between GPUs (never two ranks on one GPU), gloo from host to
    host. auto: NCCL to servers that have GPUs, when rank 0 has one; gloo where that cannot be."""
    transfer_host: str | None = None
    """Address of rank 0's machine for servers; None takes the one from which it reaches them."""
    transfer_port: int = Field(default=0, ge=0, le=65535)
    """Port of rank 0's machine at which servers meet it; 0 takes a free one."""
    exchange_folder: str | None = None
    """An existing folder that trainer and servers see under the same name, for `files` and
    `images: path`; None makes one for temporary files on this machine."""
    sync_bucket_mb: int = Field(default=512, ge=1)
    """MiB of weights that are on their way at once; each side holds as much beside the model."""
    sync_timeout_s: float = Field(default=300.0, gt=0)
    """For one bucket of weights, or another part of an update, on one server; one that takes longer
    misses this update."""

    @model_validator(mode="after")
    def _gpus_for_each_server(self) -> Self:
        if self.server_gpus and len(self.server_gpus) != self.start_servers:
            raise ValueError(
                f"rollout.vllm.server_gpus names {len(self.server_gpus)} servers, "
                f"rollout.vllm.start_servers={self.start_servers}; give one entry per server"
            )
        return self
