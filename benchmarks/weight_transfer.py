"""Seconds of an update of the weights of vLLM servers, over the network and by files.

    python benchmarks/weight_transfer.py [--megabytes 340] [--servers 1 2] [--repeats 5]

A random Qwen2.5-VL in fp32, servers on this machine. The first update of a server also compares
fingerprints; it is not counted. Needs vLLM.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from adora_mm import distributed
from adora_mm.config import VllmConfig
from adora_mm.models import load_policy
from adora_mm.processor import Processor
from adora_mm.rollout import build_backend
from data_prep.tiny_model import build_model, build_tokenizer, save_folder

HIDDEN = 768
LAYER_MB = 4 * 12 * HIDDEN**2 / 2**20


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=int, default=340)
    parser.add_argument("--servers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--bucket-mb", type=int, default=128)
    options = parser.parse_args()
    distributed.start(1)
    with tempfile.TemporaryDirectory() as folder:
        model_path = Path(folder) / "model"
        tokenizer = build_tokenizer(["Find x."], vocab_size=300)
        layers = max(1, round(options.megabytes / LAYER_MB))
        model = build_model(tokenizer, hidden_size=HIDDEN, num_layers=layers)
        save_folder(model_path, model, tokenizer)
        policy = load_policy(model_path)
        megabytes = sum(weight.nbytes for weight in policy.parameters()) / 2**20
        print(f"{megabytes:.0f} MiB in buckets of {options.bucket_mb} MiB")
        for servers in options.servers:
            for transfer in ("broadcast", "files"):
                seconds = measure(model_path, policy, transfer, servers, options)
                middle = statistics.median(seconds)
                spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
                print(f"{servers} server(s), {transfer}: {middle:.2f} s ({spread})")
    return 0


def measure(
    model_path: Path, policy: torch.nn.Module, transfer: str, servers: int, options: Any
) -> list[float]:
    backend = build_backend(
        "vllm_server",
        str(model_path),
        Processor(model_path),
        dtype=torch.float32,
        device=torch.device("cpu"),
        config=VllmConfig(
            kv_cache_gb=0.25,
            enforce_eager=True,
            start_servers=servers,
            weight_transfer=transfer,
            sync_bucket_mb=options.bucket_mb,
        ),
        max_model_len=512,
        folder=model_path.parent / "logs",
        say=print,
    )
    seconds = []
    try:
        for version in range(options.repeats + 1):
            started = time.monotonic()
            backend.update_weights(policy.named_parameters(), version=version)
            seconds.append(time.monotonic() - started)
    finally:
        backend.close()
    return seconds[1:]


if __name__ == "__main__":
    raise SystemExit(main())
