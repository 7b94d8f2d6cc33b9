"""Prompts as the model gets them, against transformers' own processors and on real pictures."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from model_fixtures import KINDS, TEXT_KINDS, VISION_KINDS, TinyModels, picture, random_response
from PIL import Image
from transformers import AutoTokenizer, Qwen3Config

from adora_mm.models import ResponseScorer, collate_prompts, image_features
from adora_mm.processor import Processor, Prompt
from adora_mm.prompts import VISION_MARKERS, PromptError
from adora_mm.types import Problem


def same_pixels(first: Prompt, second: Prompt) -> bool:
    if first.pixel_values is None or second.pixel_values is None:
        return first.pixel_values is second.pixel_values
    return torch.equal(first.pixel_values, second.pixel_values)


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_equal_those_of_transformers(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    for case, prompt in zip(tiny.cases, tiny.prompts, strict=True):
        theirs = tiny.reference_inputs(case)
        assert list(prompt.token_ids) == theirs["input_ids"][0].tolist()
        assert prompt.problem_id == case.problem.id
        if not case.images:
            assert prompt.pixel_values is None
            assert prompt.image_grid_thw is None
            continue
        assert prompt.pixel_values is not None
        assert prompt.image_grid_thw is not None
        assert torch.equal(prompt.pixel_values, theirs["pixel_values"])
        assert torch.equal(prompt.image_grid_thw, theirs["image_grid_thw"])


@pytest.mark.parametrize("kind", VISION_KINDS)
@torch.no_grad()
def test_one_placeholder_per_feature_of_the_vision_tower(tiny_model: TinyModels, kind: str) -> None:
    tiny = tiny_model(kind)
    model = tiny.load()
    image_token = tiny.processor.image_token_id
    for case, prompt in zip(tiny.cases, tiny.prompts, strict=True):
        assert prompt.unexpanded_ids.count(image_token) == len(case.images)
        features = image_features(model, collate_prompts([prompt], 0))
        counts = [] if features is None else [len(part) for part in features.pooler_output]
        assert prompt.token_ids.count(image_token) == sum(counts)
        rest = [t for t in prompt.token_ids if t != image_token]
        assert rest == [t for t in prompt.unexpanded_ids if t != image_token]


@pytest.mark.parametrize("kind", KINDS)
def test_vision_markers_are_banned_in_responses(tiny_model: TinyModels, kind: str) -> None:
    """A vocabulary without them has nothing to ban."""
    processor = tiny_model(kind).processor
    banned = processor.tokenizer.convert_ids_to_tokens(list(processor.banned_token_ids))
    assert banned == ([] if kind == "llama" else list(VISION_MARKERS))


def test_the_system_prompt_and_the_generation_prompt_are_there(tiny_model: TinyModels) -> None:
    processor = Processor(tiny_model("qwen2_5_vl").folder, system_prompt="You are a teacher.")
    prompt = processor.encode_images(Problem(id="p", question="Find x.", answer="1"), [])
    text = processor.tokenizer.decode(list(prompt.token_ids))
    assert text == (
        "<|im_start|>system\nYou are a teacher.<|im_end|>\n"
        "<|im_start|>user\nFind x.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert processor.decode(prompt.token_ids) == (
        "system\nYou are a teacher.\nuser\nFind x.\nassistant\n"
    )


def test_images_are_read_from_their_paths_in_order(tiny_model: TinyModels, tmp_path: Path) -> None:
    tiny = tiny_model("qwen2_5_vl")
    two = tiny.cases[2]
    paths = tuple(tmp_path / f"{i}.png" for i in range(2))
    for path, image in zip(paths, two.images, strict=True):
        image.save(path)
    prompt = tiny.processor.encode(dataclasses.replace(two.problem, images=paths))
    assert prompt.token_ids == tiny.prompts[2].token_ids
    assert same_pixels(prompt, tiny.prompts[2])


def test_an_over_long_prompt_is_refused(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    length = len(tiny.prompts[1].token_ids)
    wide = tiny.cases[1]
    exact = Processor(tiny.folder, max_prompt_tokens=length)
    assert len(exact.encode_images(wide.problem, wide.images).token_ids) == length
    short = Processor(tiny.folder, max_prompt_tokens=length - 1)
    with pytest.raises(
        PromptError, match=rf"wide.*{length} tokens.*max_prompt_tokens={length - 1}"
    ):
        short.encode_images(wide.problem, wide.images)


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_check_length_counts_from_headers_what_encode_produces(
    tiny_model: TinyModels, kind: str, tmp_path: Path
) -> None:
    tiny = tiny_model(kind)
    for case, prompt in zip(tiny.cases, tiny.prompts, strict=True):
        paths = tuple(tmp_path / f"{case.problem.id}{i}.png" for i in range(len(case.images)))
        for path, image in zip(paths, case.images, strict=True):
            image.save(path)
        problem = dataclasses.replace(case.problem, images=paths)
        assert tiny.processor.check_length(problem) == len(prompt.token_ids)
    narrow = Processor(tiny.folder, max_prompt_tokens=5)
    with pytest.raises(PromptError, match="max_prompt_tokens=5"):
        narrow.check_length(tiny.cases[0].problem)


def test_check_length_follows_the_pixel_limits(tiny_model: TinyModels, tmp_path: Path) -> None:
    picture(300, 200, 1).save(tmp_path / "a.png")
    problem = Problem(id="p", question="Find x.", answer="1", images=(tmp_path / "a.png",))
    folder = tiny_model("qwen2_5_vl").folder
    for smallest, largest in ((None, 9 * 28**2), (40 * 28**2, None), (None, None)):
        processor = Processor(folder, min_pixels=smallest, max_pixels=largest)
        assert processor.check_length(problem) == len(processor.encode(problem).token_ids)


@pytest.mark.parametrize("marker", VISION_MARKERS)
def test_a_question_that_holds_a_vision_marker_is_refused(
    tiny_model: TinyModels, marker: str
) -> None:
    processor = tiny_model("qwen2_5_vl").processor
    fake = Problem(id="bad-1", question=f"Look: {marker}", answer="1")
    with pytest.raises(PromptError, match="bad-1"):
        processor.encode_images(fake, [picture(60, 60, 1)])
    with pytest.raises(PromptError, match="bad-1"):
        processor.encode_images(fake, [])


@pytest.mark.parametrize("kind", TEXT_KINDS)
def test_a_text_model_refuses_images(tiny_model: TinyModels, kind: str, tmp_path: Path) -> None:
    picture(60, 60, 1).save(tmp_path / "a.png")
    problem = Problem(id="p-3", question="Find x.", answer="1", images=(tmp_path / "a.png",))
    for method in (tiny_model(kind).processor.encode, tiny_model(kind).processor.check_length):
        with pytest.raises(PromptError, match=r"p-3.*text-only"):
            method(problem)


def test_a_template_that_drops_images_is_noticed(tiny_model: TinyModels) -> None:
    processor = Processor(tiny_model("qwen2_5_vl").folder)
    processor.tokenizer.chat_template = "{{ messages[0]['role'] }}"
    with pytest.raises(PromptError, match=r"p-4.*0 image places for 1 images"):
        processor.encode_images(
            Problem(id="p-4", question="Find x.", answer="1"), [picture(60, 60, 1)]
        )


def test_a_saved_processor_encodes_alike(tiny_model: TinyModels, tmp_path: Path) -> None:
    tiny = tiny_model("qwen2_5_vl")
    limited = Processor(tiny.folder, max_pixels=12 * 28**2)
    limited.save(tmp_path)
    (tmp_path / "config.json").write_text((tiny.folder / "config.json").read_text())
    reloaded = Processor(tmp_path)
    for case in tiny.cases:
        first = limited.encode_images(case.problem, case.images)
        second = reloaded.encode_images(case.problem, case.images)
        assert first.token_ids == second.token_ids
        assert same_pixels(first, second)


@pytest.mark.parametrize("kind", VISION_KINDS)
@pytest.mark.parametrize("size", [(30, 30), (100, 80), (640, 480), (33, 200), (1500, 700)])
def test_pixel_limits_hold(tiny_model: TinyModels, kind: str, size: tuple[int, int]) -> None:
    tiny = tiny_model(kind)
    patch = tiny.processor.image_processor.patch_size
    unit = (2 * patch) ** 2
    processor = Processor(tiny.folder, min_pixels=6 * unit, max_pixels=20 * unit)
    prompt = processor.encode_images(Problem(id="p", question="x", answer="1"), [picture(*size, 1)])
    assert prompt.image_grid_thw is not None
    pixels = int(prompt.image_grid_thw[0].prod()) * patch**2
    assert 6 * unit <= pixels <= 20 * unit
    one_bound = Processor(tiny.folder, max_pixels=20 * unit)
    assert one_bound.image_processor.size["shortest_edge"] == 4 * unit  # the folder's own limit
    assert one_bound.image_processor.size["longest_edge"] == 20 * unit


def test_crossed_pixel_limits_are_an_error(tiny_model: TinyModels) -> None:
    folder = tiny_model("qwen2_5_vl").folder
    with pytest.raises(ValueError, match=r"min_pixels=50000.*max_pixels=40000"):
        Processor(folder, min_pixels=50_000, max_pixels=40_000)
    with pytest.raises(ValueError, match=r"min_pixels=\d+ is over .*max_pixels=10"):
        Processor(folder, max_pixels=10)


@pytest.mark.parametrize("kind", VISION_KINDS)
@pytest.mark.parametrize("size", [(4, 4), (4, 600), (600, 4), (9, 1350), (1350, 9), (2000, 20)])
@torch.no_grad()
def test_extreme_shapes_go_through(
    tiny_model: TinyModels, kind: str, size: tuple[int, int], tmp_path: Path
) -> None:
    tiny = tiny_model(kind)
    picture(*size, 1).save(tmp_path / "a.png")
    problem = Problem(id="p", question="x", answer="1", images=(tmp_path / "a.png",))
    prompt = tiny.processor.encode(problem)
    assert tiny.processor.check_length(problem) == len(prompt.token_ids)
    features = image_features(tiny.load(), collate_prompts([prompt], 0))
    assert features is not None
    count = prompt.token_ids.count(tiny.processor.image_token_id)
    assert count == len(features.pooler_output[0])
    assert 4 <= count <= 200  # a side cannot be under one patch, which the narrowest need


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_pictures_of_every_mode_become_colour(
    tiny_model: TinyModels, mode: str, tmp_path: Path
) -> None:
    path = tmp_path / ("a.tiff" if mode == "CMYK" else "a.png")
    picture(90, 60, 1).convert(mode).save(path)
    tiny = tiny_model("qwen2_5_vl")
    prompt = tiny.processor.encode(Problem(id="p", question="x", answer="1", images=(path,)))
    assert prompt.pixel_values is not None
    assert prompt.pixel_values.shape[1] == 3 * 2 * 14 * 14
    assert prompt.pixel_values.dtype == torch.float32


def real_pictures(shared_data: Path) -> list[Problem]:
    """Every picture of the ten Geometry3K examples, and the first thirty of MATH-Vision."""
    problems = []
    for folder in sorted((shared_data / "geometry3k" / "examples").iterdir()):
        text = json.loads((folder / "data.json").read_text(encoding="utf-8"))["problem_text"]
        images = tuple(sorted(folder.glob("*.png")))
        problems.append(
            Problem(id=f"geometry3k/{folder.name}", question=text, answer="1", images=images)
        )
    rows = next((shared_data / "mathvision").glob("*.json*")).read_text(encoding="utf-8")
    for line in rows.splitlines()[:30]:
        row = json.loads(line)
        problems.append(
            Problem(
                id=f"mathvision/{row['id']}",
                question=row["question"],
                answer=row["answer"],
                choices=tuple(row["options"]),
                images=(shared_data / "mathvision" / row["image"],),
            )
        )
    return problems


@pytest.mark.parametrize("kind", VISION_KINDS)
@torch.no_grad()
def test_real_pictures_go_through_encode_and_the_scorer(
    tiny_model: TinyModels, kind: str, shared_data: Path
) -> None:
    tiny = tiny_model(kind)
    problems = real_pictures(shared_data)
    assert len(problems) == 40
    prompts = [tiny.processor.encode(problem) for problem in problems]
    for problem, prompt in zip(problems, prompts, strict=True):
        assert tiny.processor.check_length(problem) == len(prompt.token_ids)
        assert prompt.image_grid_thw is not None
        assert len(prompt.image_grid_thw) == len(problem.images)
    response = torch.tensor([random_response(tiny, 5, 0)])
    scorer = ResponseScorer(
        tiny.load(), temperature=1.0, banned_token_ids=tiny.processor.banned_token_ids
    )
    for start in range(0, 40, 8):
        batch = collate_prompts(prompts[start : start + 8], tiny.processor.pad_token_id)
        logprobs, entropy = scorer(batch, response.expand(8, -1), torch.ones(8, 5), range(8), 40)
        assert torch.isfinite(logprobs).all()
        assert (logprobs < 0).all()
        assert (entropy > 0).all()


def test_the_real_qwen_tokenizer(shared_data: Path, tmp_path: Path) -> None:
    AutoTokenizer.from_pretrained(str(shared_data / "qwen3_tokenizer")).save_pretrained(tmp_path)
    Qwen3Config().save_pretrained(tmp_path)
    processor = Processor(tmp_path)
    assert processor.banned_token_ids == (151652, 151653, 151654, 151655, 151656)
    assert processor.image_token_id is None
    prompt = processor.encode(Problem(id="p", question="Find $x$.", answer="1", choices=("1", "2")))
    assert processor.decode(prompt.token_ids) == (
        "user\nFind $x$.\nChoices: (A) 1 (B) 2\nassistant\n"
    )
    assert prompt.token_ids == prompt.unexpanded_ids


def test_a_picture_is_never_enlarged_past_the_limit_by_rounding(tiny_model: TinyModels) -> None:
    tiny = tiny_model("qwen2_5_vl")
    for side in range(200, 260, 7):
        prompt = tiny.processor.encode_images(
            Problem(id="p", question="x", answer="1"), [Image.new("RGB", (side, side), "white")]
        )
        assert prompt.token_ids.count(tiny.processor.image_token_id) <= 64
