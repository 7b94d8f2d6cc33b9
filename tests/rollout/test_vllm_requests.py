"""What vLLM is sent, without vLLM: sampling fields, seeds, pictures as the trainer sees them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from model_fixtures import TinyModels

from adora_mm.rollout import Sampling
from adora_mm.rollout.vllm_requests import (
    StaleAnswer,
    check_prompt,
    check_version,
    completion_of,
    group_of,
    pictures,
    request_seed,
    sampling_fields,
    stop_token_ids,
)
from adora_mm.types import Completion, Problem

SAMPLING = Sampling(num_completions=4, max_new_tokens=9, temperature=0.7, seed="0/3/0")


@pytest.mark.parametrize("kind", ["qwen2_5_vl", "qwen3_vl"])
def test_pictures_come_back_from_their_patches(tiny_model: TinyModels, kind: str) -> None:
    """Encoded again they give the same patches, so resizing leaves them alone."""
    tiny = tiny_model(kind)
    counts = []
    for case, prompt in zip(tiny.cases, tiny.prompts, strict=True):
        images = pictures(prompt, tiny.processor)
        counts.append(len(images))
        again = tiny.processor.encode_images(case.problem, images)
        assert again.token_ids == prompt.token_ids
        if images:
            assert again.pixel_values is not None
            assert prompt.pixel_values is not None
            assert torch.equal(again.pixel_values, prompt.pixel_values)
    assert counts == [0, 1, 2, 1, 0]


def test_a_picture_that_fits_comes_back_as_it_was(tiny_model: TinyModels) -> None:
    from model_fixtures import picture

    processor = tiny_model("qwen2_5_vl").processor
    image = picture(84, 56, 3)
    prompt = processor.encode_images(Problem(id="p", question="?", answer="1"), [image])
    (found,) = pictures(prompt, processor)
    assert found.size == (84, 56)
    assert found.tobytes() == image.tobytes()


def test_fields_say_all_that_decides_a_completion(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    stop = stop_token_ids(tiny.folder)
    assert set(stop) == set(tiny.load().generation_config.eos_token_id)
    fields = sampling_fields(tiny.prompts[0], SAMPLING, banned=(7, 8), stop=stop)
    assert fields["n"] == 4
    assert fields["max_tokens"] == 9
    assert fields["temperature"] == 0.7
    assert fields["ignore_eos"] is True
    assert fields["stop_token_ids"] == list(stop)
    assert fields["logit_bias"] == {7: -100.0, 8: -100.0}
    greedy = replace(SAMPLING, temperature=0.0)
    assert sampling_fields(tiny.prompts[0], greedy, banned=(), stop=stop)["n"] == 1
    with pytest.raises(ValueError, match=r"top_p=0\.9 does not work with vLLM"):
        sampling_fields(tiny.prompts[0], replace(SAMPLING, top_p=0.9), banned=(), stop=stop)


def test_seeds_depend_on_the_run_and_the_problem_alone() -> None:
    seeds = {request_seed(seed, problem) for seed in ("0/1/0", "0/2/0", 5) for problem in "abc"}
    assert len(seeds) == 9
    assert all(0 <= seed < 2**62 for seed in seeds)
    assert request_seed("0/1/0", "a") == request_seed("0/1/0", "a")


def test_another_prompt_or_other_weights_are_refused(tiny_model: TinyModels) -> None:
    prompt = tiny_model("qwen2_5_vl").prompts[1]
    check_prompt(prompt, list(prompt.token_ids))
    for wrong in (prompt.unexpanded_ids, (*prompt.token_ids[:-1], 3)):
        with pytest.raises(ValueError, match="problem wide: vLLM made"):
            check_prompt(prompt, wrong)
    check_version(["a-3", "a-3"], "a-3", where="it")
    for found in ([], ["a-2"], ["a-3", "a-2"]):
        with pytest.raises(StaleAnswer, match="not a-3"):
            check_version(found, "a-3", where="it")


def test_a_failed_completion_is_an_error_and_an_aborted_one_is_marked(
    tiny_model: TinyModels,
) -> None:
    processor = tiny_model("qwen2").processor
    assert completion_of(processor, [5], [-1.0], "abort").finish_reason == "abort"
    with pytest.raises(RuntimeError, match="ended a completion with error"):
        completion_of(processor, [5], [-1.0], "error")


def test_one_greedy_completion_stands_for_the_group() -> None:
    one = Completion(token_ids=(1,), text="a", finish_reason="stop", logprobs=(0.0,))
    assert group_of([one], SAMPLING) == [one] * 4
    assert group_of([one] * 4, SAMPLING) == [one] * 4
