"""The second start of the study: a policy for which answering at once is as good as working it out.

    python benchmarks/adora_study/start.py --out runs/adora_study/even_start

The embedded policy is right in 47 % of its worked solutions and in 2 % of its direct answers. Here
it is trained on, supervised, with one family (`linear_pair`: 180 minus an angle), half of the
examples worked solutions and half direct answers, until it has learned the subtraction by heart.
`warm_start.json` says how often each form comes and how often it is right.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from adora_mm.distributed import keep_freed_memory
from adora_mm.files import write_atomically
from adora_mm.models import EMBEDDED_POLICY, load_policy
from adora_mm.processor import Processor
from data_prep.tiny_model import save_folder
from data_prep.tiny_policy import CARD, Pictures, accuracy, draw_pictures, finished_folder
from data_prep.warm_start import WarmStart, encode_example, train

PICTURES = Pictures(count=4_000, families=("linear_pair",), seed=11)
SETTINGS = WarmStart(
    steps=600,
    learning_rate=1e-3,
    full_only_until=0.0,
    mixture=(0.5, 0.0, 0.5),
    eyes_open_from=0.9,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=SETTINGS.steps)
    arguments = parser.parse_args()
    build(arguments.out, steps=arguments.steps)
    return 0


def build(out: Path, *, steps: int = SETTINGS.steps) -> None:
    """Train the start and write it as a model folder with a card. Raises ValueError if `out` is."""
    keep_freed_memory()
    torch.manual_seed(0)
    processor = Processor(EMBEDDED_POLICY)
    model = load_policy(EMBEDDED_POLICY, dtype=torch.float32)
    examples = [
        encode_example(processor, item.problem, item.pixels) for item in draw_pictures(PICTURES)
    ]
    settings = WarmStart(**(asdict(SETTINGS) | {"steps": steps}))
    train(model, processor, examples, settings, report=_report)
    with finished_folder(out) as partial:
        save_folder(partial, model.to(torch.bfloat16), processor.tokenizer)
        card = {
            "pictures": asdict(PICTURES),
            "warm_start": asdict(settings),
            "held_out": accuracy(partial, PICTURES, 300),
        }
        write_atomically(partial / CARD, json.dumps(card, indent=2) + "\n")
    print(json.dumps(card["held_out"], indent=1))


def _report(step: int, loss: float, seconds: float) -> None:
    print(f"step {step}/{SETTINGS.steps}  loss {loss:.4f}  {seconds:.2f} s/step", flush=True)


if __name__ == "__main__":
    sys.exit(main())
