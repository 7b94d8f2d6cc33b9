"""What the study compares: settings (task and start) times variants (the algorithm) times seeds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
OFF = "advantage.adora.enabled=false"
CONTROL_GROUPS = "advantage.adora.control_groups=signal"
DAPO = (
    "loss.clip_high=0.28",
    "loss.aggregation=token_mean",
    "dynamic_sampling.enabled=true",
)

VARIANTS: dict[str, tuple[str, ...]] = {
    "grpo": (OFF,),
    "adora_attenuate": ("advantage.adora.mode=attenuate",),
    # The authors' own advice: ADORA first, plain training after.
    "adora_then_grpo": ("advantage.adora.mode=attenuate", "advantage.adora.until_step=9"),
    "adora_amplify": ("advantage.adora.mode=amplify",),
    # The controls of attenuation, matched over the groups that have a gradient.
    "matched_random": ("advantage.adora.control=matched_random", CONTROL_GROUPS),
    "scaled_lr": ("advantage.adora.control=scaled_lr", CONTROL_GROUPS),
    "dapo": (OFF, *DAPO),
    "dapo_adora": ("advantage.adora.mode=attenuate", *DAPO),
}
"""Overrides of the recipe; everything else, seeds of problems and of sampling too, is equal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A task that all of its variants are trained on, from the embedded policy."""

    recipe: Path
    variants: tuple[str, ...]
    test_sets: tuple[str, ...]
    max_new_tokens: int
    """Response cap of its evaluations, that of its recipe."""


SETTINGS: dict[str, Setting] = {
    "embedded": Setting(
        recipe=HERE / "study.yaml",
        variants=tuple(VARIANTS),
        test_sets=("in_distribution", "smaller_pictures", "unseen_families"),
        max_new_tokens=96,
    ),
    "tight_cap": Setting(
        recipe=HERE / "tight_cap.yaml",
        variants=("grpo", "adora_attenuate", "matched_random"),
        test_sets=("in_distribution", "unseen_families"),
        max_new_tokens=32,
    ),
}

FAMILIES = {
    "triangle_angle_sum": 1.0,
    "exterior_angle": 1.0,
    "linear_pair": 1.0,
    "quadrilateral_angle_sum": 1.0,
}
UNSEEN = {"isosceles_angles": 0.3, "parallel_lines": 0.7}


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSet:
    """Problems that no run trains on."""

    families: dict[str, float]
    count: int
    image_px: int = 140
    sampled: int = 0
    """Completions per problem at temperature 1, besides the greedy one."""


TEST_SETS: dict[str, TestSet] = {
    "in_distribution": TestSet(families=FAMILIES, count=300, sampled=2),
    "smaller_pictures": TestSet(families=FAMILIES, count=300, image_px=112),
    "unseen_families": TestSet(families=UNSEEN, count=180),
}


def run_name(setting: str, variant: str, seed: int) -> str:
    return f"{setting}-{variant}-seed{seed}"
