"""The ADORA rules, row by row: edge-case table, vectors, presets, schedule, controls."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adora_mm.advantages import adora_preset, adora_weights, compute_advantages, is_advantageous
from adora_mm.advantages.adora import PRESETS, apply_control, difficulty_advantage
from adora_mm.config.algorithm import AdoraConfig, AdvantageConfig

QUICK = settings(deadline=None, max_examples=50)

CAP = 4096


def group(successes: list[int], failures: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """success, lengths, truncated of one group [1, G]; a length of CAP means cut off."""
    lengths = torch.tensor([successes + failures])
    success = torch.tensor([[True] * len(successes) + [False] * len(failures)])
    return success, lengths, lengths == CAP


def weight(config: AdoraConfig, successes: list[int], failures: list[int]) -> float:
    return round(adora_weights(*group(successes, failures), config).item(), 6)


LAMBDA = 0.1

# Rows of the table of edge cases: (group, weight in the VL code, weight in the LLM code).
TABLE = [
    ("mixed, longest success above mean failure", [100, 300], [150, 200], 1.0, 1.0),
    ("mixed, longest success below mean failure", [100], [150, 200], LAMBDA, LAMBDA),
    ("mixed, tie", [175], [150, 200], LAMBDA, LAMBDA),
    ("no success", [], [100, 150, 200], 1.0, LAMBDA),
    ("no success, all truncated", [], [CAP, CAP], 1.0, LAMBDA),
    ("all succeed", [100, 200, 300], [], LAMBDA, 1.0),
    ("mixed, every failure truncated", [100], [CAP, CAP, CAP], LAMBDA, 1.0),
    ("mixed, one failure truncated", [300], [100, CAP], 1.0, 1.0),
]


@pytest.mark.parametrize(("name", "successes", "failures", "vl", "llm"), TABLE)
def test_edge_case_table_of_both_reference_implementations(
    name: str, successes: list[int], failures: list[int], vl: float, llm: float
) -> None:
    assert weight(adora_preset("vl_reference"), successes, failures) == vl
    assert weight(adora_preset("llm_reference"), successes, failures) == llm


def test_the_llm_code_before_release_is_the_vl_rule_without_truncation_filter() -> None:
    config = adora_preset("vl_reference")
    for successes, failures in [([100], [CAP, CAP, CAP]), ([300], [100, CAP])]:
        success, lengths, truncated = group(successes, failures)
        no_filter = torch.zeros_like(truncated)
        assert adora_weights(success, lengths, no_filter, config).item() == pytest.approx(LAMBDA)


@pytest.mark.parametrize(
    ("successes", "failures", "tas"),
    [
        ([100, 300], [150, 200], True),
        ([100], [150, 200], False),
        ([175], [150, 200], False),
        ([176], [150, 200], True),
        ([300], [100, CAP], True),
        ([101], [100, CAP], True),
        ([100], [100, CAP], False),
    ],
)
def test_length_vectors(successes: list[int], failures: list[int], tas: bool) -> None:
    for name in ("vl_reference", "llm_reference", "paper_vlm"):
        verdict = is_advantageous(*group(successes, failures), adora_preset(name))
        assert verdict.tolist() == [tas], name


@pytest.mark.parametrize("setting", ["tas", "tds"])
def test_each_empty_case_has_its_own_setting(setting: str) -> None:
    other = "tds" if setting == "tas" else "tas"
    cases = {
        "empty_success": ([], [150, 200]),
        "empty_failure": ([150, 200], []),
        "truncated_failures": ([150], [CAP]),
    }
    for field in cases:
        config = AdoraConfig.model_validate(dict.fromkeys(cases, other) | {field: setting})
        for name, (successes, failures) in cases.items():
            expected = (setting if name == field else other) == "tas"
            assert is_advantageous(*group(successes, failures), config).item() is expected


@pytest.mark.parametrize(("right", "difficult"), [(0, True), (2, True), (3, False), (4, False)])
def test_difficulty_is_a_success_rate_of_at_most_tau(right: int, difficult: bool) -> None:
    success = torch.tensor([[True] * right + [False] * (4 - right)])
    assert difficulty_advantage(success, AdoraConfig(tau=0.5)).item() is difficult


def test_tau_compares_exactly_at_fractions_that_binary_cannot_hold() -> None:
    success = torch.tensor([[True] * 3 + [False] * 7])
    assert difficulty_advantage(success, AdoraConfig(tau=0.3)).item()


@pytest.mark.parametrize(
    ("criterion", "expected"),
    [
        ("length", [True, True, False, False]),
        ("difficulty", [True, False, True, False]),
        ("length_and_difficulty", [True, False, False, False]),
        ("length_or_difficulty", [True, True, True, False]),
    ],
)
def test_criteria_combine_length_and_difficulty(criterion: str, expected: list[bool]) -> None:
    success = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 0]]).bool()
    long, short = [90, 10, 10, 10], [10, 10, 10, 90]
    lengths = torch.tensor([long, long, short, short])
    config = AdoraConfig.model_validate({"criterion": criterion})
    verdict = is_advantageous(success, lengths, torch.zeros_like(success), config)
    assert verdict.tolist() == expected


def test_amplification_doubles_advantageous_groups_and_leaves_the_others() -> None:
    config = adora_preset("paper_llm")
    assert (config.mode, config.criterion) == ("amplify", "length_and_difficulty")
    assert weight(config, [300], [150, 200, 100]) == 2.0
    assert weight(config, [300, 310, 320], [150]) == 1.0
    assert weight(config, [100], [150, 200, 100]) == 1.0


def test_amplify_without_a_criterion_takes_length_and_difficulty() -> None:
    assert AdoraConfig(mode="amplify").criterion == "length_and_difficulty"
    assert AdoraConfig(mode="amplify", criterion="length").criterion == "length"
    assert AdoraConfig().criterion == "length"


def test_an_unknown_preset_is_refused_with_the_known_names() -> None:
    with pytest.raises(ValueError, match=r"'vlm'.*vl_reference"):
        adora_preset("vlm")
    assert set(PRESETS) == {"vl_reference", "llm_reference", "paper_vlm", "paper_llm"}


def test_a_disabled_layer_weighs_everything_by_one() -> None:
    assert weight(AdoraConfig(enabled=False), [100], [150, 200]) == 1.0


def naive_tas(rows: list[tuple[bool, int, bool]], config: AdoraConfig) -> bool:
    """The rule in words, for one group of (success, length, truncated)."""
    right = [n for ok, n, _ in rows if ok]
    wrong = [n for ok, n, _ in rows if not ok]
    whole = [n for ok, n, cut in rows if not ok and not cut]
    if not right:
        length = config.empty_success == "tas"
    elif not wrong:
        length = config.empty_failure == "tas"
    elif not whole:
        length = config.truncated_failures == "tas"
    else:
        length = max(right) * len(whole) > sum(whole)
    difficulty = len(right) / len(rows) <= config.tau
    return {
        "length": length,
        "difficulty": difficulty,
        "length_and_difficulty": length and difficulty,
        "length_or_difficulty": length or difficulty,
    }[config.criterion]


ROLLOUT = st.tuples(st.booleans(), st.integers(1, 12), st.booleans())
GROUPS = st.lists(st.lists(ROLLOUT, min_size=1, max_size=6), min_size=1, max_size=6)
SIDES = st.sampled_from(["tas", "tds"])
CONFIGS = st.builds(
    AdoraConfig,
    mode=st.sampled_from(["attenuate", "amplify"]),
    criterion=st.sampled_from(
        ["length", "difficulty", "length_and_difficulty", "length_or_difficulty"]
    ),
    tau=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    empty_success=SIDES,
    empty_failure=SIDES,
    truncated_failures=SIDES,
)


def padded(groups: list[list[tuple[bool, int, bool]]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """success, lengths, truncated, mask of ragged groups, with misleading values at the padding."""
    size = max(len(rows) for rows in groups)
    full = [rows + [(True, 10**6, True)] * (size - len(rows)) for rows in groups]
    success, lengths, truncated = (
        torch.tensor([[row[k] for row in rows] for rows in full]) for k in range(3)
    )
    mask = torch.tensor([[i < len(rows) for i in range(size)] for rows in groups])
    return success, lengths, truncated, mask


@QUICK
@given(groups=GROUPS, config=CONFIGS)
def test_agrees_with_the_rule_in_words_on_ragged_groups(
    groups: list[list[tuple[bool, int, bool]]], config: AdoraConfig
) -> None:
    success, lengths, truncated, mask = padded(groups)
    verdict = is_advantageous(success, lengths, truncated, config, mask)
    assert verdict.tolist() == [naive_tas(rows, config) for rows in groups]


@QUICK
@given(groups=GROUPS, config=CONFIGS, data=st.data())
def test_a_weight_ignores_the_order_of_rollouts_and_all_other_groups(
    groups: list[list[tuple[bool, int, bool]]], config: AdoraConfig, data: st.DataObject
) -> None:
    success, lengths, truncated, mask = padded(groups)
    weights = adora_weights(success, lengths, truncated, config, mask)
    shuffled = [data.draw(st.permutations(rows)) for rows in groups]
    success, lengths, truncated, mask = padded(shuffled)
    assert torch.equal(adora_weights(success, lengths, truncated, config, mask), weights)
    for rows, expected in zip(groups, weights, strict=True):
        success, lengths, truncated, mask = padded([rows])
        assert adora_weights(success, lengths, truncated, config, mask).item() == expected


def batch(seed: int, prompts: int = 40, size: int = 8) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(seed)
    success = torch.rand(prompts, size, generator=generator) < torch.rand(
        prompts, 1, generator=generator
    )
    return {
        "rewards_PG": success.float(),
        "success_PG": success,
        "lengths_PG": torch.randint(1, 100, (prompts, size), generator=generator),
        "truncated_PG": torch.rand(prompts, size, generator=generator) < 0.1,
    }


def applied(adora: AdoraConfig, *, step: int = 0, seed: int = 0) -> Tensor:
    result = compute_advantages(
        **batch(0), config=AdvantageConfig(adora=adora), step=step, seed=seed
    )
    return result.weights_P


def test_the_schedule_acts_from_one_step_until_another() -> None:
    config = AdoraConfig(from_step=3, until_step=5)
    acting = [bool((applied(config, step=step) != 1).any()) for step in range(7)]
    assert acting == [False, False, False, True, True, False, False]


def test_matched_random_applies_the_same_weights_in_an_order_drawn_per_step() -> None:
    plain = applied(AdoraConfig())
    config = AdoraConfig(control="matched_random")
    first, again, later = (applied(config, step=step, seed=1) for step in (0, 0, 1))
    assert torch.equal(first.sort().values, plain.sort().values)
    assert torch.equal(first, again)
    assert not torch.equal(first, plain)
    assert not torch.equal(first, later)
    assert not torch.equal(first, applied(config, step=0, seed=2))


def test_scaled_lr_gives_every_group_the_mean_weight() -> None:
    plain = applied(AdoraConfig())
    scaled = applied(AdoraConfig(control="scaled_lr"))
    assert torch.allclose(scaled, plain.mean().expand_as(plain))


@pytest.mark.parametrize("control", ["matched_random", "scaled_lr"])
def test_controls_over_groups_with_signal_leave_the_others_alone(control: str) -> None:
    weights = torch.tensor([0.1, 1.0, 1.0, 0.1, 0.1, 1.0, 1.0])
    signal = torch.tensor([True, True, False, True, False, True, True])
    config = AdoraConfig.model_validate({"control": control, "control_groups": "signal"})
    controlled = apply_control(weights, signal, config, step=0, seed=0)
    assert torch.equal(controlled[~signal], weights[~signal])
    assert controlled[signal].sum().item() == pytest.approx(weights[signal].sum().item())


def test_controls_without_any_signal_change_nothing() -> None:
    weights = torch.tensor([0.1, 1.0])
    config = AdoraConfig(control="scaled_lr", control_groups="signal")
    assert torch.equal(
        apply_control(weights, torch.zeros(2).bool(), config, step=0, seed=0), weights
    )
