"""The Python of docs/integrations.md runs: on TRL itself, else on stand-ins of what it extends.

A stand-in has the names and shapes of the version that the page says was read, and nothing more.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import types
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

if TYPE_CHECKING:
    from model_fixtures import TinyModels

PAGE = Path(__file__).resolve().parents[2] / "docs" / "integrations.md"
BLOCKS = dict(
    re.findall(r"```python\n# ([^\n]*)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
)
Load = Callable[..., types.ModuleType]

# Two groups of two: the success longer than the failure (TAS), then shorter (TDS).
LENGTHS, RIGHT, WEIGHTS = (5, 3, 2, 4), (1.0, 0.0, 1.0, 0.0), (1.0, 1.0, 0.1, 0.1)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Load:
    """Imports a block of the page from a file, with stand-ins for the modules that it imports."""

    def load(name: str, edits: dict[str, str] | None = None, **modules: Any) -> types.ModuleType:
        for dotted, contents in modules.items():
            module = types.ModuleType(dotted.replace("__", "."))
            module.__dict__.update(contents)
            monkeypatch.setitem(sys.modules, module.__name__, module)
        text = BLOCKS[name]
        for old, new in (edits or {}).items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "recipe.py"
        path.write_text(text, encoding="utf-8")
        spec = importlib.util.spec_from_file_location("recipe", path)
        assert spec is not None
        assert spec.loader is not None
        recipe = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(recipe)
        return recipe

    return load


def actor(cls: type) -> Any:
    """What `ray.remote` makes of a class, as far as the recipes look."""
    return types.SimpleNamespace(__ray_actor_class__=cls)


def test_every_python_block_is_run_or_is_part_of_one_that_is() -> None:
    assert set(BLOCKS) == {"trl: text", "openrlhf", "ms-swift", "easyr1"}


def test_trl(load: Load, tiny_model: TinyModels, tmp_path: Path) -> None:
    recipe = load(
        "trl: text",
        {
            "Qwen/Qwen2.5-0.5B-Instruct": str(tiny_model("qwen2").folder),
            "runs/trl": str(tmp_path / "run"),
            "num_generations=8,": "num_generations=8, max_steps=1, max_completion_length=4, "
            "use_cpu=True, bf16=False, report_to=[], save_strategy='no', logging_steps=1,",
        },
    )
    log = recipe.trainer.state.log_history[0]
    assert log["adora/weight_mean"] == 1.0  # nothing right after four tokens: TAS by setting
    assert log["group/none_correct_frac"] == 1.0


def test_openrlhf(load: Load) -> None:
    order = [2, 0, 3, 1]  # rows as the micro-batches hold them

    class RemoteExperienceMaker:
        def compute_advantages_and_returns(self, experiences: list[Any]) -> list[Any]:
            return experiences

    class PPOTrainer:
        def __init__(self) -> None:
            self.maker = trainer_module.RemoteExperienceMaker()

    trainer_module = types.ModuleType("openrlhf.trainer.ppo_trainer")
    trainer_module.PPOTrainer = actor(PPOTrainer)
    trainer_module.RemoteExperienceMaker = RemoteExperienceMaker
    recipe = load(
        "openrlhf",
        ray={"remote": actor},
        openrlhf={},
        openrlhf__trainer={"ppo_trainer": trainer_module},
        openrlhf__trainer__ppo_utils={},
        openrlhf__trainer__ppo_utils__experience_maker={
            "RemoteExperienceMaker": RemoteExperienceMaker
        },
    )
    maker = recipe.AdoraPPOTrainer().maker
    maker.advantage_estimator = "group_norm"
    maker.args = types.SimpleNamespace(rollout=types.SimpleNamespace(n_samples_per_prompt=2))
    experiences = []
    for rows in (order[:2], order[2:]):
        mask = (torch.arange(6) < torch.tensor([LENGTHS[row] for row in rows])[:, None]).long()
        experiences.append(
            types.SimpleNamespace(
                index=rows,
                advantages=torch.ones(2, 6),
                action_mask=mask,
                scores=torch.tensor([RIGHT[row] for row in rows]),
                truncated=torch.tensor([False, False]),
                info={},
            )
        )
    done = maker.compute_advantages_and_returns(experiences)
    found = torch.cat([e.advantages[:, 0] for e in done]).tolist()
    assert found == pytest.approx([WEIGHTS[row] for row in order])
    assert torch.cat([e.info["adora_weight"] for e in done]).tolist() == found
    maker.advantage_estimator = "reinforce_baseline"
    with pytest.raises(ValueError, match="group_norm"):
        maker.compute_advantages_and_returns(experiences)


def test_ms_swift(load: Load) -> None:
    class GRPOTrainer:
        num_generations = 2
        dynamic_num_samples = False
        reward_func_names = ("Format", "MathAccuracy")
        args = types.SimpleNamespace(seed=42)
        state = types.SimpleNamespace(global_step=0)

        def __init__(self) -> None:
            self.model = types.SimpleNamespace(training=True)
            self._metrics: Any = {"train": defaultdict(list)}

        def _compute_advantages(self, samples: Any, rewards: Any, batches: Any) -> torch.Tensor:
            return torch.tensor([1.0, -1.0, 1.0, -1.0])

    load(
        "ms-swift",
        swift={},
        swift__rlhf_trainers={},
        swift__rlhf_trainers__grpo_trainer={"GRPOTrainer": GRPOTrainer},
    )
    batches = [
        {
            "grpo_batch": types.SimpleNamespace(
                completion_mask=torch.arange(6) < torch.tensor(LENGTHS[rows])[:, None],
                truncated_mask=torch.tensor([False, False]),
            )
        }
        for rows in (slice(0, 2), slice(2, 4))
    ]
    rewards = torch.stack([torch.ones(4), torch.tensor(RIGHT)], dim=1)
    trainer = GRPOTrainer()
    found = trainer._compute_advantages([], rewards, batches)
    assert found.tolist() == pytest.approx([1.0, -1.0, 0.1, -0.1])
    assert trainer._metrics["train"]["adora/weight_mean"] == pytest.approx([0.55])
    trainer.model.training = False
    assert trainer._compute_advantages([], rewards, batches).tolist() == [1.0, -1.0, 1.0, -1.0]


def test_easyr1(load: Load, capsys: pytest.CaptureFixture[str]) -> None:
    seen = []

    def grpo(
        token_level_rewards: torch.Tensor, response_mask: torch.Tensor, index: Any, **rest: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        assert rest == {"gamma": 1.0, "lam": 1.0}
        return response_mask, response_mask

    algos = types.SimpleNamespace(ADV_ESTIMATOR_MAP={"grpo": grpo})

    class Runner:
        def run(self, config: Any) -> None:
            mask = (torch.arange(6) < torch.tensor(LENGTHS)[:, None]).float()
            rewards = torch.zeros(4, 6)
            rewards[:, 0] = 0.9 * torch.tensor(RIGHT) + 0.1
            seen.append(
                algos.ADV_ESTIMATOR_MAP["grpo"](
                    token_level_rewards=rewards,
                    response_mask=mask,
                    index=np.array(["x", "x", "y", "y"], dtype=object),
                    gamma=1.0,
                    lam=1.0,
                )[0]
            )

    recipe = load(
        "easyr1",
        ray={"remote": lambda **options: actor},
        verl={},
        verl__trainer={
            "core_algos": algos,
            "main": types.SimpleNamespace(Runner=actor(Runner)),
        },
    )
    config = types.SimpleNamespace(data=types.SimpleNamespace(max_response_length=6))
    recipe.AdoraRunner().run(config)
    assert seen[0][:, 0].tolist() == pytest.approx(list(WEIGHTS))
    assert "adora/weight_mean" in capsys.readouterr().out
