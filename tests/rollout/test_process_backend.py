"""An engine in another process: the same completions, weights that arrive, errors that are told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from adora_mm.faults import RunFault
from adora_mm.processor import Processor, Prompt
from adora_mm.rollout import Sampling, build_backend
from adora_mm.rollout.process import ProcessBackend
from adora_mm.types import Completion, Problem
from data_prep.tiny_model import build_model, build_tokenizer, save_folder

SAMPLING = Sampling(num_completions=3, max_new_tokens=8, temperature=1.0, seed=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("process") / "model"
    tokenizer = build_tokenizer(["Find x. 47+68=115."], vocab_size=300)
    save_folder(folder, build_model(tokenizer, hidden_size=64, num_layers=1), tokenizer)
    return folder


@pytest.fixture(scope="module")
def processor(model: Path) -> Processor:
    return Processor(model)


@pytest.fixture(scope="module")
def prompts(processor: Processor) -> list[Prompt]:
    return [processor.encode(Problem(id=str(n), question="Find x. " * n, answer="1"))
            for n in (1, 3, 2)]  # fmt: skip


@pytest.fixture
def engine(model: Path, processor: Processor) -> Iterator[ProcessBackend]:
    backend = build_backend("transformers_process", str(model), processor)
    assert isinstance(backend, ProcessBackend)
    yield backend
    backend.close()


def inside(model: Path, processor: Processor) -> Any:
    return build_backend("transformers", str(model), processor)


def test_it_generates_what_the_engine_inside_generates(
    engine: ProcessBackend, model: Path, processor: Processor, prompts: list[Prompt]
) -> None:
    heard: dict[int, list[Completion]] = {}
    groups = engine.generate(prompts, SAMPLING, heard.__setitem__)
    assert groups == inside(model, processor).generate(prompts, SAMPLING)
    assert heard == dict(enumerate(groups))


def test_new_weights_arrive(
    engine: ProcessBackend, model: Path, processor: Processor, prompts: list[Prompt]
) -> None:
    own = inside(model, processor)
    before = engine.generate(prompts, SAMPLING)
    with torch.no_grad():
        for parameter in own.model.parameters():
            parameter.mul_(1.3)
    engine.update_weights(own.model.named_parameters(), version=1)
    assert engine.generate(prompts, SAMPLING) == own.generate(prompts, SAMPLING) != before


@pytest.mark.parametrize("fault", ["missing", "unknown", "shape"])
def test_incomplete_weights_are_refused_and_the_next_call_works(
    engine: ProcessBackend, model: Path, processor: Processor, prompts: list[Prompt], fault: str
) -> None:
    weights = list(inside(model, processor).model.named_parameters())
    broken = {
        "missing": weights[:-1],
        "unknown": [("nobody", weights[0][1]), *weights],
        "shape": [(weights[0][0], weights[0][1][:1]), *weights[1:]],
    }[fault]
    with pytest.raises(ValueError, match="weight sync"):
        engine.update_weights(broken, version=1)
    engine.update_weights(weights, version=1)
    engine.sleep()
    engine.wake()
    assert len(engine.generate(prompts, SAMPLING)) == 3


def test_a_process_that_dies_is_told_in_one_line(
    engine: ProcessBackend, prompts: list[Prompt]
) -> None:
    pid = engine._process.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(RunFault, match=r"rollout process died \(exit code -9") as told:
        engine.generate(prompts, SAMPLING)
    assert "\n" not in str(told.value)


def test_a_model_that_cannot_be_loaded_is_told_as_without_a_process(
    tmp_path: Path, processor: Processor
) -> None:
    with pytest.raises(Exception, match="nowhere"):
        build_backend("transformers_process", str(tmp_path / "nowhere"), processor)
