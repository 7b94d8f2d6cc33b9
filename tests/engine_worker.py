"""Run by the engine tests under torchrun: the same fixed batch, whatever the number of processes.

    engine_worker.py MODEL OUT STAGE [--load FOLDER] [--save FOLDER] [--updates N] [--kl COEF]
        [--batching NAME] [--max-tokens N] [--checkpointing] [--recompute-old]
        [--without-signal GROUP ...] [--keep-all] [--lora] [--dtype NAME] [--rate RATE]
        [--offload]

Six groups of three completions: two prompts without an image, two with one, two with two images of
other sizes, so that ranks differ in images and lengths. OUT gets weights and metrics of rank 0.
"""

from __future__ import annotations

import argparse
import json
import math
import random
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file

from adora_mm import distributed
from adora_mm.batching import TrainGroup, rank_share
from adora_mm.checkpoint import load_checkpoint, save_checkpoint
from adora_mm.config import EngineConfig, LoraConfig, LossConfig, PolicyConfig, TrainConfig
from adora_mm.engine import Engine
from adora_mm.processor import Processor
from adora_mm.step import minibatches_of
from adora_mm.types import Completion, Problem

NUM_IMAGES = (0, 0, 1, 1, 2, 2)
GROUP_SIZE = 3


def fixed_groups(processor: Processor) -> list[TrainGroup]:
    rng = random.Random(0)
    groups = []
    for index, count in enumerate(NUM_IMAGES):
        problem = Problem(id=str(index), question="Find x. " * (index + 1), answer="1")
        images = [
            Image.new("RGB", (56 + 28 * k + 28 * (index % 2), 84), (40 * index, 200, 60 * k))
            for k in range(count)
        ]
        drawn = [
            tuple(rng.randrange(10, 90) for _ in range(rng.randint(2, 12)))
            for _ in range(GROUP_SIZE)
        ]
        completions = tuple(
            Completion(
                token_ids=tokens, text="", finish_reason="stop", logprobs=(-5.0,) * len(tokens)
            )
            for tokens in drawn
        )
        groups.append(
            TrainGroup(
                prompt=processor.encode_images(problem, images),
                completions=completions,
                advantages=tuple(rng.gauss(0, 1) for _ in range(GROUP_SIZE)),
                counted=(True, True, index != 3),
            )
        )
    return groups


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("stage", type=int)
    parser.add_argument("--load", type=Path)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--updates", type=int, default=2)
    parser.add_argument("--kl", type=float, default=0.1)
    parser.add_argument("--batching", default="prefix")
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--recompute-old", action="store_true")
    parser.add_argument("--without-signal", type=int, nargs="*", default=[])
    parser.add_argument("--keep-all", action="store_true")
    parser.add_argument("--poison-rank", type=int, help="its first update has advantages of NaN")
    parser.add_argument("--lora", action="store_true", help="with another rate for the tower's")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--offload", action="store_true", help="optimizer; parameters at stage 3")
    arguments = parser.parse_args()

    rank, world_size, device = distributed.start(threads=1)
    processor = Processor(arguments.model)
    loss = LossConfig(kl_coef=arguments.kl)
    engine = Engine(
        arguments.model,
        policy=PolicyConfig(
            path=str(arguments.model),
            dtype=arguments.dtype,
            gradient_checkpointing=arguments.checkpointing,
            lora=LoraConfig(rank=4, vision=True) if arguments.lora else None,
        ),
        train=TrainConfig(
            total_steps=1,
            learning_rate=arguments.rate,
            vision_learning_rate=arguments.rate / 5 if arguments.lora else None,
            groups_per_microbatch=1 if world_size == 2 else 4,
            max_tokens_per_microbatch=arguments.max_tokens,
            batching=arguments.batching,
            grad_clip=1.0,
        ),
        engine=EngineConfig(
            zero_stage=arguments.stage,
            offload_optimizer=arguments.offload,
            offload_params=arguments.offload and arguments.stage == 3,
        ),
        loss=loss,
        temperature=1.0,
        banned_token_ids=processor.banned_token_ids,
        max_response_tokens=16,
        group_size=GROUP_SIZE,
        total_updates=10,
        device=device,
    )
    if arguments.load:
        load_checkpoint(arguments.load, engine)
    groups = [
        replace(group, advantages=(0.0,) * GROUP_SIZE) if i in arguments.without_signal else group
        for i, group in enumerate(fixed_groups(processor))
    ]
    share = rank_share(len(groups), len(groups), rank=rank, world_size=world_size)
    rows = []
    for number in range(arguments.updates):
        own = [groups[index] for index in share]
        if number == 0 and rank == arguments.poison_rank:
            own = [replace(group, advantages=(math.nan,) * GROUP_SIZE) for group in own]
        (minibatch,) = minibatches_of(
            own,
            # A KL term keeps every group in its micro-batch.
            LossConfig(kl_coef=1.0) if arguments.keep_all else loss,
            engine.train_config,
            num_minibatches=1,
            batching=engine.batching,
            pad=processor.pad_token_id,
        )
        scored = engine.add_logprobs(minibatch, on_policy=not arguments.recompute_old)
        rows.append(engine.update(scored) | {"microbatches": len(minibatch.micro_batches)})
    if arguments.save:
        save_checkpoint(arguments.save, engine, processor, {"step": len(rows)})
    weights = {name: weight.clone().contiguous() for name, weight in engine.named_weights()}
    if rank == 0:
        save_file(weights, arguments.out)
        arguments.out.with_suffix(".json").write_text(json.dumps(rows))
    distributed.barrier()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
