"""The study's variants are diffs of one recipe, and its noise measure is the definition."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from adora_mm.config import load_config

STUDY = Path(__file__).resolve().parents[1] / "benchmarks" / "adora_study"


@pytest.fixture(scope="module")
def study() -> Any:
    sys.path.insert(0, str(STUDY))
    try:
        import noise
        import report
        import variants
    finally:
        sys.path.remove(str(STUDY))
    return {"noise": noise, "report": report, "variants": variants}


def test_variants_differ_in_the_algorithm_alone(study: Any) -> None:
    variants = study["variants"]
    for setting in variants.SETTINGS.values():
        plain = load_config(setting.recipe, variants.VARIANTS["grpo"]).model_dump()
        assert plain["rollout"]["max_new_tokens"] == setting.max_new_tokens
        assert plain["rollout"]["prompts_per_step"] == study["report"].PROMPTS_PER_STEP
        for name in setting.variants:
            config = load_config(setting.recipe, variants.VARIANTS[name]).model_dump()
            changed = {key for key in config if config[key] != plain[key]}
            assert changed <= {"advantage", "loss", "dynamic_sampling"}, name
            assert name == "grpo" or changed, name


def test_every_variant_has_a_colour_and_every_setting_its_test_sets(study: Any) -> None:
    variants, report = study["variants"], study["report"]
    for setting in variants.SETTINGS.values():
        assert set(setting.variants) <= set(report.COLOURS)
        assert set(setting.test_sets) <= set(variants.TEST_SETS)
        assert variants.TEST_SETS[setting.test_sets[0]].sampled > 0


def test_noise_is_the_trace_of_the_covariance_and_signal_is_unbiased(study: Any) -> None:
    """Against the vectors themselves: 6 groups, 3 parameters, one group without a gradient."""
    gradients = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    gradients[4] = 0
    weights = torch.tensor([1.0, 0.1, 1.0, 0.1, 1.0, 1.0], dtype=torch.float64)
    plain = torch.ones(6, dtype=torch.float64)
    row = study["noise"].noise_row("x", gradients @ gradients.T, weights, plain)
    weighted = weights[:, None] * gradients
    assert row.noise == pytest.approx(weighted.var(dim=0).sum().item())
    mean = weighted.mean(dim=0)
    assert row.signal == pytest.approx(mean.square().sum().item() - row.noise / 6)
    assert row.cosine == pytest.approx(
        torch.cosine_similarity(mean, gradients.mean(dim=0), dim=0).item()
    )
    assert (row.groups, row.with_signal) == (6, 5)
    assert row.weight_mean == pytest.approx((1 + 0.1 + 1 + 0.1 + 1) / 5)


def test_steps_to_the_target_are_interpolated(study: Any) -> None:
    report = study["report"]

    def steps(*accuracies: float) -> float:
        evals = [{"step": 4 * i, "accuracy": value} for i, value in enumerate(accuracies)]
        return report.steps_to_target(report.Run(evals=evals, metrics=[], measures={}))

    assert steps(0.1, 0.3, 0.5) == pytest.approx(6.0)
    assert steps(0.1, 0.4) == pytest.approx(4.0)
    assert steps(0.1, 0.2) == float("inf")
