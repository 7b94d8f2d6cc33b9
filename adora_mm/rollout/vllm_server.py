"""Rollouts from vLLM servers: started here or already running, on this machine or others.

Every rank deals its prompts out to all servers. One that fails is asked again with growing pauses,
then given up, and its prompts go to the others; it is taken back at the next update of the weights
if it answers again. Each answer names the weights that made it, run and step, so that a server that
missed an update, was started anew or belongs to another run is given up as well.

Weights go over the network or as files (`vllm_transfer.py`), one bucket at a time. Servers are
paused meanwhile, which empties their caches.
"""

from __future__ import annotations

import base64
import io
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from adora_mm import distributed
from adora_mm.config import VllmConfig
from adora_mm.processor import Processor, Prompt
from adora_mm.rollout.sampling import Finished, Sampling
from adora_mm.rollout.vllm_client import Server
from adora_mm.rollout.vllm_process import ServerProcess, start_server
from adora_mm.rollout.vllm_queue import WorkQueue, on_each
from adora_mm.rollout.vllm_requests import (
    check_prompt,
    check_version,
    completion_of,
    engine_arguments,
    group_of,
    pictures,
    sampling_fields,
    stop_token_ids,
)
from adora_mm.rollout.vllm_transfer import BroadcastTransfer, FileTransfer, Parcel, Transfer
from adora_mm.rollout.weight_sync import (
    Fingerprints,
    Traffic,
    add_shares,
    check_complete,
    compare,
)
from adora_mm.types import Completion


