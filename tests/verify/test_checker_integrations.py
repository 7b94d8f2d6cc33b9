"""The reward functions for users of TRL and verl, and `adora check`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import pytest
import trl
from transformers import AutoModelForCausalLM, AutoTokenizer

from adora_mm.verify import cli
from adora_mm.verify.integrations import accuracy_reward, compute_score, make_trl_reward

if TYPE_CHECKING:
    from model_fixtures import TinyModels

RIGHT, WRONG = r"so \boxed{12\sqrt{3}}", r"so \boxed{12}"


def conversation(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_trl_strings_and_conversations() -> None:
    golds = ["20.78", "20.78"]
    assert accuracy_reward(completions=[RIGHT, WRONG], answer=golds) == [1.0, 0.0]
    talks = [conversation(RIGHT), conversation(WRONG)]
    assert accuracy_reward(prompts=["q", "q"], completions=talks, solution=golds) == [1.0, 0.0]


def test_trl_content_in_parts_choices_and_missing_golds() -> None:
    parts = [{"role": "assistant", "content": [{"type": "text", "text": r"\boxed{C}"}]}]
    rewards = accuracy_reward(
        completions=[parts, RIGHT, r"\boxed{B}"],
        answer=["60", None, "60"],
        choices=[["30", "45", "60"], None, ["30", "45", "60"]],
        completion_ids=[[1], [2], [3]],
    )
    assert rewards == [1.0, None, 0.0]


def test_trl_needs_a_gold_column() -> None:
    with pytest.raises(ValueError, match="column"):
        accuracy_reward(completions=[RIGHT])
    with pytest.raises(ValueError, match="gold"):
        make_trl_reward(gold_column="gold")([RIGHT], answer=["1"])


def test_a_trl_reward_with_its_own_profile() -> None:
    reward = make_trl_reward(gold_column="gold", profile="eval", workers=1)
    assert reward(completions=["The answer is 5."], gold=["5"]) == [1.0]
    with pytest.raises(ValueError, match="profile"):
        make_trl_reward(profile="none")


def test_verl_compute_score() -> None:
    assert compute_score("geo3k", RIGHT, "20.78") == {
        "score": 1.0, "acc": 1.0, "unparsed": 0.0, "timeout": 0.0,
    }  # fmt: skip
    assert compute_score("geo3k", "20.78", "20.78")["unparsed"] == 1.0
    options = {"choices": ["30", "45", "60"]}
    assert compute_score("geo3k", r"\boxed{60}", "C", extra_info=options)["score"] == 1.0
    assert compute_score("geo3k", r"\boxed{60}", {"answer": "C", **options})["score"] == 1.0


def test_the_installed_trl_trains_with_the_reward(tmp_path: Path, tiny_model: TinyModels) -> None:
    """One step of TRL's GRPO on a tiny random model."""
    folder = tiny_model("qwen2").folder
    seen: list[list[float | None]] = []

    def watched(completions: list[Any], **columns: Any) -> list[float | None]:
        seen.append(accuracy_reward(completions=completions, **columns))
        return seen[-1]

    trainer = trl.GRPOTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder),
        processing_class=AutoTokenizer.from_pretrained(folder, padding_side="left"),
        reward_funcs=[watched],
        train_dataset=datasets.Dataset.from_list([{"prompt": "1+1=", "answer": "2"}] * 4),
        args=trl.GRPOConfig(
            output_dir=str(tmp_path), max_steps=1, num_generations=2, use_cpu=True, bf16=False,
            per_device_train_batch_size=2, max_completion_length=4, report_to=[],
        ),
    )  # fmt: skip
    trainer.train()
    (rewards,) = seen
    assert len(rewards) == 2
    assert set(rewards) <= {0.0, 1.0}


def test_adora_check_prints_verdict_forms_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--gold", r"12\sqrt{3}", "--answer", "x = 20.78 cm"]) == 0
    shown = capsys.readouterr().out
    assert "verdict    correct" in shown
    assert "(mul 12 (root 3 2))" in shown
    assert "x = 1039/50 [cm]" in shown
    assert cli.main(["--gold", "D", "--response", r"\boxed{60}", "--choices", "30", "60"]) == 1
    assert cli.main(["--gold", "5", "--answer", r"\frac{5}{"]) == 1
    assert "not readable" in capsys.readouterr().out


def test_adora_check_takes_a_line_separator_inside_a_response(tmp_path: Path) -> None:
    """U+2028 may stand unescaped in JSON; only a newline ends a row."""
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"gold": "5", "response": "so\u2028\\\\boxed{5}"}\n', encoding="utf-8")
    assert cli.main(["--file", str(path)]) == 0
    assert '"correct"' in path.with_suffix(".verdicts.jsonl").read_text(encoding="utf-8")


def test_adora_check_reads_a_file_and_writes_verdicts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"id": "a", "gold": "5", "answer": "5.0"},
        {"id": "b", "gold": "C", "response": r"\boxed{40}", "choices": ["30", "35", "40"]},
        {"id": "c", "gold": "5", "answer": "6"},
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    assert cli.main(["--file", str(path)]) == 0
    lines = (tmp_path / "pairs.verdicts.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert [(row["id"], row["outcome"]) for row in found] == [
        ("a", "correct"), ("b", "correct"), ("c", "incorrect"),
    ]  # fmt: skip
    assert "66.67% correct" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["not json", '{"gold": "5"}', "[1]"])
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"gold": "5", "answer": "5"}\n' + line, encoding="utf-8")
    with pytest.raises(ValueError, match=r"pairs\.jsonl:2"):
        cli.main(["--file", str(path)])


def test_missing_arguments_are_one_clear_line() -> None:
    with pytest.raises(ValueError, match="--gold"):
        cli.main(["--gold", "5"])
