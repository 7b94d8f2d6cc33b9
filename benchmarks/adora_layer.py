"""Speed of the ADORA layer over GRPO: vectorised, against loops over groups.

    python benchmarks/adora_layer.py [--groups 8192] [--group-size 8] [--json OUT]

Three versions of baseline x weight on the same batch, which must agree:
- vectorised: what training runs, `compute_advantages` with all its metrics
- tensor loop: rows collected per group in Python, small tensor operations per group, the way the
  released code is written (less its comparison of every row with every group, which is quadratic)
- float loop: the same on Python floats, no tensors at all

Then the vectorised version alone over growing numbers of groups, to show that its cost is linear.
One thread; the best of several runs.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from adora_mm.advantages import compute_advantages
from adora_mm.config.algorithm import AdvantageConfig

LAMBDA, EPS = 0.1, 1e-6


def make_batch(groups: int, size: int) -> dict[str, Tensor]:
    """A batch with every kind of group: mixed, all right, all wrong, with truncated failures."""
    generator = torch.Generator().manual_seed(0)
    success = torch.rand(groups, size, generator=generator) < torch.rand(
        groups, 1, generator=generator
    )
    return {
        "rewards_PG": success.float(),
        "success_PG": success,
        "lengths_PG": torch.randint(50, 4000, (groups, size), generator=generator),
        "truncated_PG": torch.rand(groups, size, generator=generator) < 0.05,
    }


def vectorised(batch: dict[str, Tensor]) -> Tensor:
    return compute_advantages(
        batch["rewards_PG"],
        success_PG=batch["success_PG"],
        lengths_PG=batch["lengths_PG"],
        truncated_PG=batch["truncated_PG"],
        config=AdvantageConfig(eps=EPS),
    ).advantages_PG


def tensor_loop(batch: dict[str, Tensor]) -> Tensor:
    """Group by id row by row, then tensor operations for one group at a time."""
    size = batch["rewards_PG"].shape[1]
    rewards, lengths = batch["rewards_PG"].flatten(), batch["lengths_PG"].flatten().float()
    success, truncated = batch["success_PG"].flatten(), batch["truncated_PG"].flatten()
    rows_of = defaultdict(list)
    for row in range(rewards.numel()):
        rows_of[row // size].append(row)
    advantages = torch.zeros_like(rewards)
    for rows in rows_of.values():
        index = torch.tensor(rows)
        r, n, ok, cut = rewards[index], lengths[index], success[index], truncated[index]
        right, wrong = n[ok], n[~ok & ~cut]
        if right.numel() == 0:
            weight = 1.0
        elif wrong.numel() == 0:
            weight = LAMBDA
        else:
            weight = 1.0 if right.max().item() > wrong.mean().item() else LAMBDA
        advantages[index] = weight * (r - r.mean()) / (r.std() + EPS)
    return advantages.view_as(batch["rewards_PG"])


def float_loop(batch: dict[str, Tensor]) -> Tensor:
    """No tensors inside the loop; the fastest way to write the loop in Python."""
    names = ("rewards_PG", "success_PG", "lengths_PG", "truncated_PG")
    result = []
    for r, ok, n, cut in zip(*(batch[name].tolist() for name in names), strict=True):
        right = [x for x, good in zip(n, ok, strict=True) if good]
        wrong = [x for x, good, t in zip(n, ok, cut, strict=True) if not (good or t)]
        if not right:
            weight = 1.0
        else:
            weight = 1.0 if wrong and max(right) > sum(wrong) / len(wrong) else LAMBDA
        mean = sum(r) / len(r)
        std = (sum((x - mean) ** 2 for x in r) / (len(r) - 1)) ** 0.5
        result.append([weight * (x - mean) / (std + EPS) for x in r])
    return torch.tensor(result)


def best_s(function: Callable[[dict[str, Tensor]], Tensor], batch: dict[str, Tensor]) -> float:
    """Fastest run, seconds: up to 20 of them or about 3 seconds in all."""
    times: list[float] = []
    while len(times) < 20 and sum(times) < 3.0:
        start = time.perf_counter()
        function(batch)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--groups", type=int, default=8192)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)

    batch = make_batch(args.groups, args.group_size)
    versions = {"vectorised": vectorised, "tensor loop": tensor_loop, "float loop": float_loop}
    expected = vectorised(batch)
    for name, function in versions.items():
        torch.testing.assert_close(function(batch), expected, msg=f"{name} disagrees")
    seconds = {name: best_s(function, batch) for name, function in versions.items()}
    print(f"{platform.processor() or platform.machine()}, torch {torch.__version__}, 1 thread")
    print(f"{args.groups} groups of {args.group_size}:")
    for name, value in seconds.items():
        ratio = value / seconds["vectorised"]
        print(f"  {name:12s} {1e3 * value:10.2f} ms  {ratio:8.1f} x")

    print("vectorised, cost per group:")
    per_group_us = {}
    for groups in (1024, 4096, 16384, 65536, 262144):
        value = best_s(vectorised, make_batch(groups, args.group_size))
        per_group_us[groups] = 1e6 * value / groups
        print(f"  {groups:7d} groups {1e3 * value:10.2f} ms  {per_group_us[groups]:6.3f} us each")
    spread = max(per_group_us.values()) / statistics.median(per_group_us.values())
    print(f"  slowest over median cost per group: {spread:.2f}")
    if args.json:
        args.json.write_text(json.dumps({"seconds": seconds, "us_per_group": per_group_us}))


if __name__ == "__main__":
    main()
