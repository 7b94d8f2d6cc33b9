"""Every command in the docs: recipes load with their overrides, files and folders are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from adora_mm.cli import COMMANDS
from adora_mm.config import load_config

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
STARTS = ("adora ", "bash ", "python ", "NPROC=", "NNODES=", "PYTHONPATH=", "ADORA_PROFILE=",
          "torchrun ", "deepspeed ", "sbatch ")  # fmt: skip


def commands() -> list[tuple[str, str]]:
    """(page, command) of every indented line that starts like one, continuations joined."""
    found = []
    for page in PAGES:
        text = re.sub(r"\\\n\s*", "", page.read_text(encoding="utf-8"))
        for line in text.splitlines():
            if line.startswith("    ") and line.strip().startswith(STARTS):
                # two commands side by side, as in the README's list
                found += [(page.name, c) for c in re.split(r"\s{3,}(?=adora )", line.strip())]
    return found


COMMAND_LINES = commands()


def test_there_are_commands() -> None:
    assert len(COMMAND_LINES) > 20
    assert {page for page, _ in COMMAND_LINES} >= {"README.md", "troubleshooting.md"}


@pytest.mark.parametrize(("page", "line"), COMMAND_LINES)
def test_a_command_of_the_docs_is_one_that_exists(page: str, line: str) -> None:
    words = shlex.split(line.split("#")[0])
    words = words[next(i for i, word in enumerate(words) if "=" not in word.split("/")[0]) :]
    scripts = [word for word in words if word.endswith((".sh", ".py", ".sbatch"))]
    for script in scripts:
        assert (ROOT / script).is_file(), f"{page}: {script}"
    if words[0] in ("torchrun", "deepspeed"):
        words = ["adora", *words[words.index("adora_mm.cli") + 1 :]]
    if words[0] == "adora":
        assert words[1] in COMMANDS, f"{page}: {line}"
    named = [word for word in words if (ROOT / f"configs/{word}.yaml").is_file()]
    if words[:2] in (["adora", "train"], ["adora", "plan"]):
        named = [word for word in words[2:3] if word.islower()]
    overrides = [word for word in words if re.match(r"[a-z_.]+=", word) and "resume=" not in word]
    runs = words[:2] in (["adora", "train"], ["adora", "plan"]) or "configs/run_geo3k.sh" in words
    if runs and "key=value" not in line:
        load_config(named[0] if named else "geo3k_tiny", overrides)  # ConfigError names the key