class VllmServerBackend:
    """Every rank builds one; rank 0 starts and ends the servers and sends them the weights."""

    def __init__(
        self,
        model_path: str | Path,
        processor: Processor,
        *,
        dtype: torch.dtype,
        device: torch.device,
        config: VllmConfig,
        max_model_len: int,
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        """`folder` gets the logs of servers that are started here. Raises ValueError when one does
        not start or does not answer."""
        self.processor, self.dtype, self.config, self.say = processor, dtype, config, say
        self.stop_token_ids = stop_token_ids(model_path)
        self._processes: list[ServerProcess] = []
        self._transfer: Transfer | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="adora-", dir=config.exchange_folder))
        arguments = engine_arguments(processor, config, dtype=dtype, max_model_len=max_model_len)
        arguments["tensor_parallel_size"] = config.tensor_parallel_size
        if config.images == "path":
            arguments["allowed_local_media_path"] = str(self._folder.parent)
        try:
            self._connect(model_path, arguments, folder, device)
        except BaseException:
            self.close()
            raise

    def generate(
        self, prompts: Sequence[Prompt], sampling: Sampling, finished: Finished | None = None
    ) -> list[list[Completion]]:
        """Completions in the order of the prompts.

        Raises NoServerLeft when all servers are given up, and ValueError when one refuses a prompt
        or expands it otherwise than the trainer.
        """
        if not prompts:
            return []
        bodies = [self._body(prompt, sampling) for prompt in prompts]

        def answer(server: Server, index: int) -> list[Completion]:
            reply = server.ask("POST", "/inference/v1/generate", bodies[index])
            return self._group(prompts[index], reply, sampling, server)

        work = WorkQueue(len(prompts), answer, retries=self.config.request_retries)
        try:
            per_server = self.config.requests_per_server
            return work.run(self._usable, per_server=per_server, finished=finished)
        finally:
            for server, reason in work.lost.items():
                self.say(f"vLLM server given up until the next update: {reason}")
                self._usable.remove(server)
            for picture in self._folder.glob("*.png"):
                picture.unlink()

    def update_weights(self, named_weights: Any, *, version: int) -> dict[str, float]:
        """Send the trainer's weights to every server that answers; collective.

        Raises NoServerLeft, and WeightSyncError when a server then holds other weights.
        """
        self._set_version(version)
        traffic = Traffic()
        usable: list[str] = []
        if distributed.is_first():
            usable = self._send(traffic.watch(named_weights))
        else:
            for _ in named_weights:
                pass  # under ZeRO-3 every rank takes part in gathering
        usable = distributed.broadcast(usable)
        self._usable = [server for server in self._servers if server.url in usable]
        return {"sync/bytes": float(traffic.bytes), "sync/servers": float(len(usable))}

    def sleep(self, *, weights_follow: bool = False) -> None:
        """Servers have devices of their own."""

    def wake(self) -> None:
        """See `sleep`."""

    def close(self) -> None:
        if self._transfer is not None:
            self._transfer.close()
        for process in self._processes:
            process.stop()
        self._processes = []
        shutil.rmtree(self._folder, ignore_errors=True)

    def _connect(
        self, model_path: str | Path, arguments: dict[str, Any], folder: Path, device: torch.device
    ) -> None:
        """Find the servers, or start them, and what weights take to them; collective."""
        config = self.config
        failure, urls = "", list(config.servers)
        if distributed.is_first():
            try:
                urls = urls or self._start(model_path, arguments, folder)
            except ValueError as error:
                failure = str(error)
        run, urls, failure = distributed.broadcast((secrets.token_hex(4), urls, failure))
        self._servers = [Server(url, timeout_s=config.request_timeout_s) for url in urls]
        silent = [server.url for server in self._servers if not failure and not server.is_healthy()]
        if failure or silent:
            raise ValueError(failure or f"no vLLM server answers at {', '.join(silent)}/health")
        if distributed.is_first():
            self._transfer = self._way_for_weights(device)
        self._run, self._usable = run, list(self._servers)
        self._set_version(0)
        if self._processes:  # they hold the policy's folder; others, what nobody knows
            self._on_each(self._usable, self._name_weights)

    def _start(self, model_path: str | Path, arguments: dict[str, Any], folder: Path) -> list[str]:
        config = self.config
        for number in range(config.start_servers):
            self._processes.append(
                start_server(
                    model_path,
                    arguments,
                    host=config.host,
                    log=folder / f"vllm-server-{number}.log",
                    extra=config.server_arguments,
                    gpus=config.server_gpus[number] if config.server_gpus else None,
                )
            )
        for process in self._processes:
            process.wait_until_ready(config.start_timeout_s)
        return [process.url for process in self._processes]

    def _way_for_weights(self, device: torch.device) -> Transfer:
        if self.config.weight_transfer == "files":
            return FileTransfer(self.config, self._folder)
        return BroadcastTransfer(self.config, self._servers, device, self.say)

    def _set_version(self, version: int) -> None:
        self._weights = f"{self._run}-{version}"

    def _name_weights(self, server: Server) -> None:
        body = {"new_version": self._weights}
        server.ask("POST", "/update_weight_version", body, timeout_s=self.config.sync_timeout_s)

    def _body(self, prompt: Prompt, sampling: Sampling) -> dict[str, Any]:
        fields = sampling_fields(
            prompt, sampling, banned=self.processor.banned_token_ids, stop=self.stop_token_ids
        )
        body: dict[str, Any] = {
            "token_ids": list(prompt.unexpanded_ids),
            "sampling_params": fields,
            "return_token_ids": True,
        }
        urls = [self._image_url(image) for image in pictures(prompt, self.processor)]
        if urls:
            body["content_parts"] = [{"type": "image_url", "url": url} for url in urls]
        return body

    def _image_url(self, image: Any) -> str:
        data = io.BytesIO()
        image.save(data, "PNG")
        if self.config.images == "base64":
            return "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()
        path = self._folder / f"{secrets.token_hex(8)}.png"
        path.write_bytes(data.getvalue())
        return path.absolute().as_uri()

    def _group(
        self, prompt: Prompt, reply: Any, sampling: Sampling, server: Server
    ) -> list[Completion]:
        check_prompt(prompt, reply["prompt_token_ids"])
        completions = []
        for choice in sorted(reply["choices"], key=lambda choice: choice["index"]):
            spans = choice["weight_versions"] or []
            check_version([span["version"] for span in spans], self._weights, where=server.url)
            logprobs = [step["logprob"] for step in choice["logprobs"]["content"]]
            completions.append(
                completion_of(
                    self.processor, choice["token_ids"], logprobs, choice["finish_reason"]
                )
            )
        return group_of(completions, sampling)

    def _send(self, named_weights: Iterator[tuple[str, Tensor]]) -> list[str]:
        """Weights to all servers; the addresses of those that have them all."""
        assert self._transfer is not None, "rank 0 sends"
        limit_s = self.config.sync_timeout_s

        def pause(server: Server) -> None:
            server.ask("POST", "/pause?mode=abort", timeout_s=limit_s)

        servers = [server for server in self._servers if server.is_healthy()]
        servers = self._on_each(servers, pause)
        servers = self._on_each(servers, self._transfer.prepare)
        sent = Fingerprints(self.dtype)
        loaded: dict[Server, set[str]] = {server: set() for server in servers}
        first = any(not server.compared for server in servers)
        stream = sent.watch(named_weights) if first else named_weights
        for give in self._transfer.parcels(stream):

            def load(server: Server, give: Parcel = give) -> None:
                loaded[server].update(give(server))

            servers = self._on_each(servers, load)

        def finish(server: Server) -> None:
            needed = server.workers("adora_parameters", timeout_s=limit_s)[0]
            check_complete(loaded[server], needed, where=server.url)
            if not server.compared:
                shares = server.workers("adora_fingerprints", timeout_s=limit_s)
                compare(sent.blocks, add_shares(shares), where=server.url)
                server.compared = True
            self._name_weights(server)
            server.ask("POST", "/resume", timeout_s=limit_s)

        return [server.url for server in self._on_each(servers, finish)]

    def _on_each(self, servers: Sequence[Server], action: Callable[[Server], Any]) -> list[Server]:
        return on_each(servers, action, self.say)
