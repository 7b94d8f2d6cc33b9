"""The vLLM engine: which prompts, pictures and settings it gives, against a stand-in, and its
answers against those of the transformers engine, where vLLM is installed."""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from model_fixtures import TinyModels
from PIL import Image

from adora_mm.processor import Processor
from adora_mm.types import Problem
from evaluation.engines import SamplePlan, Shard
from evaluation.engines.vllm import VllmEngine, vllm_version
from evaluation.manifest import identity, read_manifest
from evaluation.responses import ResponseFile, read_responses

ROOT = Path(__file__).resolve().parents[2]
PLAN = SamplePlan(samples=2, temperature=1.0, top_p=0.9, max_new_tokens=7, seed=3, batch=2)


@dataclass
class Output:
    prompt_token_ids: list[int]
    outputs: list[Any]


@dataclass
class Completion:
    token_ids: list[int]
    finish_reason: str = "stop"


class StandIn(ModuleType):
    """`vllm` as far as the engine uses it; expands pictures to `features` tokens each."""

    def __init__(self, processor: Processor, features: int) -> None:
        super().__init__("vllm")
        self.built: dict[str, Any] = {}
        self.prompts: list[dict[str, Any]] = []
        self.sampling: list[dict[str, Any]] = []
        self._processor, self._features = processor, features

    def LLM(self, **options: Any) -> StandIn:
        self.built = options
        return self

    def SamplingParams(self, **options: Any) -> dict[str, Any]:
        return options

    def generate(
        self, prompts: Sequence[dict[str, Any]], sampling: Sequence[Any], *, use_tqdm: bool
    ) -> list[Output]:
        self.prompts += prompts
        self.sampling += sampling
        outputs = []
        for prompt in prompts:
            images = len(prompt.get("multi_modal_data", {}).get("image", []))
            expanded = prompt["prompt_token_ids"] + [0] * images * (self._features - 1)
            answer = self._processor.tokenizer("7")["input_ids"]
            outputs.append(Output(expanded, [Completion(answer)]))
        return outputs


@pytest.fixture
def processor(tiny_model: TinyModels) -> Processor:
    return tiny_model("qwen2_5_vl").processor


@pytest.fixture
def problems(tmp_path: Path) -> list[Problem]:
    Image.new("RGB", (56, 56)).save(tmp_path / "i.png")
    text = [Problem(id=f"t{i}", question=f"{i}?", answer="7") for i in range(3)]
    return [*text, Problem(id="p", question="?", answer="7", images=(tmp_path / "i.png",))]


def build(
    monkeypatch: pytest.MonkeyPatch,
    processor: Processor,
    features: int,
    window: int = 4096,
    **limits: int | None,
) -> tuple[StandIn, VllmEngine]:
    stand_in = StandIn(processor, features)
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    monkeypatch.setattr("evaluation.engines.vllm.window_tokens", lambda model: window)
    pixels = {"min_pixels": None, "max_pixels": None} | limits
    engine = VllmEngine(
        "model",
        processor,
        dtype="bfloat16",
        max_new_tokens=7,
        max_prompt_tokens=100,
        max_images=1,
        **pixels,
    )
    return stand_in, engine


def test_each_sample_is_a_request_with_our_tokens_and_its_seed(
    monkeypatch: pytest.MonkeyPatch, processor: Processor, problems: list[Problem], tmp_path: Path
) -> None:
    features = len(processor.encode(problems[3]).token_ids)
    features -= len(processor.encode(problems[3]).unexpanded_ids) - 1
    stand_in, engine = build(monkeypatch, processor, features, max_pixels=5000)
    done = ResponseFile(tmp_path / "r.jsonl", "run")
    for rows in engine.answer(problems, PLAN, done, Shard()):
        done.append(rows)
    found = read_responses(tmp_path / "r.jsonl", "run")
    assert set(found) == {f"{p.id}#{k}" for p in problems for k in range(2)}
    assert {row.text for row in found.values()} == {"7"}
    assert stand_in.built["max_model_len"] == 107
    assert stand_in.built["mm_processor_kwargs"] == {"max_pixels": 5000}
    assert len({params["seed"] for params in stand_in.sampling}) == 8
    assert stand_in.sampling[0]["top_p"] == 0.9
    assert set(stand_in.sampling[0]["logit_bias"]) == set(processor.banned_token_ids)
    last = stand_in.prompts[-1]
    assert last["prompt_token_ids"].count(processor.image_token_id) == 1
    assert [image.size for image in last["multi_modal_data"]["image"]] == [(56, 56)]
    assert "multi_modal_data" not in stand_in.prompts[0]
    assert list(engine.answer(problems, PLAN, done, Shard())) == []


def test_other_pixel_limits_stop_the_run(
    monkeypatch: pytest.MonkeyPatch, processor: Processor, problems: list[Problem], tmp_path: Path
) -> None:
    _, engine = build(monkeypatch, processor, features=99)
    done = ResponseFile(tmp_path / "r.jsonl", "run")
    with pytest.raises(ValueError, match="give --min-pixels and --max-pixels"):
        list(engine.answer(problems, PLAN, done, Shard()))


def test_without_the_package_there_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, processor: Processor
) -> None:
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ValueError, match=r"pip install -r requirements/gpu\.txt"):
        VllmEngine(
            "model",
            processor,
            dtype="bfloat16",
            max_new_tokens=7,
            max_prompt_tokens=100,
            min_pixels=None,
            max_pixels=None,
            max_images=1,
        )


def test_the_window_is_no_longer_than_the_models(
    monkeypatch: pytest.MonkeyPatch, processor: Processor
) -> None:
    """vLLM refuses to start with room for more tokens than the model takes."""
    stand_in, _ = build(monkeypatch, processor, features=1, window=64)
    assert stand_in.built["max_model_len"] == 64


@pytest.mark.vllm
@pytest.mark.slow
@pytest.mark.parametrize("pictures", [True, False])
def test_greedy_answers_are_those_of_the_transformers_engine(
    pictures: bool, shared_data: Path, tmp_path: Path
) -> None:
    """The embedded policy on real problems, through the command, each engine in its own process."""
    source = shared_data / ("mathvision" if pictures else "text/math500.jsonl")
    benchmark = "mathvision_mini" if pictures else "math500"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "VLLM_CPU_KVCACHE_SPACE": "1"}
    found = {}
    for backend in ("transformers", "vllm"):
        out = tmp_path / backend
        words = f"generate {benchmark} --model embedded --backend {backend} --limit 8"
        words += " --max-new-tokens 16 --max-prompt-tokens 3000"
        command = [sys.executable, "-m", "evaluation", *words.split()]
        command += ["--data", str(source), "--out", str(out)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
        rows = read_responses(out / "responses.jsonl", identity(read_manifest(out)))
        assert ("vllm" in read_manifest(out)["versions"]) == (backend == "vllm")
        found[backend] = [
            (row.id, row.text, row.finish_reason, row.num_tokens) for row in rows.values()
        ]
    assert len(found["vllm"]) == 8
    assert len({text for _, text, _, _ in found["vllm"]}) > 1
    assert sorted(found["vllm"]) == sorted(found["transformers"])


def test_the_manifest_cannot_be_written_without_the_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("evaluation.engines.vllm.importlib.metadata.version", absent)
    with pytest.raises(ValueError, match=r"pip install -r requirements/gpu\.txt"):
        vllm_version()
