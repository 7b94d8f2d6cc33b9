"""Problems that come as chat messages: read, encoded with the sizes they ask for, stored again.

Sizes are compared with transformers' `smart_resize` and, where the package is installed, with
`qwen_vl_utils` itself.
"""

from __future__ import annotations

import base64
import importlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch
from model_fixtures import VISION_KINDS, TinyModels, picture
from PIL import Image
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

from adora_mm.config import VllmConfig
from adora_mm.data import fingerprint, load_problems, problem_record, read_messages
from adora_mm.processor import Processor, Prompt
from adora_mm.prompts import PromptError, build_messages
from adora_mm.rollout.vllm_requests import engine_arguments, pictures
from adora_mm.types import Problem
from data_prep.sources import SOURCES, BadRows
from data_prep.writer import write_folder


def user(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(parts)}


def image(address: str | None = None, **sizes: int) -> dict[str, Any]:
    return {"type": "image", **({} if address is None else {"image": address}), **sizes}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def write_rows(file: Path, *rows: dict[str, Any]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures of different sizes."""
    for number, size in enumerate(((300, 200), (90, 160), (500, 120))):
        picture(*size, number + 1).save(tmp_path / f"{number}.png")
    return tmp_path


def load_one(folder: Path, *messages: dict[str, Any], **fields: Any) -> Problem:
    row = {"id": "p", "answer": "1", "messages": list(messages), **fields}
    (problem,) = load_problems(write_rows(folder / "rows.jsonl", row))
    return problem


# ----------------------------------------------------------------------------- reading them


def test_messages_are_read_with_paths_urls_of_files_and_turns(folder: Path) -> None:
    problem = load_one(
        folder,
        {"role": "system", "content": "Be brief."},
        user(image("0.png", max_pixels=9000), text("Which is it?")),
        {"role": "assistant", "content": "The first."},
        user(
            text("And of"),
            image((folder / "1.png").as_uri()),
            {"image_url": "2.png"},
            text("these?"),
        ),
    )
    assert problem.images == tuple(folder / f"{number}.png" for number in range(3))
    assert problem.question == "And of\nthese?"
    messages = build_messages(problem, num_images=3, system="unused: it has its own")
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[0]["content"] == "Be brief."
    kinds = [part["type"] for part in messages[3]["content"]]
    assert kinds == ["text", "image", "image", "text"], "the order within a message stays"
    assert "max_pixels" not in messages[1]["content"][0], "templates get no sizes"


def test_the_runs_system_prompt_is_for_messages_without_one(folder: Path) -> None:
    problem = load_one(folder, user(text("Find x.")))
    assert build_messages(problem, num_images=0, system="Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Find x."},
    ]


def test_a_stored_problem_loads_as_it_was(folder: Path) -> None:
    problem = load_one(folder, user(image("1.png", resized_height=56, resized_width=84), text("?")))
    record = problem_record(problem, ["1.png"])
    (again,) = load_problems(write_rows(folder / "stored.jsonl", record))
    assert again == problem
    other = load_one(folder, user(image("1.png"), text("?")))
    assert fingerprint([other]) != fingerprint([problem]), "sizes are part of what is trained on"
    assert "messages" not in problem_record(Problem(id="a", question="b", answer="c"), [])


@pytest.mark.parametrize(
    ("messages", "line"),
    [
        ([], "must be a list of messages"),
        ([{"role": "user", "content": "x", "name": "y"}], "'role' and 'content' alone"),
        ([{"role": "tool", "content": "x"}], "role 'tool'"),
        ([user(text("x")), {"role": "system", "content": "y"}], "message 2: role 'system'"),
        ([user(text("x")), {"role": "assistant", "content": "1"}], "the last message must be the"),
        ([user(image("0.png"))], "the last message has no text"),
        ([user({"type": "video", "video": "a.mp4"}, text("x"))], "type 'video' is not read"),
        ([user(image("https://a.org/b.png"), text("x"))], "nothing is fetched from the network"),
        ([user(image("0.png", min_pixel=1), text("x"))], "unknown key 'min_pixel'"),
        ([user(image("0.png", min_pixels=9, max_pixels=8), text("x"))], "min_pixels=9 is over"),
        ([user(image("0.png", resized_width=8), text("x"))], "give both or neither"),
        ([user(image("0.png", max_pixels=0), text("x"))], "max_pixels must be a whole number"),
        ([user(image("/etc/passwd"), text("x"))], "must stay inside"),
        ([user(image("data:image/png;base64,AAAA"), text("x"))], "adora prep jsonl writes such"),
        (
            [user(image("0.png", min_pixels=10**400), text("x"))],
            "min_pixels must be a whole number",
        ),
        ([user(image("data:image/png;base64,\u00e9"), text("x"))], "not an image in base64"),
        ([user(image("0.png", resized_height=1, resized_width=1000), text("x"))], "limit is 150:1"),
        ([user({**text("x"), "image": "0.png"})], "a text and an image; make it two parts"),
        ([user(image(), text("x"))], "have 1 image parts, but 0 images are named"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(
    folder: Path, messages: list[dict[str, Any]], line: str
) -> None:
    with pytest.raises(ValueError, match=rf"rows.jsonl, row 1: .*{line}"):
        load_one(folder, *messages)


def test_images_are_named_once(folder: Path) -> None:
    with pytest.raises(ValueError, match="name them once"):
        load_one(folder, user(image("0.png"), text("x")), images=["0.png"])


@pytest.mark.parametrize("images", [5, "0.png", None, [0]], ids=str)
def test_a_rows_images_are_a_list_of_names(folder: Path, images: object) -> None:
    with pytest.raises(ValueError, match="row 1: 'images' must be"):
        load_one(folder, user(image(), text("x")), images=images)


def test_tags_in_a_text_are_pictures_of_the_row(folder: Path) -> None:
    """As verl's tables have them; without pictures the words stay as they are."""
    content = "<image>Is <image> the same?"
    problem = load_one(folder, {"role": "user", "content": content}, images=["1.png", "0.png"])
    assert problem.images == (folder / "1.png", folder / "0.png")
    assert problem.messages[0]["content"] == [image(), text("Is "), image(), text(" the same?")]
    assert problem.question == "Is \n the same?"
    (plain,) = build_messages(load_one(folder, user(text("<image>"))), num_images=0)
    assert plain["content"] == "<image>"
    with pytest.raises(ValueError, match="have 2 image parts, but 1 images are named"):
        load_one(folder, {"role": "user", "content": content}, images=["1.png"])
    mixed = [{"role": "system", "content": "<image> is a tag"}, user(image("0.png"), text("?"))]
    stored = problem_record(load_one(folder, *mixed), ["0.png"])
    (again,) = load_problems(write_rows(folder / "stored.jsonl", stored))
    assert again.messages[0]["content"] == "<image> is a tag"


# ----------------------------------------------------------------------------- their sizes


SIZES: tuple[dict[str, int], ...] = (
    {},
    {"max_pixels": 20_000},
    {"min_pixels": 30_000},
    {"min_pixels": 9_000, "max_pixels": 12_000},
    {"resized_height": 100, "resized_width": 190},
    {"resized_height": 30, "resized_width": 30},
)


def encode(tiny: Any, folder: Path, *sizes: dict[str, int], **options: Any) -> Prompt:
    parts = [image(f"{number % 3}.png", **size) for number, size in enumerate(sizes)]
    problem = load_one(folder, user(*parts, text("Compare.")))
    processor = Processor(tiny.folder, **options)
    prompt = processor.encode(problem)
    assert processor.check_length(problem) == len(prompt.token_ids), "counted from headers"
    return prompt


def sizes_of(prompt: Prompt, settings: Any) -> list[tuple[int, int]]:
    """Height and width of each picture in px."""
    assert prompt.image_grid_thw is not None
    return [
        (h * settings.patch_size, w * settings.patch_size)
        for _, h, w in prompt.image_grid_thw.tolist()
    ]


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_each_picture_gets_the_size_that_it_asks_for(
    tiny_model: TinyModels, kind: str, folder: Path
) -> None:
    tiny = tiny_model(kind)
    prompt = encode(tiny, folder, *SIZES)
    settings = tiny.processor.image_processor
    unit = 2 * settings.patch_size
    expected = []
    for number, wanted in enumerate(SIZES):
        width, height = Image.open(folder / f"{number % 3}.png").size
        limits = {
            "min_pixels": wanted.get("min_pixels", settings.size["shortest_edge"]),
            "max_pixels": wanted.get("max_pixels", settings.size["longest_edge"]),
        }
        if "resized_height" in wanted:
            height, width = wanted["resized_height"], wanted["resized_width"]
            limits = {"min_pixels": 4 * unit**2, "max_pixels": 16384 * unit**2}
        expected.append(smart_resize(height, width, unit, **limits))
    assert sizes_of(prompt, settings) == expected
    assert len(set(expected)) == len(expected), "a case for each rule"
    assert [(i.height, i.width) for i in pictures(prompt, tiny.processor)] == expected


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_a_size_of_its_own_gives_the_pixels_of_a_run_with_that_limit(
    tiny_model: TinyModels, kind: str, folder: Path
) -> None:
    """The picture that asks for nothing is as ever, in the same prompt."""
    tiny = tiny_model(kind)
    mixed = encode(tiny, folder, {}, {"max_pixels": 8_000})
    plain = encode(tiny, folder, {}, {})
    limited = encode(tiny, folder, {}, {}, max_pixels=8_000)
    first = int(plain.image_grid_thw[0].prod())  # type: ignore[index]
    assert torch.equal(mixed.pixel_values[:first], plain.pixel_values[:first])  # type: ignore[index]
    rest = len(mixed.pixel_values) - first  # type: ignore[arg-type]
    assert torch.equal(mixed.pixel_values[first:], limited.pixel_values[-rest:])  # type: ignore[index]


def test_a_picture_cannot_ask_for_more_than_the_run_allows(
    tiny_model: TinyModels, folder: Path
) -> None:
    tiny = tiny_model("qwen2_5_vl")
    for wanted in ({"min_pixels": 40_000}, {"resized_height": 280, "resized_width": 280}):
        with pytest.raises(PromptError, match=r"problem p: an image is to be .*data.max_pixels"):
            encode(tiny, folder, wanted, max_pixels=30_000)
        encode(tiny, folder, wanted, max_pixels=90_000)
    asks_less = encode(tiny, folder, {"max_pixels": 4_000}, min_pixels=20_000)
    ((height, width),) = sizes_of(asks_less, tiny.processor.image_processor)
    assert height * width <= 4_000, "what the picture says goes before data.min_pixels"


def test_vllm_is_told_not_to_resize_again(tiny_model: TinyModels) -> None:
    processor = Processor(tiny_model("qwen2_5_vl").folder, max_pixels=30_000)
    settings = engine_arguments(processor, VllmConfig(), dtype=torch.float32, max_model_len=64)[
        "mm_processor_kwargs"
    ]
    assert settings == {"min_pixels": 28**2, "max_pixels": 30_000}


@pytest.fixture
def theirs(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`qwen_vl_utils`, which imports torchvision for its videos only."""
    if importlib.util.find_spec("qwen_vl_utils") is None:
        pytest.skip("needs the package qwen-vl-utils: pip install --no-deps qwen-vl-utils")
    if importlib.util.find_spec("torchvision") is None:
        for name in ("torchvision", "torchvision.transforms", "torchvision.io"):
            monkeypatch.setitem(sys.modules, name, MagicMock())
    return importlib.import_module("qwen_vl_utils")


@pytest.mark.parametrize("kind", VISION_KINDS)
def test_pictures_are_those_of_qwen_vl_utils(
    tiny_model: TinyModels, kind: str, folder: Path, theirs: Any
) -> None:
    tiny = tiny_model(kind)
    settings = tiny.processor.image_processor
    limits = {"min_pixels": 4_000, "max_pixels": 24_000}
    parts = [
        image(
            str(folder / f"{number % 3}.png"),
            **(size if "resized_width" in size else limits | size),
        )
        for number, size in enumerate(SIZES)
        if size.get("min_pixels", 0) < 24_000
    ]
    problem = load_one(folder, user(*parts, text("?")))
    expected, _ = theirs.process_vision_info(
        [user(*parts, text("?"))], image_patch_size=settings.patch_size
    )
    ours = pictures(tiny.processor.encode(problem), tiny.processor)
    assert [one.size for one in ours] == [one.size for one in expected]
    assert all(one.tobytes() == other.tobytes() for one, other in zip(ours, expected, strict=True))


# ------------------------------------------------------------------------------ adora prep


def convert(file: Path, out: Path, **options: Any) -> list[Problem]:
    entries = SOURCES["jsonl"].read(file, bad=BadRows(drop=options.pop("drop", False)), **options)
    write_folder(out, entries, source="own", licence="MIT", arguments={})
    return load_problems(out)


def test_prep_writes_embedded_images_to_files(folder: Path, tmp_path: Path) -> None:
    data = (folder / "2.png").read_bytes()
    inline = "data:image/png;base64," + base64.b64encode(data).decode()
    rows = write_rows(
        folder / "rows.jsonl",
        {
            "messages": [user(image("0.png"), image(inline, max_pixels=5000), text("Same?"))],
            "answer": "no",
        },
    )
    (problem,) = convert(rows, tmp_path / "out")
    assert problem.question == "Same?"
    assert [path.read_bytes() for path in problem.images] == [(folder / "0.png").read_bytes(), data]
    assert problem.messages[0]["content"][1] == {"type": "image", "max_pixels": 5000}


def test_prep_takes_a_mapped_prompt_and_pictures_of_their_own_column(
    folder: Path, tmp_path: Path
) -> None:
    """As verl's tables have it; a column `question` beside it is not the prompt then."""
    row = {
        "prompt": [{"role": "user", "content": "<image>Find x."}],
        "question": "something else",
        "images": ["1.png"],
        "reward_model": {"ground_truth": "4"},
    }
    columns = {"messages": "prompt", "answer": "reward_model.ground_truth"}
    rows = write_rows(folder / "rows.jsonl", row)
    (problem,) = convert(rows, tmp_path / "out", columns=columns)
    assert (problem.question, problem.answer, len(problem.images)) == ("Find x.", "4", 1)
    del columns["messages"]
    (plain,) = convert(rows, tmp_path / "plain", columns=columns)
    assert (plain.question, plain.messages) == ("something else", ())


@pytest.mark.parametrize(
    ("part", "images", "line"),
    [
        (image("http://a.org/b.png"), [], "nothing is fetched from the network"),
        (image("data:image/png;base64,?"), [], "not an image in base64"),
        (image("data:image/png;base64,AAAA"), [], "image 1: not an image"),
        (image("none.png"), [], "cannot be read"),
        (image(), [], "more image parts than images"),
        (image("data:image/png;base64,\u00e9"), [], "not an image in base64"),
        (image("0.png"), ["1.png"], "more images in column 'images' than image parts"),
    ],
)
def test_prep_names_a_row_that_cannot_be_used(
    folder: Path, tmp_path: Path, part: dict[str, Any], images: list[str], line: str
) -> None:
    row = {"messages": [user(part, text("x"))], "answer": "1", "images": images}
    rows = write_rows(folder / "rows.jsonl", row)
    with pytest.raises(ValueError, match=rf"row 1: .*{line}"):
        convert(rows, tmp_path / "out")


def test_empty_cells_of_a_table_are_no_values() -> None:
    """Arrow fills the keys that other rows have with nulls."""
    part = {"type": "image", "text": None, "image": "a.png", "min_pixels": None}
    words = {"type": "text", "text": "x", "image": None}
    assert read_messages([user(part, words)]).messages[0]["content"] == [image(), text("x")]
