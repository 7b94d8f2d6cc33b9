"""A folder for whole runs of the trainer: a tiny random policy, a few problems, a recipe."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

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


def write_pairs(root: Path, *, count: int = 6) -> list[str]:
    """Chat messages with two pictures each, of sizes of their own; the words that train on them.

    One picture is larger than the model's own limit (64 merged patches), which the run raises, and
    one smaller than its lower limit (4).
    """
    large = {"resized_height": 224, "resized_width": 308}
    problems = []
    for number in range(count):
        names = [f"{root}/pair-{number}-{side}.png" for side in range(2)]
        for side, name in enumerate(names):
            Image.new("RGB", (120 + 9 * number, 80 + 60 * side), (30 * number, 90, 200)).save(name)
        parts = [
            {"type": "text", "text": "Is"},
            {"type": "image", "image": names[0], **(large if number % 2 else {})},
            {"type": "text", "text": "inside"},
            {"type": "image", "image": f"file://{names[1]}", "min_pixels": 1, "max_pixels": 2000},
        ]
        messages = [{"role": "user", "content": parts}]
        problems.append({"id": f"pair-{number}", "messages": messages, "answer": "65"})
    file = root / "pairs.jsonl"
    file.write_text("".join(json.dumps(problem) + "\n" for problem in problems))
    return [f"data.train={file}", "data.val=null", "data.max_pixels=200000"]


def train(root: Path, name: str, *words: str) -> int:
    """Run the folder's recipe in this process; the exit code."""
    return main(["train", str(root / "recipe.yaml"), f"name={name}", *words])


def rows(root: Path, name: str, file: str = "metrics") -> list[dict[str, Any]]:
    """What a run wrote to one of its JSON-lines files."""
    text = (root / "runs" / name / f"{file}.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]
