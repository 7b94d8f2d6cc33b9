"""vLLM servers as child processes: started with what the trainer needs, ended with it.

They listen on `rollout.vllm.host`, loopback unless told otherwise: the routes that take weights are
open to everybody who reaches the port.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from adora_mm import distributed
from adora_mm.rollout.vllm_client import Server
from adora_mm.rollout.vllm_requests import WORKER_EXTENSION

SHUTDOWN_S = 20.0
LAUNCHER_VARIABLES = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "LOCAL_SIZE",
                      "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE",
                      "VLLM_ENABLE_V1_MULTIPROCESSING")  # fmt: skip
"""What a launcher (or we) set for a rank; a server is none. With torchrun's agent store, for one,
workers of a server that meet by TCP would look for each other at the trainer's store."""


class ServerProcess:
    """One running server, in a process group of its own."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        self.process, self.url, self.log = process, url, log

    def wait_until_ready(self, timeout_s: float) -> None:
        """Raises ValueError, with the end of its log, when it ends or is not ready in time."""
        deadline = time.monotonic() + timeout_s
        server = Server(self.url, timeout_s=timeout_s)
        while not server.is_healthy():
            ended = self.process.poll() is not None
            if ended or time.monotonic() > deadline:
                what = "ended while starting" if ended else f"is not ready after {timeout_s:g} s"
                raise ValueError(f"a vLLM server {what}; {self.log} ends with: {_tail(self.log)}")
            time.sleep(0.25)

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                break
            try:
                self.process.wait(SHUTDOWN_S)
            except subprocess.TimeoutExpired:
                continue
        self.process.wait()


def start_server(
    model_path: str | Path,
    arguments: Mapping[str, Any],
    *,
    host: str,
    log: Path,
    extra: tuple[str, ...] = (),
    gpus: str | None = None,
) -> ServerProcess:
    """Start one; `arguments` are engine arguments by their Python names, `gpus` a list as in
    CUDA_VISIBLE_DEVICES."""
    port = distributed.free_port(host)
    words = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model_path)]
    words += ["--served-model-name", "policy", "--host", host, "--port", str(port)]
    words += ["--enable-scale-out", "--worker-extension-cls", WORKER_EXTENSION]
    words += [*command_line(arguments), *extra]
    url = f"http://{host}:{port}"
    return run_server(words, url=url, log=log, environment=_environment(gpus))


def run_server(
    words: Sequence[str], *, url: str, log: Path, environment: Mapping[str, str]
) -> ServerProcess:
    """Run a command that becomes a server; it ends with this process."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
            preexec_fn=_die_with_parent(),
        )
    return ServerProcess(process, url, log)


def command_line(arguments: Mapping[str, Any]) -> list[str]:
    """Engine arguments as words: booleans as switches, tables as JSON."""
    words: list[str] = []
    for name, value in arguments.items():
        option = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            text = json.dumps(value) if isinstance(value, Mapping) else str(value)
            words += [f"--{option}", text]
    return words


def _environment(gpus: str | None) -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k not in LAUNCHER_VARIABLES}
    environment["VLLM_SERVER_DEV_MODE"] = "1"  # the routes for weights
    environment.setdefault("VLLM_NO_USAGE_STATS", "1")
    environment.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    source = str(Path(__file__).parents[2])  # where the worker finds our part
    paths = [source, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    if gpus is not None:
        environment["CUDA_VISIBLE_DEVICES"] = gpus
    return environment


def _die_with_parent() -> Callable[[], None] | None:
    """On Linux the kernel ends a server whose trainer was killed; elsewhere only `stop` does."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, set_death_signal = ctypes.CDLL(None).prctl, 1  # PR_SET_PDEATHSIG

    def ask_for_signal() -> None:
        prctl(set_death_signal, signal.SIGTERM)

    return ask_for_signal


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return " | ".join(line.strip() for line in lines[-6:] if line.strip())[-600:]
