"""Builds the embedded policy: a tiny Qwen2.5-VL, warm-started on generated problems.

    adora prep tiny-policy --out FOLDER            the policy that ships, about an hour on two cores
    adora prep tiny-policy --out FOLDER --steps 20 --pictures 200        a quick look

The folder is an ordinary HF model folder with a card, `warm_start.json`: the command's arguments,
the fingerprint of its training data and the accuracy on held-out problems.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from adora_mm.processor import Processor
from adora_mm.types import Problem
from data_prep.synthetic import generate
from data_prep.tiny_model import build_model, build_tokenizer, save_folder
from data_prep.warm_start import FORMS, Example, WarmStart, encode_example, solution_text, train

FAMILIES = (
    "triangle_angle_sum",
    "exterior_angle",
    "linear_pair",
    "quadrilateral_angle_sum",
)
"""What the warm start sees: angle arithmetic, the easiest to read and to compute."""
SHARD = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Arguments of the training pictures; all from the training split."""

    count: int = 24_000
    families: tuple[str, ...] = FAMILIES
    image_px: int = 140
    seed: int = 7
    workers: int = 2


def build(
    out: Path, pictures: Pictures, settings: WarmStart, *, log: Callable[[str], None]
) -> dict[str, Any]:
    """Draw, build, train and save; returns what is written to `warm_start.json`."""
    drawn = list(draw_pictures(pictures))
    log(f"{len(drawn)} pictures drawn")
    corpus = [text for problem, _ in drawn[:4000] for text in _texts(problem)]
    tokenizer = build_tokenizer(corpus)
    model = build_model(tokenizer, seed=settings.seed)
    save_folder(out, model, tokenizer)
    processor = Processor(out)
    examples = [encode_example(processor, problem, image) for problem, image in drawn]

    def report(step: int, loss: float, step_s: float) -> None:
        log(f"step {step}/{settings.steps}  loss {loss:.4f}  {step_s:.2f} s/step")

    train(model, processor, examples, settings, report=report)
    save_folder(out, model.to(torch.bfloat16), tokenizer)
    card = {
        "pictures": asdict(pictures),
        "warm_start": asdict(settings),
        "parameters": sum(p.numel() for p in model.parameters()),
        "data_fingerprint": fingerprint(examples),
    }
    (out / "warm_start.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    return card


def draw_pictures(pictures: Pictures) -> Iterator[tuple[Problem, Image.Image]]:
    """The training pictures in a fixed order, drawn by several processes.

    Shard k has its own seed, so that the result does not depend on the number of processes; a
    problem may come back in other shards in another pose.
    """
    shards = [
        replace(pictures, count=min(SHARD, pictures.count - start), seed=pictures.seed + start)
        for start in range(0, pictures.count, SHARD)
    ]
    with ProcessPoolExecutor(pictures.workers, mp_context=get_context("spawn")) as pool:
        for drawn in pool.map(_draw_shard, shards):
            yield from drawn


def fingerprint(examples: Sequence[Example]) -> str:
    """SHA-256 over all pictures and answers."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(example.pixels.tobytes())
        digest.update(repr(sorted(example.responses.items())).encode())
    return digest.hexdigest()


def _draw_shard(shard: Pictures) -> list[tuple[Problem, Image.Image]]:
    return list(
        generate(
            count=shard.count,
            split="train",
            seed=shard.seed,
            families=shard.families,
            image_px=shard.image_px,
            variants=shard.count,
        )
    )


def _texts(problem: Problem) -> list[str]:
    return [problem.question, *(solution_text(problem, form) for form in FORMS)]
