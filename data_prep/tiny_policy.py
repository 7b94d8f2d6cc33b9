"""Builds the embedded policy: a tiny Qwen2.5-VL, warm-started on generated problems.

    adora prep tiny-policy --out FOLDER            the policy that ships, under an hour on two cores
    adora prep tiny-policy --out FOLDER --pictures 200 --eye-steps 20 --steps 20       a quick look

The folder is an ordinary HF model folder with a card, `warm_start.json`: the command's arguments,
the fingerprint of its training data and the accuracy on held-out problems by form of answer. It is
built under a hidden sibling name, in which the card is written last, and renamed when it is whole:
an interrupted build leaves nothing that looks finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch

from adora_mm.distributed import keep_freed_memory
from adora_mm.files import sync, sync_tree, write_atomically
from adora_mm.processor import Processor
from adora_mm.rollout import Sampling, build_backend
from adora_mm.types import Problem
from adora_mm.verify import check_response
from data_prep.drawing import render
from data_prep.perception import Label, Perception, train_eyes
from data_prep.synthetic import generate, generate_layouts
from data_prep.tiny_model import PATCH, build_model, build_tokenizer, save_folder
from data_prep.warm_start import (
    FORMS,
    Example,
    WarmStart,
    encode_example,
    patchify,
    solution_text,
    train,
)

FAMILIES = (
    "triangle_angle_sum",
    "exterior_angle",
    "linear_pair",
    "quadrilateral_angle_sum",
)
"""What the warm start sees: angle arithmetic, the easiest to read and to compute."""
SHARD = 500
CARD = "warm_start.json"
"""The card's file, the last one of a finished folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """Arguments of the training pictures; all from the training split."""

    count: int = 20_000
    families: tuple[str, ...] = FAMILIES
    image_px: int = 140
    label_grid_px: int = PATCH
    """Labels lie on the grid of the vision tower's patches: with labels anywhere, a tower of this
    size read 18 % of the numbers after 1,400 steps; on the grid 85 % after 250."""
    seed: int = 7
    workers: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A training problem with its pixels and where its labels stand."""

    problem: Problem
    pixels: np.ndarray
    labels: tuple[Label, ...]


def build(
    out: Path,
    pictures: Pictures,
    perception: Perception,
    settings: WarmStart,
    *,
    held_out: int,
    log: Callable[[str], None],
) -> dict[str, Any]:
    """Draw, build, train and save; returns what is written to `warm_start.json`.

    Raises ValueError when `out` exists. Nothing is left at `out` unless the build gets to its end.
    """
    with finished_folder(out) as partial:
        card = _build(partial, pictures, perception, settings, held_out=held_out, log=log)
        sync_tree(partial)
        write_atomically(partial / CARD, json.dumps(card, indent=2) + "\n")
    return card


def _build(
    out: Path,
    pictures: Pictures,
    perception: Perception,
    settings: WarmStart,
    *,
    held_out: int,
    log: Callable[[str], None],
) -> dict[str, Any]:
    keep_freed_memory()
    drawn = list(draw_pictures(pictures))
    log(f"{len(drawn)} pictures drawn")
    tokenizer = build_tokenizer(text for item in drawn[:4000] for text in _texts(item.problem))
    model = build_model(tokenizer, seed=settings.seed)
    save_folder(out, model, tokenizer)
    processor = Processor(out)
    train_eyes(
        model,
        lambda images: patchify(images, processor.image_processor),
        [item.pixels for item in drawn],
        [item.labels for item in drawn],
        perception,
        report=lambda step, loss, read, step_s: log(
            f"eyes {step}/{perception.steps}  loss {loss:.4f}  read {read:.1%}  {step_s:.2f} s/step"
        ),
    )
    examples = [encode_example(processor, item.problem, item.pixels) for item in drawn]
    train(
        model,
        processor,
        examples,
        settings,
        report=lambda step, loss, step_s: log(
            f"step {step}/{settings.steps}  loss {loss:.4f}  {step_s:.2f} s/step"
        ),
    )
    # bfloat16 halves the file; accuracy is measured on what is saved.
    save_folder(out, model.to(torch.bfloat16), tokenizer)
    return {
        "pictures": asdict(pictures),
        "perception": asdict(perception),
        "warm_start": asdict(settings),
        "parameters": sum(p.numel() for p in model.parameters()),
        "data_fingerprint": fingerprint(examples),
        "held_out": accuracy(out, pictures, held_out),
    }


@contextmanager
def finished_folder(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` that takes its name when the block ends, or else goes away.

    Its name holds the process id, so that two builds never write into one folder. Raises ValueError
    when `out` exists.
    """
    out = out.absolute()
    if out.exists():
        raise ValueError(f"{out} exists; choose another folder")
    partial = out.with_name(f".{out.name}.{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        yield partial
        partial.rename(out)
        sync(out.parent)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def accuracy(folder: Path, pictures: Pictures, count: int) -> dict[str, Any]:
    """Greedy and sampled accuracy on held-out (val) problems, with the share of each form."""
    if count == 0:
        return {}
    processor = Processor(folder)
    held_out = list(
        generate(
            count=count,
            split="val",
            seed=pictures.seed,
            families=pictures.families,
            image_px=pictures.image_px,
            label_grid_px=pictures.label_grid_px,
        )
    )
    prompts = [processor.encode_images(problem, [image]) for problem, image in held_out]
    backend = build_backend("transformers", str(folder), processor)
    table: dict[str, Any] = {"problems": count}
    for mode, temperature, samples in (("greedy", 0.0, 1), ("sampled", 1.0, 4)):
        sampling = Sampling(
            num_completions=samples, max_new_tokens=96, temperature=temperature, seed=1
        )
        completions = backend.generate(prompts, sampling)
        texts = [
            (completion.text, problem)
            for (problem, _), row in zip(held_out, completions, strict=True)
            for completion in row
        ]
        table[mode] = _by_form(texts)
    backend.close()
    return table


def form_of(text: str) -> str:
    """Which of FORMS a response has."""
    sentences = text.partition("\\boxed")[0].count(". ")
    return "direct" if sentences == 0 else "brief" if sentences == 1 else "full"


def _by_form(texts: Sequence[tuple[str, Problem]]) -> dict[str, dict[str, float]]:
    right: dict[str, list[bool]] = {name: [] for name in ("all", *FORMS)}
    for text, problem in texts:
        correct = check_response(text, problem.answer).correct
        right["all"].append(correct)
        right[form_of(text)].append(correct)
    return {
        name: {"share": len(hits) / len(texts), "accuracy": sum(hits) / len(hits)}
        for name, hits in right.items()
        if hits
    }


def draw_pictures(pictures: Pictures) -> Iterator[Drawn]:
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


def _draw_shard(shard: Pictures) -> list[Drawn]:
    layouts = generate_layouts(
        count=shard.count,
        split="train",
        seed=shard.seed,
        families=shard.families,
        image_px=shard.image_px,
        variants=shard.count,
        label_grid_px=shard.label_grid_px,
    )
    return [
        Drawn(
            problem=problem,
            pixels=np.asarray(render(plan).convert("RGB")),
            labels=tuple(
                Label(
                    text=label.text,
                    x=(label.left + label.right) / 2,
                    y=(label.top + label.bottom) / 2,
                )
                for label in plan.labels
            ),
        )
        for problem, plan in layouts
    ]


def _texts(problem: Problem) -> list[str]:
    return [problem.question, *(solution_text(problem, form) for form in FORMS)]
