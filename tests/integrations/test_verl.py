"""The adapter for verl: against the real one where it is installed, else against its signatures.

verl pins another transformers than ours, so it lives in a folder of its own, which the variable
ADORA_VERL names; docs/integrations.md says how to make it.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
import json
import os
import subprocess
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import verl_source

ROOT = Path(__file__).resolve().parents[2]
RECORDED = json.loads(Path(__file__).with_name("verl_0_9_1.json").read_text(encoding="utf-8"))


@pytest.fixture
def site() -> Path:
    """The folder in which verl is installed."""
    named = os.environ.get("ADORA_VERL")
    if named:
        return Path(named)
    try:
        return Path(str(importlib.metadata.distribution("verl").locate_file("")))
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("verl is not installed; docs/integrations.md says how to set ADORA_VERL")


@pytest.fixture
def adapter(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The adapter's module on a stand-in for verl's registry, with a plain GRPO in it."""
    registry: dict[str, Any] = {"grpo": plain_grpo}

    def register_adv_est(name: str) -> Any:
        return lambda function: registry.setdefault(name, function)

    algos = types.ModuleType("verl.trainer.ppo.core_algos")
    algos.__dict__.update(
        register_adv_est=register_adv_est, get_adv_estimator_fn=registry.__getitem__
    )
    for name in ("verl", "verl.trainer", "verl.trainer.ppo"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "verl.trainer.ppo.core_algos", algos)
    monkeypatch.delitem(sys.modules, "adora_mm.integrations.verl", raising=False)
    import adora_mm.integrations.verl as module

    assert registry["adora"] is module.adora_advantage
    yield module
    sys.modules.pop("adora_mm.integrations.verl", None)


def plain_grpo(
    token_level_rewards: torch.Tensor,
    response_mask: torch.Tensor,
    index: np.ndarray,
    epsilon: float = 1e-6,
    norm_adv_by_std_in_grpo: bool = True,
    config: Any = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """GRPO with the recorded signature, one group at a time."""
    scores = token_level_rewards.sum(dim=-1)
    advantages = torch.zeros_like(scores)
    for uid in set(index):
        rows = torch.tensor([k for k, other in enumerate(index) if other == uid])
        centred = scores[rows] - scores[rows].mean()
        spread = scores[rows].std() + epsilon if norm_adv_by_std_in_grpo else 1.0
        advantages[rows] = centred / spread
    result = advantages[:, None] * response_mask
    return result, result


def batch() -> dict[str, Any]:
    """Two groups, interleaved: TAS (5 over 3) and TDS (2 under 4)."""
    lengths, right = torch.tensor([5, 2, 3, 4]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    mask = (torch.arange(6) < lengths[:, None]).float()
    rewards = torch.zeros(4, 6)
    rewards[torch.arange(4), lengths - 1] = right
    index = np.array(["b", "a", "b", "a"], dtype=object)
    return {"token_level_rewards": rewards, "response_mask": mask, "index": index}


def test_it_takes_the_keywords_that_verl_hands_over(adapter: Any) -> None:
    inspect.signature(adapter.adora_advantage).bind(**dict.fromkeys(RECORDED["call"]))
    for base in (*adapter.SCALED_BASES, *adapter.PLAIN_BASES):
        taken = RECORDED["estimators"][base]
        assert set(RECORDED["call"]) <= set(taken)
        assert ("norm_adv_by_std_in_grpo" in taken) == (base in adapter.SCALED_BASES)
    assert inspect.signature(plain_grpo).parameters.keys() == set(RECORDED["estimators"]["grpo"])


def test_weights_follow_the_uids_and_returns_stay_the_hosts(adapter: Any) -> None:
    config = {"adora": {"preset": "vl_reference", "lambda_att": 0.5}}
    advantages, returns = adapter.adora_advantage(**batch(), config=config)
    plain, _ = plain_grpo(**batch())
    weights = torch.tensor([1.0, 0.5, 1.0, 0.5])
    assert torch.equal(advantages, plain * weights[:, None])
    assert torch.equal(returns, plain)


@pytest.mark.parametrize("scaled", [True, False])
def test_lambda_one_is_verls_grpo_and_its_switch_is_handed_on(adapter: Any, scaled: bool) -> None:
    config = {"adora": {"lambda_att": 1.0}, "norm_adv_by_std_in_grpo": scaled}
    plain, _ = plain_grpo(**batch(), norm_adv_by_std_in_grpo=scaled)
    assert torch.equal(adapter.adora_advantage(**batch(), config=config)[0], plain)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"adora": {"base": "reinforce_plus_plus"}}, "adora.base=reinforce_plus_plus is not"),
        ({"adora": {"lamda_att": 0.1}}, r"adora\.lamda_att: .*given: 0\.1"),
        ({"adora": {"preset": "vl"}}, "unknown ADORA preset 'vl'"),
        ({"adora": {"from_step": 3}}, "leave them out"),
        ({"use_kl_in_reward": True}, "use_kl_in_reward mixes the KL"),
    ],
)
def test_settings_that_cannot_work_are_one_clear_line(
    adapter: Any, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        adapter.adora_advantage(**batch(), config=config)
    assert "\n" not in str(caught.value)


def test_the_package_names_the_adapter_in_verls_plugin_group() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"][RECORDED["plugin_group"]] == {
        "adora": "adora_mm.integrations.verl"
    }


def test_the_recorded_signatures_are_those_of_the_installed_verl(site: Path) -> None:
    """Fails when an upgrade of verl moves what the adapter relies on."""
    found = verl_source.read(site / "verl")
    assert found["version"] == RECORDED["version"], "read the new source, then record it"
    for key in ("call", "plugin_group"):
        assert found[key] == RECORDED[key]
    for name, parameters in RECORDED["estimators"].items():
        assert found["estimators"][name] == parameters, name


@pytest.mark.slow
def test_the_installed_verl_loads_the_plugin_and_computes_with_it(
    site: Path, tmp_path: Path
) -> None:
    plugin = tmp_path / "adora_plugin-1.0.dist-info"
    plugin.mkdir()
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: adora-plugin\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text("[verl.plugins]\nadora = adora_mm.integrations.verl\n")
    path = os.pathsep.join([str(ROOT), str(site), str(tmp_path)])
    done = subprocess.run(
        [sys.executable, verl_source.__file__],
        env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS="1"),
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert f"OK {RECORDED['version']}" in done.stdout
    assert "adora/weight_mean=" in done.stderr + done.stdout, "what was applied is logged"


def test_the_reader_of_sources_finds_what_is_there() -> None:
    source = "@register_adv_est(AdvantageEstimator.RLOO)\ndef f(a, b, **kw): ..."
    assert verl_source.estimators(ast.parse(source)) == {"rloo": ["a", "b", "kw"]}
