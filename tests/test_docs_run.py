"""The docs' commands, run: in a folder of their own, on small data, with a few words that make them
short. What is not run here has its reason beside it, and where it can be the test that does run it.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest
from test_docs import COMMAND_LINES

from adora_mm.cli import main
from data_prep.synthetic import write_synthetic

TRAIN = (
    "data.generate.counts={train: 8, val: 4, test: 4}", "train.total_steps=1",
    "rollout.prompts_per_step=4", "rollout.group_size=2", "rollout.max_new_tokens=8",
    "train.prompts_per_minibatch=4", "evaluation.samples=0", "checkpoint.every_steps=0",
)  # fmt: skip
COUNT = ("--count", "train=8", "val=4")

RUN: dict[str, tuple[str, ...]] = {
    # README.md
    "bash configs/run_geo3k.sh": TRAIN,
    "bash configs/run_geo3k.sh geo3k_tiny name=grpo": TRAIN,
    "bash configs/run_geo3k.sh --resume": TRAIN,
    "adora prep gsm8k --out data/gsm8k --from ~/grade-school-math/data": (),
    "bash configs/run_geo3k.sh name=real": TRAIN,
    "adora report runs/geo3k_tiny": (),
    "adora report runs/geo3k_tiny runs/grpo": (),
    "adora prep audit data/geo3k --recipe": (),
    "adora train geo3k_tiny --resume": TRAIN,
    # plan.md
    "adora plan geo3k_tiny": (),
    "adora plan geo3k_qwen25vl_7b --gpu h100": (),
    "adora plan geo3k_qwen25vl_7b --gpu-gb 48": (),
    "adora plan geo3k_qwen25vl_3b_lora --gpu l40s --json": (),
    "adora train geo3k_tiny rollout.overlap=one_step": (*TRAIN, "name=ahead"),
    "adora train geo3k_tiny policy.lora.rank=16": (*TRAIN, "name=lora"),
    # data.md
    "adora prep list": (),
    "adora prep list ~/datasets": (),
    "adora prep synthetic --out data/synth": COUNT,
    "adora prep synthetic --out data/easy": COUNT,
    "adora prep math500 --out data/math500": (),
    "adora prep kk --out data/kk": (),
    "adora prep jsonl --out data/own": (),
    "adora prep audit data/geo3k@train --recipe": (),
    "adora prep audit data/geo3k@train --against": (),
    "adora prep filter data/geo3k@train --audit": (),
    "adora prep mix data/geo3k@train=3": (),
    "adora prep split data/mine": (),
    "adora prep split data/synth --by": (),
    "adora prep difficulty data/geo3k@train": (),
    "adora prep filter data/geo3k@train --rates rates.jsonl --min": ("--max", "1", "--min", "0"),
    "adora prep filter data/geo3k@train --rates rates.jsonl --stages": (),
    # evaluation.md
    "adora eval list --get": (),
    "adora eval --model embedded --data data/geo3k_tiny@test": ("--max-new-tokens", "8"),
    "adora eval --model runs/geo3k_tiny/checkpoints/step-000050/policy": ("--max-new-tokens", "8"),
}
"""Start of a command to the words that are put behind it, in the order in which they are run."""

FORM = "the form of a command, with names to fill in"
MINUTES = "takes minutes to hours; the numbers beside it in the docs say on what"
CONVERTED = "needs the original folders; tests/data_prep converts parts of them"
NETWORK = "fetches from the hub or a package registry, which no test does"
GPUS = "needs GPUs; two processes are run by tests/test_engine.py, two machines by test_nodes.py"
SCRIPTS = "run with stand-ins for the tools by tests/test_launch_scripts.py"
VLLM = "needs vLLM: tests/test_vllm_training.py"
HERE = "runs this very suite, or parts of it"
NOT_RUN: dict[str, str] = {
    "bash tests/run.sh": HERE,
    "adora train RECIPE": FORM,
    "adora plan RECIPE": FORM,
    "adora eval --model M": FORM,
    "adora prep SOURCE": FORM,
    "adora eval run BENCHMARK": FORM,
    "adora eval compare O1": FORM,
    "adora eval score --responses": FORM,
    "adora check --gold G": FORM,
    "adora report RUN": FORM,
    "adora doctor": "run by tests/test_doctor.py",
    "NPROC=2": "two processes: tests/test_launch_scripts.py and tests/test_engine.py",
    "adora prep geometry3k": CONVERTED,
    "adora prep mathvision": CONVERTED,
    "adora prep gsm8k --from PATH": CONVERTED,
    "adora prep parquet": CONVERTED,
    "adora eval run mathvision_mini": CONVERTED,
    "adora eval compare results/start": "two `adora eval run`s: tests/evaluation/test_stages.py",
    "adora prep amc83": NETWORK,
    "adora prep math --out data/math --from EleutherAI": NETWORK,
    "adora train geo3k_tiny rollout.backend=vllm": VLLM,
    "adora train geo3k_qwen25vl_7b rollout.backend=vllm_server": GPUS,
    "NNODES=2": SCRIPTS,
    "ADORA_PROFILE=gpu": SCRIPTS,
    "sbatch": SCRIPTS,
    "torchrun": GPUS,
    "deepspeed": GPUS,
    "python -m verl": GPUS,
    "python -c": "needs verl; tests/integrations/test_verl.py",
    "python benchmarks/": MINUTES,
    "adora prep tiny-policy": MINUTES,
    "adora report runs/geo3k_tiny --live": "serves until Ctrl-C: tests/report/test_report_live.py",
    "PYTHONPATH=. python tests/kill_worker.py": "three points: tests/test_kill_and_resume.py",
}
"""Start of a command to the reason why it is not run here."""


def plain(line: str) -> str:
    """Without comment and repeated spaces."""
    return " ".join(line.split("#")[0].split())


def longest(line: str, starts: dict[str, tuple[str, ...]] | dict[str, str]) -> str:
    """The longest of the starts that the command has, or nothing."""
    return max((s for s in starts if f"{line} ".startswith(s)), key=len, default="")


LINES = {plain(line): longest(plain(line), RUN) for _, line in COMMAND_LINES}


def test_every_command_is_run_or_has_a_reason() -> None:
    unknown = [line for line, start in LINES.items() if not start and not longest(line, NOT_RUN)]
    assert unknown == []
    assert {start for start in LINES.values() if start} == set(RUN), "each is in the docs"
    reasons = {longest(line, NOT_RUN) for line in LINES}
    assert set(NOT_RUN) <= reasons, "no reason for what is not there"


def to_run() -> list[str]:
    """The commands in the order of `RUN`, those that the docs give twice once."""
    chosen: dict[str, str] = {}
    for line, start in LINES.items():
        if start and len(start) > len(longest(line, NOT_RUN)):
            chosen.setdefault(start, line)
    return [chosen[start] for start in RUN if start in chosen]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Path:
    """What the commands find: data folders, originals of text sources, a home."""
    root = tmp_path_factory.mktemp("docs")
    counts = {"train": 8, "val": 4, "test": 4}
    for number, name in enumerate(("geo3k", "mathvision", "mathverse", "mine")):
        split = {"test": 4} if name.startswith("math") else counts
        write_synthetic(
            root / "data" / name, counts=split, seed=10 + number, image_px=140,
            families=["linear_pair", "triangle_angle_sum"],
        )  # fmt: skip
    (root / "datasets").mkdir()
    texts = shared_data / "text"
    original = root / "grade-school-math" / "data"
    original.mkdir(parents=True)
    for split in ("train", "test"):
        lines = (texts / f"gsm8k_{split}.jsonl").read_text("utf-8").splitlines()[:20]
        (original / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    math = (texts / "math500.jsonl").read_text("utf-8").splitlines()[:20]
    (root / "math500.jsonl").write_text("\n".join(math) + "\n")
    rows = [json.dumps(ROW | {"unique_id": f"{number}"}) for number in range(3)]
    (root / "rows.jsonl").write_text("\n".join(rows) + "\n")
    shutil.copytree(shared_data / "kk", root / "ADORA" / "data" / "kk" / "instruct")
    return root


ROW = {"problem": "What is 1 + 1?", "answer": "2", "subject": "algebra", "level": 1}


@pytest.mark.slow
@pytest.mark.parametrize("line", to_run())
def test_a_command_of_the_docs_runs(
    line: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = RUN[LINES[line]]
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(folder))
    line = line.replace("step-000050", "step-000001")  # the run here has one step
    words = [re.sub(r"^~(?=/)", str(folder), word) for word in shlex.split(line)]
    if words[0] == "bash":  # the script makes an environment and calls this: test_launch_scripts.py
        words = ["adora", "train", *words[2:]]
        words[2:2] = [] if words[2:3] and words[2].startswith("geo3k") else ["geo3k_tiny"]
    assert words[0] == "adora"
    code = main([*words[1:], *extra])
    assert code in ((0, 1) if "audit" in words else (0,)), capsys.readouterr().err
