"""What is particular to a family of models, and that a saved policy is an ordinary model folder.

That all families score alike is in `test_models.py`, their rollouts in `rollout/`.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from model_fixtures import KINDS, Tiny, TinyModels, save_as_checkpoint, spread_weights
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    AutoTokenizer,
    GenerationConfig,
    LlavaConfig,
    MixtralConfig,
    Qwen3MoeConfig,
)

from adora_mm.families import check_family
from adora_mm.models import load_policy
from adora_mm.processor import Processor
from adora_mm.types import Problem

QUESTION = Problem(id="p", question="Find x.", answer="1")


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_saved_policy_is_an_ordinary_model_folder(
    tiny_model: TinyModels, kind: str, tmp_path: Path
) -> None:
    tiny = tiny_model(kind)
    model = tiny.load("prefix")
    spread_weights(model, 5)  # as if it had been trained
    save_as_checkpoint(tiny, model, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"config.json", "generation_config.json", "model.safetensors"}
    assert names >= {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    assert ("preprocessor_config.json" in names) == tiny.has_vision
    auto = AutoModelForImageTextToText if tiny.has_vision else AutoModelForCausalLM
    loaded = auto.from_pretrained(tmp_path).eval()
    weights = dict(loaded.named_parameters())
    assert weights.keys() == dict(model.named_parameters()).keys()
    for name, weight in model.named_parameters():
        assert torch.equal(weights[name], weight), name
    tied = loaded.lm_head.weight is loaded.get_input_embeddings().weight
    assert tied == (kind in ("qwen2_5_vl", "qwen2"))
    before, after = (GenerationConfig.from_pretrained(f) for f in (tiny.folder, tmp_path))
    assert before.eos_token_id == after.eos_token_id
    tiny_again = Tiny(kind=kind, folder=tmp_path, cases=tiny.cases)
    for old, new in zip(tiny.prompts, tiny_again.prompts, strict=True):
        assert old.token_ids == new.token_ids
    case, response = tiny.cases[2], [5, 6, 7]
    padded = tiny.load()
    padded.load_state_dict(model.state_dict())
    expected = tiny.reference_logits(padded, case, response)
    assert torch.equal(tiny_again.reference_logits(loaded, case, response), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_policy_saved_twice_is_the_same(
    tiny_model: TinyModels, kind: str, tmp_path: Path
) -> None:
    """Configuration and tokenizer pass through without losing anything."""
    tiny = tiny_model(kind)
    save_as_checkpoint(tiny, tiny.load(), tmp_path / "first")
    again = Tiny(kind=kind, folder=tmp_path / "first", cases=tiny.cases)
    save_as_checkpoint(again, again.load(), tmp_path / "second")
    for path in sorted((tmp_path / "first").iterdir()):
        assert path.read_bytes() == (tmp_path / "second" / path.name).read_bytes(), path.name
    first, original = (AutoConfig.from_pretrained(f).to_dict() for f in (again.folder, tiny.folder))
    assert without_dtype(first) == without_dtype(original)


def without_dtype(config: dict[str, Any]) -> dict[str, Any]:
    """A model that was built, not loaded, has not got one in the parts of its configuration."""
    return {
        key: without_dtype(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if key not in ("dtype", "_name_or_path")
    }


# ------------------------------------------------------------------------------- Llama


def test_llamas_prompt_begins_once(tiny_model: TinyModels) -> None:
    """Template and tokenizer both know the first token; two of them would be another prompt."""
    processor = tiny_model("llama").processor
    begin = processor.tokenizer.bos_token_id
    assert processor.tokenizer("x")["input_ids"].count(begin) == 1
    ids = processor.encode(QUESTION).token_ids
    assert ids[0] == begin
    assert ids.count(begin) == 1
    assert processor.check_length(QUESTION) == len(ids)


def test_llamas_prompt_does_not_depend_on_the_day(tiny_model: TinyModels) -> None:
    tiny = tiny_model("llama")
    processor = Processor(tiny.folder, system_prompt="Be brief.")
    text = processor.tokenizer.decode(list(processor.encode(QUESTION).token_ids))
    assert text == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Today Date: 26 Jul 2024\n\nBe brief.<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nFind x.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_without_a_padding_token_the_end_of_a_turn_pads(tiny_model: TinyModels) -> None:
    processor = tiny_model("llama").processor
    assert processor.tokenizer.pad_token_id is None
    assert processor.pad_token_id == processor.tokenizer.convert_tokens_to_ids("<|eot_id|>")


@pytest.mark.parametrize(
    ("missing", "line"),
    [("chat_template", "no chat template"), ("eos_token", "no eos_token; use an instruction")],
)
def test_the_tokenizer_of_a_base_model_is_refused(
    tiny_model: TinyModels, tmp_path: Path, missing: str, line: str
) -> None:
    folder = tiny_model("llama").folder
    tokenizer = AutoTokenizer.from_pretrained(folder)
    setattr(tokenizer, missing, None)
    tokenizer.save_pretrained(tmp_path)
    AutoConfig.from_pretrained(folder).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=line):
        Processor(tmp_path)


# --------------------------------------------------------------------------- what is refused


def test_other_models_are_refused_by_name(tmp_path: Path) -> None:
    """Before weights are looked for: the folders hold none."""
    for number, (config, line) in enumerate(
        (
            (LlavaConfig(), "is a vision-language model of type llava"),
            (Qwen3MoeConfig(), "is a mixture of experts"),
            (MixtralConfig(), "is a mixture of experts"),
        )
    ):
        folder = tmp_path / str(number)
        config.save_pretrained(folder)
        for check in (check_family, load_policy):
            with pytest.raises(ValueError, match=rf"{line}; .*qwen2_5_vl.*llama"):
                check(folder)


def test_sampling_settings_that_transformers_will_not_save(
    tiny_model: TinyModels, tmp_path: Path
) -> None:
    """Llama 2 has them: without mending, the first checkpoint would end the run."""
    tiny = tiny_model("llama")
    shutil.copytree(tiny.folder, tmp_path / "model")
    file = tmp_path / "model" / "generation_config.json"
    settings = json.loads(file.read_text()) | {"do_sample": False, "temperature": 0.6, "top_p": 0.9}
    file.write_text(json.dumps(settings))
    changed = Tiny(kind="llama", folder=tmp_path / "model", cases=tiny.cases)
    save_as_checkpoint(changed, changed.load(), tmp_path / "saved")
    kept = GenerationConfig.from_pretrained(tmp_path / "saved")
    assert (kept.temperature, kept.top_p, kept.do_sample) == (0.6, 0.9, True)
    assert kept.eos_token_id == settings["eos_token_id"]
