"""`adora doctor`: what is installed and works here, and what each missing part would enable.

A row is a fact that was looked at now, not a version that ought to work: a GPU is asked for its
name, NCCL for its version. Nothing is installed and nothing is fetched.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

import torch

from adora_mm import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One row: what was looked for, what was found, and what to do when it is missing."""

    name: str
    found: str
    """Empty when it is missing."""
    enables: str
    install: str
    """The one command that installs it; empty for what is not installed by a command."""
    needed: bool = False
    """Whether nothing works without it."""


def _package(name: str, module: str | None = None) -> str:
    """The installed version of a package whose module can be found."""
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""
    return version if importlib.util.find_spec(module or name) else ""


def _python() -> Finding:
    fits = sys.version_info >= (3, 11)
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return Finding(
        name="Python 3.11+", found=found if fits else "", enables="everything", needed=True,
        install="install Python 3.11 or newer, then bash configs/setup.sh",
    )  # fmt: skip


def _base(name: str, module: str | None = None) -> Callable[[], Finding]:
    def look() -> Finding:
        return Finding(
            name=name, found=_package(name, module), enables="everything", needed=True,
            install="pip install -r requirements/cpu.txt",
        )  # fmt: skip

    return look


def _gpu() -> Finding:
    found = ""
    if torch.cuda.is_available():
        count, properties = torch.cuda.device_count(), torch.cuda.get_device_properties(0)
        memory = properties.total_memory / 2**30
        found = f"{count} x {properties.name}, {memory:.0f} GiB, CUDA {torch.version.cuda}"
    install = ""
    if torch.version.cuda is None and shutil.which("nvidia-smi"):
        install = "pip install -r requirements/gpu.txt"  # a GPU, but a CPU build of torch
    return Finding(
        name="CUDA GPU", found=found, enables="models beyond a few million parameters",
        install=install,
    )  # fmt: skip


def _nccl() -> Finding:
    works = torch.cuda.is_available() and torch.distributed.is_nccl_available()
    found = ".".join(str(part) for part in torch.cuda.nccl.version()) if works else ""
    return Finding(
        name="NCCL", found=found, enables="several GPUs (CPUs use gloo)",
        install="" if torch.version.cuda is None else "pip install -r requirements/gpu.txt",
    )  # fmt: skip


def _deepspeed_ops() -> Finding:
    """Kernels are compiled at first use; that takes a compiler and, for CUDA, the toolkit."""
    missing = [tool for tool in ("c++", "ninja") if shutil.which(tool) is None]
    if torch.cuda.is_available() and not (os.environ.get("CUDA_HOME") or shutil.which("nvcc")):
        missing.append("nvcc")
    return Finding(
        name="DeepSpeed kernels", found="" if missing else "can be compiled",
        enables=f"fused optimizers through engine.extra ({', '.join(missing) or 'all'} missing)"
        if missing else "fused optimizers through engine.extra",
        install="apt-get install build-essential ninja-build",
    )  # fmt: skip


def _optional(name: str, enables: str, install: str, module: str) -> Callable[[], Finding]:
    def look() -> Finding:
        return Finding(name=name, found=_package(name, module), enables=enables, install=install)

    return look


def _chromium() -> Finding:
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    found = next((path for name in names if (path := shutil.which(name))), "")
    return Finding(
        name="Chromium", found=found, enables="screenshots of the report (tests only)",
        install="apt-get install chromium",
    )  # fmt: skip


CHECKS: tuple[Callable[[], Finding], ...] = (
    _python,
    *(_base(name) for name in ("torch", "transformers", "deepspeed", "sympy")),
    _base("pillow", "PIL"),
    _gpu,
    _nccl,
    _deepspeed_ops,
    _optional(
        "vllm", "rollout.backend=vllm and vllm_server, adora eval with --backend vllm",
        "bash configs/setup.sh --vllm", "vllm"
    ),
    _optional(
        "flash-attn", "policy.attention=flash_attention_2 (the default, sdpa, needs nothing)",
        "pip install flash-attn --no-build-isolation", "flash_attn",
    ),
    _optional("peft", "policy.lora", "pip install 'adora-mm[lora]'", "peft"),
    _optional("pyarrow", "data sets that come as parquet", "pip install 'adora-mm[parquet]'",
              "pyarrow"),
    _optional("tensorboard", "logging.tensorboard", "pip install tensorboard", "tensorboard"),
    _optional("wandb", "logging.wandb", "pip install 'adora-mm[wandb]'", "wandb"),
    _optional("trackio", "logging.trackio", "pip install 'adora-mm[trackio]'", "trackio"),
    _chromium,
)  # fmt: skip


def examine() -> list[Finding]:
    """Look at everything; raises nothing."""
    return [check() for check in CHECKS]


def describe(findings: list[Finding]) -> str:
    """The rows as text, what is missing with what it would enable and how to install it."""
    lines = [f"adora-mm {__version__}"]
    for finding in findings:
        mark = "ok " if finding.found else ("NO " if finding.needed else "-  ")
        line = f"{mark} {finding.name:18} {finding.found}"
        if not finding.found:
            remedy = f"; {finding.install}" if finding.install else ""
            line = f"{mark} {finding.name:18} missing; would enable {finding.enables}{remedy}"
        lines.append(line.rstrip())
    return "\n".join(lines)


def is_ready(findings: list[Finding]) -> bool:
    return all(finding.found for finding in findings if finding.needed)
