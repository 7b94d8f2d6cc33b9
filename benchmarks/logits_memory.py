"""Peak memory and time of scoring response tokens: whole logits against pieces.

    python benchmarks/logits_memory.py [--tokens 1024] [--hidden 512] [--vocabulary 151936]

Forward and backward of log-probs and entropy through a head, as in training, fp32: `whole` keeps
the logits of all tokens in the graph (what a plain cross-entropy does), `pieces` is
`adora_mm.logprobs.token_logprobs`, which recomputes each piece in the backward pass. Each runs in a
forked process; memory is the peak above what stood before, with glibc giving large blocks back (no
MALLOC_ variables in the environment).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from torch import nn

from adora_mm.logprobs import token_logprobs
from benchmarks.training_step import alone, memory_kb

PIECES = (1, 4, 16, 64)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tokens", type=int, default=1024)
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--vocabulary", type=int, default=151936)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    head = nn.Linear(arguments.hidden, arguments.vocabulary, bias=False)
    head.weight.grad = torch.zeros_like(head.weight)  # stands before
    hidden = torch.randn(arguments.tokens, arguments.hidden)
    targets = torch.randint(0, arguments.vocabulary, (arguments.tokens,))
    logits_mb = 4 * arguments.tokens * arguments.vocabulary / 2**20
    print(f"{arguments.tokens} tokens; their fp32 logits once: {logits_mb:.0f} MB")
    for pieces in PIECES:
        seconds, peak = alone(measure, head, hidden, targets, pieces)
        name = "whole" if pieces == 1 else f"{pieces} pieces"
        print(f"  {name:10s} peak {peak:6.0f} MB, {seconds:6.2f} s", flush=True)
    return 0


def measure(
    head: nn.Module, hidden: torch.Tensor, targets: torch.Tensor, pieces: int
) -> tuple[float, float]:
    hidden = hidden.requires_grad_()
    before = memory_kb("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    started = time.process_time()
    logprobs, entropy = token_logprobs(
        head, hidden, targets, temperature=1.0, banned_token_ids=(), num_chunks=pieces
    )
    (logprobs.sum() + 0.1 * entropy.sum()).backward()
    return time.process_time() - started, (memory_kb("VmHWM") - before) / 1024


if __name__ == "__main__":
    raise SystemExit(main())
