"""The builder of the embedded policy: forms of answers, whole folders only, a short real build."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from transformers import AutoModelForImageTextToText

from adora_mm.models import EMBEDDED_POLICY, load_policy
from adora_mm.processor import Processor
from adora_mm.types import Problem
from data_prep.perception import Perception
from data_prep.synthetic import generate
from data_prep.tiny_policy import Pictures, build, draw_pictures, finished_folder, form_of
from data_prep.warm_start import FORMS, WarmStart, solution_text

PICTURES = Pictures(count=60, workers=1)
EYES = Perception(steps=4, batch_size=8, seed=2)
STEPS = WarmStart(
    steps=4,
    batch_size=8,
    warmup_steps=2,
    full_only_until=0.25,
    eyes_open_from=0.75,
    views=2,
    seed=2,
)
CARD_KEYS = {
    "pictures",
    "perception",
    "warm_start",
    "parameters",
    "data_fingerprint",
    "held_out",
}


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("47 68. 47+68=115. 180-115=65. \\boxed{65}", "full"),
        ("47. 180-47=133. \\boxed{133}", "full"),
        ("180-115=65. \\boxed{65}", "brief"),
        ("\\boxed{65}", "direct"),
        ("", "direct"),
        ("65", "direct"),
        ("The answer is 65.", "direct"),  # a full stop at the very end begins no sentence
        ("\\boxed{65} 47 68. 47+68=115. 180-115=65. ", "direct"),  # what follows does not count
        ("90/2=52.5. \\boxed{52.5}", "brief"),  # a decimal point is not the end of a sentence
        ("47 68. 47+68=115. 180-115=65. and so on", "full"),  # cut before its box
    ],
)
def test_the_form_of_a_response(text: str, form: str) -> None:
    assert form_of(text) == form


def test_the_form_of_every_solution_is_found_again() -> None:
    for problem, _ in generate(count=12, split="val", seed=7, families=PICTURES.families):
        assert {form_of(solution_text(problem, form)): form for form in FORMS} == {
            form: form for form in FORMS
        }


# ------------------------------------------------------------------------- finished folders


def test_a_folder_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "policy"
    with finished_folder(out) as partial:
        (partial / "model").write_text("weights")
        assert not out.exists()
        assert partial.parent == out.parent
        assert partial.name.startswith(".policy.")
    assert [file.name for file in out.parent.iterdir()] == ["policy"]
    assert (out / "model").read_text() == "weights"


def half_written(out: Path, end: type[BaseException]) -> None:
    with finished_folder(out) as partial:
        (partial / "model").write_text("half of the weights")
        raise end


@pytest.mark.parametrize("end", [KeyboardInterrupt, ValueError, OSError])
def test_an_interrupted_folder_goes_away(tmp_path: Path, end: type[BaseException]) -> None:
    with pytest.raises(end):
        half_written(tmp_path / "policy", end)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "policy"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(ValueError, match="policy exists; choose another"), finished_folder(out):
        pytest.fail("the block must not begin")
    assert [file.name for file in out.iterdir()] == ["mine"]
    assert [file.name for file in tmp_path.iterdir()] == ["policy"]


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: Pictures) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("data_prep.tiny_policy.draw_pictures", stop)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "policy", PICTURES, EYES, STEPS, held_out=0, log=print)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------- a real, short build


Build = tuple[Path, dict[str, Any], list[str]]


def built(out: Path, held_out: int) -> Build:
    lines: list[str] = []
    card = build(out, PICTURES, EYES, STEPS, held_out=held_out, log=lines.append)
    return out, card, lines


@pytest.fixture(scope="module")
def policy(one_thread: None, tmp_path_factory: pytest.TempPathFactory) -> Build:
    return built(tmp_path_factory.mktemp("built") / "policy", 8)


@pytest.mark.slow
def test_the_card_says_what_was_built_and_how_good_it_is(policy: Build) -> None:
    folder, card, lines = policy
    assert set(card) == CARD_KEYS
    assert json.loads((folder / "warm_start.json").read_text()) == json.loads(json.dumps(card))
    assert lines[0] == "60 pictures drawn"
    assert card["pictures"]["count"] == 60
    assert (card["perception"]["steps"], card["warm_start"]["steps"]) == (4, 4)
    assert len(card["data_fingerprint"]) == 64
    assert card["held_out"]["problems"] == 8
    for mode in ("greedy", "sampled"):
        table = card["held_out"][mode]
        assert table["all"]["share"] == 1
        assert sum(table[form]["share"] for form in FORMS if form in table) == pytest.approx(1)
        assert all(0 <= row["accuracy"] <= 1 for row in table.values())


@pytest.mark.slow
def test_the_folder_is_an_ordinary_model_in_bfloat16(policy: Build) -> None:
    folder, card, _ = policy
    assert not [file.name for file in folder.iterdir() if "tmp" in file.name]
    with safe_open(folder / "model.safetensors", "pt") as weights:
        assert {weights.get_slice(name).get_dtype() for name in weights.keys()} == {"BF16"}  # noqa: SIM118
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32)
    assert sum(weight.numel() for weight in model.parameters()) == card["parameters"]
    problem, image = next(iter(generate(count=1, split="val", seed=7, image_px=140)))
    prompt = Processor(folder).encode_images(problem, [image])
    picture = model.config.image_token_id
    assert prompt.token_ids.count(picture) == 25  # 5 x 5 cells of 28 pixels


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes(policy: Build, tmp_path: Path) -> None:
    folder, card, _ = policy
    again, second, _ = built(tmp_path / "again", 0)
    assert second["held_out"] == {}
    assert second | {"held_out": card["held_out"]} == card
    for name in ("model.safetensors", "tokenizer.json", "config.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (again / name).read_bytes()


@pytest.mark.slow
def test_pictures_do_not_depend_on_the_number_of_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, two = (
        [(item.problem, item.pixels.tobytes(), item.labels) for item in draw_pictures(pictures)]
        for pictures in (PICTURES, replace(PICTURES, workers=2))
    )
    assert one == two
    assert len(one) == 60


# ------------------------------------------------------------------------- the one that ships


@pytest.fixture(scope="module")
def shipped() -> Path:
    if not (EMBEDDED_POLICY / "warm_start.json").is_file():
        pytest.skip("no embedded policy: adora_mm/assets/tiny_qwen2_5_vl is not built yet")
    return EMBEDDED_POLICY


def test_the_shipped_folder_is_small(shipped: Path) -> None:
    assert sum(file.stat().st_size for file in shipped.rglob("*")) <= 5_000_000


def test_the_shipped_policy_loads_and_its_card_counts_right(shipped: Path) -> None:
    card = json.loads((shipped / "warm_start.json").read_text(encoding="utf-8"))
    assert set(card) == CARD_KEYS
    model = load_policy(shipped)
    assert sum(weight.numel() for weight in model.parameters()) == card["parameters"]
    processor = Processor(shipped)
    text = solution_text(SOLVED, "full")
    assert processor.decode(processor.tokenizer(text)["input_ids"]) == text


SOLVED = Problem(
    id="p",
    question="Find x.",
    answer="65",
    metadata={"givens": [["angle A", "115"]], "steps": ["180-115=65"]},
)
