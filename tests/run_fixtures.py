"""A folder for whole runs of the trainer: a tiny random policy, a few problems, a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from adora_mm.cli import main
from data_prep.synthetic import write_synthetic
from data_prep.tiny_model import build_model, build_tokenizer, save_folder


def write_run_folder(
    root: Path, recipe: str, *, families: tuple[str, ...], problems: int = 10, held_out: int = 4
) -> Path:
    """Fill `root` with model/, data/ (splits train and val) and recipe.yaml; `root` again.

    `{root}` in the recipe becomes the folder.
    """
    tokenizer = build_tokenizer(["Find x. 47+68=115. \\boxed{65}"], vocab_size=300)
    tiny = build_model(
        tokenizer, hidden_size=64, num_layers=1, vision_hidden_size=64, vision_depth=1
    )
    save_folder(root / "model", tiny, tokenizer)
    counts = {"train": problems, "val": held_out}
    write_synthetic(root / "data", counts=counts, seed=0, families=families, image_px=112)
    (root / "recipe.yaml").write_text(recipe.format(root=root))
    return root


def train(root: Path, name: str, *words: str) -> int:
    """Run the folder's recipe in this process; the exit code."""
    return main(["train", str(root / "recipe.yaml"), f"name={name}", *words])


def rows(root: Path, name: str, file: str = "metrics") -> list[dict[str, Any]]:
    """What a run wrote to one of its JSON-lines files."""
    text = (root / "runs" / name / f"{file}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]
