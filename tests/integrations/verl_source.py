"""What the adapter relies on in verl's source, read with `ast`; and checks inside the real verl.

verl_source.py        run where verl is importable: prints OK after checking the estimator
"""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from typing import Any

OWN = "adora"


def read(folder: Path) -> dict[str, Any]:
    """The same facts as in the recorded file, from the folder of the package `verl`."""
    algos = ast.parse((folder / "trainer/ppo/core_algos.py").read_text(encoding="utf-8"))
    trainer = ast.parse((folder / "trainer/ppo/ray_trainer.py").read_text(encoding="utf-8"))
    return {
        "version": (folder / "version/version").read_text(encoding="utf-8").strip(),
        "call": call_keys(trainer),
        "estimators": estimators(algos),
        "plugin_group": plugin_group(ast.parse((folder / "__init__.py").read_text("utf-8"))),
    }


def call_keys(trainer: ast.Module) -> list[str]:
    """Keywords that `compute_advantage` hands to every estimator, and `index`."""
    (function,) = (
        node
        for node in trainer.body
        if isinstance(node, ast.FunctionDef) and node.name == "compute_advantage"
    )
    assigned = [
        (ast.unparse(node.targets[0]), node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
    ]
    (always,) = (
        value for name, value in assigned if name == "adv_kwargs" and isinstance(value, ast.Dict)
    )
    keys = [ast.literal_eval(key) for key in always.keys if key is not None]
    return keys + ["index" for name, _ in assigned if name == "adv_kwargs['index']"]


def estimators(algos: ast.Module) -> dict[str, list[str]]:
    """Parameter names of every estimator, by the value of the enum that registers it."""
    found = {}
    for node in algos.body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and "register_adv_est" in ast.unparse(decorator):
                name = ast.unparse(decorator.args[0]).rsplit(".", 1)[-1].strip("'\"").lower()
                kwargs = [node.args.kwarg.arg] if node.args.kwarg else []
                found[name] = [argument.arg for argument in node.args.args] + kwargs
    return found


def plugin_group(package: ast.Module) -> str:
    (group,) = {
        ast.literal_eval(keyword.value)
        for node in ast.walk(package)
        if isinstance(node, ast.Call)
        for keyword in node.keywords
        if keyword.arg == "group"
    }
    return str(group)


def check_the_real_one() -> None:
    import numpy as np
    import torch
    import verl
    from omegaconf import OmegaConf
    from verl.trainer.config import AlgoConfig
    from verl.trainer.ppo import core_algos

    assert OWN in core_algos.ADV_ESTIMATOR_REGISTRY, f"{verl.__version__} did not load the plugin"
    ours = core_algos.get_adv_estimator_fn(OWN)
    generator = torch.Generator().manual_seed(0)
    rewards = torch.zeros(24, 9)
    rewards[:, 3] = torch.randint(0, 2, (24,), generator=generator).float()
    lengths = torch.randint(4, 10, (24,), generator=generator)
    mask = (torch.arange(9) < lengths[:, None]).float()
    uids = np.array([f"uid-{row % 5}" for row in range(24)], dtype=object)  # ragged, interleaved
    called = {"token_level_rewards": rewards, "response_mask": mask, "index": uids}

    for base in ("grpo", "grpo_vectorized", "grpo_passk", "rloo", "rloo_vectorized", "opo", "gpg"):
        for scaled in (True, False):
            algorithm = OmegaConf.create(
                {"adora": {"base": base, "lambda_att": 1.0}, "norm_adv_by_std_in_grpo": scaled}
            )
            OmegaConf.set_struct(algorithm, True)
            extra = {"norm_adv_by_std_in_grpo": scaled} if base.startswith("grpo") else {}
            plain = core_algos.get_adv_estimator_fn(base)(**called, config=algorithm, **extra)
            same = ours(**called, config=algorithm)
            assert torch.equal(same[0], plain[0]), base
            assert torch.equal(same[1], plain[1]), base
            algorithm.adora.lambda_att = 0.5
            weighted = ours(**called, config=algorithm)[0]
            ratio = torch.where(plain[0] == 0, 1.0, weighted / plain[0])
            found = set(ratio.unique().tolist())
            # Pass@k leaves a signal only in groups with a single success, here all advantageous.
            assert found == ({1.0} if base == "grpo_passk" else {0.5, 1.0}), base
    grpo = core_algos.compute_grpo_outcome_advantage(**called)[0]
    ratio = torch.where(grpo == 0, 1.0, ours(**called, config=AlgoConfig())[0] / grpo)
    assert ((ratio - 0.1).abs() < 1e-6).any(), "without a section of its own the defaults hold"
    refused(ours, called, {"adora": {"base": "gae"}}, "adora.base=gae")
    refused(ours, called, {"adora": {"lambda": 1}}, "adora.lambda")
    refused(ours, called, {"use_kl_in_reward": True}, "use_kl_in_reward")
    refused(ours, called | {"index": None}, {}, "index=uid")


def refused(ours: Any, called: dict[str, Any], algorithm: dict[str, Any], message: str) -> None:
    said = "nothing"
    try:
        ours(**called, config=algorithm)
    except ValueError as error:
        said = str(error)
    assert message in said, said


if __name__ == "__main__":
    check_the_real_one()
    import verl

    sys.stdout.write(f"OK {verl.__version__} {Path(inspect.getfile(verl)).parent}\n")
