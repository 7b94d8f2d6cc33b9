"""Optional kernels: one line where they cannot run, and the arguments that Liger takes.

The kernels themselves need a GPU. What is called is checked against Liger's source where the
package lies, without importing it (that needs triton).
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from model_fixtures import KINDS, TinyModels
from run_fixtures import train

from adora_mm import kernels
from adora_mm.config import PolicyConfig
from adora_mm.families import TEXT_FAMILIES, VISION_FAMILIES
from adora_mm.kernels import LIGER_ARGUMENTS, PACKAGES, apply_liger, check_kernels
from adora_mm.models import choose_batching

CPU, GPU = torch.device("cpu"), torch.device("cuda")
OPTIONAL: list[dict[str, Any]] = [{"attention": name} for name in PACKAGES] + [{"liger": True}]


@pytest.mark.parametrize("settings", OPTIONAL, ids=str)
def test_a_kernel_that_cannot_run_is_refused(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = PolicyConfig(**settings)
    (key,) = settings
    with pytest.raises(
        ValueError, match=rf"policy.{key}=.* needs a CUDA GPU, this run is on cpu; set"
    ):
        check_kernels(policy, CPU)
    monkeypatch.setattr(kernels, "find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=rf"policy.{key}=.* needs a package: pip install .*; or set"
    ):
        check_kernels(policy, GPU)
    monkeypatch.setattr(kernels, "find_spec", lambda name: object())
    check_kernels(policy, GPU)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_what_pytorch_has_needs_nothing(attention: Any) -> None:
    check_kernels(PolicyConfig(attention=attention), CPU)


@pytest.mark.parametrize("word", ["policy.liger=true", "policy.attention=flash_attention_3"])
def test_a_run_stops_before_anything_is_loaded(
    tmp_path: Path, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = "data: {{train: {root}/none}}\nrun_dir: {root}/runs\ntrain: {{total_steps: 1}}\n"
    (tmp_path / "recipe.yaml").write_text(recipe.format(root=tmp_path))
    assert train(tmp_path, "refused", word) == 2
    assert f"{word} needs a CUDA GPU" in capsys.readouterr().err


@pytest.mark.parametrize("attention", sorted(set(PACKAGES) - {"flash_attention_2"}))
def test_kernels_without_a_form_for_shared_rows_take_padded_ones(
    tiny_model: TinyModels, attention: str
) -> None:
    batching, note = choose_batching(tiny_model("llama").folder, "auto", attention)
    assert batching == "padded"
    assert f"no form for policy.attention={attention}" in note


@pytest.mark.parametrize("kind", KINDS)
def test_liger_is_asked_for_norms_and_mlps_alone(
    tiny_model: TinyModels, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never for its losses: they would replace the forward that log-probs are computed with."""
    calls: list[dict[str, Any]] = []
    table = {
        name: lambda **given: calls.append(given) for name in (*VISION_FAMILIES, *TEXT_FAMILIES)
    }
    fake = SimpleNamespace(monkey_patch=SimpleNamespace(MODEL_TYPE_TO_APPLY_LIGER_FN=table))
    monkeypatch.setitem(sys.modules, "liger_kernel", SimpleNamespace(transformers=fake))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", fake)
    model = tiny_model(kind).load()
    apply_liger(model)
    assert calls == [{"model": model, **LIGER_ARGUMENTS}]
    assert not LIGER_ARGUMENTS["cross_entropy"]
    assert not LIGER_ARGUMENTS["fused_linear_cross_entropy"]


def test_liger_takes_these_arguments_for_every_family() -> None:
    spec = importlib.util.find_spec("liger_kernel")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("needs the package liger-kernel: pip install --no-deps liger-kernel")
    file = Path(spec.submodule_search_locations[0]) / "transformers" / "monkey_patch.py"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and ast.unparse(node.targets[0]) == "MODEL_TYPE_TO_APPLY_LIGER_FN"
        and isinstance(node.value, ast.Dict)
    )
    patches = {
        ast.literal_eval(key): ast.unparse(value)
        for key, value in zip(table.keys, table.values, strict=True)
        if key is not None
    }
    for family in (*VISION_FAMILIES, *TEXT_FAMILIES):
        taken = {argument.arg for argument in functions[patches[family]].args.args}
        assert taken >= {"model", *LIGER_ARGUMENTS}, family
