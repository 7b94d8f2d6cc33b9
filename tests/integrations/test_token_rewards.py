"""Weights for hosts that tell token rewards, masks and group ids: rules, ragged groups, order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from adora_mm.advantages import adora_preset, adora_weights
from adora_mm.config.algorithm import AdoraConfig
from adora_mm.integrations.token_rewards import read_settings, row_weights, with_adora
from adora_mm.integrations.weights import group_weights, layout_of, resolve_adora

CAP = 12
Row = tuple[str, int, float]
"""Group id, length, reward."""


def centred(
    token_level_rewards: Tensor, response_mask: Tensor, index: Any
) -> tuple[Tensor, Tensor]:
    """A host's estimator: reward minus the mean of the group's rewards."""
    scores, ids = token_level_rewards.sum(-1), np.asarray(index)
    means = [scores[torch.from_numpy(ids == group)].mean() for group in ids]
    result = (scores - torch.stack(means))[:, None] * response_mask
    return result, result


def inputs(rows: Sequence[Row]) -> dict[str, Any]:
    lengths = torch.tensor([length for _, length, _ in rows])
    rewards = torch.zeros(len(rows), CAP)
    rewards[torch.arange(len(rows)), lengths - 1] = torch.tensor([reward for *_, reward in rows])
    return {
        "token_level_rewards": rewards,
        "response_mask": (torch.arange(CAP) < lengths[:, None]).float(),
        "index": np.array([group for group, *_ in rows], dtype=object),
    }


def weights(rows: Sequence[Row], config: AdoraConfig, **options: Any) -> list[float]:
    given = inputs(rows)
    advantages, _ = centred(**given)
    found, _ = row_weights(
        advantages,
        given["token_level_rewards"],
        given["response_mask"],
        given["index"],
        config,
        **options,
    )
    return [round(weight, 6) for weight in found.tolist()]


def group(name: str, successes: list[int], failures: list[int]) -> list[Row]:
    return [(name, length, 1.0) for length in successes] + [
        (name, length, 0.0) for length in failures
    ]


TABLE = [
    ([3, 9], [4, 6], 1.0, 1.0),
    ([3], [4, 6], 0.1, 0.1),
    ([5], [4, 6], 0.1, 0.1),
    ([], [3, 4, 6], 1.0, 0.1),
    ([], [CAP, CAP], 1.0, 0.1),
    ([3, 4, 6], [], 0.1, 1.0),
    ([3], [CAP, CAP, CAP], 0.1, 1.0),
    ([9], [3, CAP], 1.0, 1.0),
]


@pytest.mark.parametrize(("successes", "failures", "vl", "llm"), TABLE)
def test_edge_case_table_of_both_reference_implementations(
    successes: list[int], failures: list[int], vl: float, llm: float
) -> None:
    rows = group("g", successes, failures)
    half = {"success_threshold": 0.5}
    for name, expected in (("vl_reference", vl), ("llm_reference", llm)):
        config = adora_preset(name).model_copy(update=half)
        assert weights(rows, config, max_response_tokens=CAP) == [expected] * len(rows)


def test_without_a_cap_no_response_counts_as_cut_off() -> None:
    rows = group("g", [9], [3, CAP, CAP])
    config = adora_preset("vl_reference")
    assert weights(rows, config, max_response_tokens=CAP) == [1.0] * 4
    assert weights(rows, config) == [0.1] * 4


def test_lengths_count_what_the_policy_wrote_and_the_cap_where_it_stopped() -> None:
    """The words of a tool stand in the response, not in the mask."""
    given = inputs([("g", 8, 1.0), ("g", 4, 0.0)])
    given["response_mask"][0, 1:6] = 0  # three tokens of its own, up to place 8
    advantages, _ = centred(**given)
    arguments = (advantages, given["token_level_rewards"], given["response_mask"], given["index"])
    found, metrics = row_weights(*arguments, AdoraConfig())
    assert found.tolist() == pytest.approx([0.1, 0.1])
    assert metrics["length/correct"] == 3
    found, _ = row_weights(*arguments, AdoraConfig(), max_response_tokens=4)
    assert found.tolist() == pytest.approx([0.1, 0.1]), "the only failure reached 4: truncated"


rows_of_groups = st.lists(
    st.tuples(
        st.sampled_from(["u1", "u2", "u3", "u10"]),
        st.integers(1, CAP),
        st.sampled_from([0.0, 0.1, 1.0]),
    ),
    min_size=1,
    max_size=24,
)
configs = st.builds(
    AdoraConfig,
    mode=st.sampled_from(["attenuate", "amplify"]),
    criterion=st.sampled_from(
        ["length", "difficulty", "length_and_difficulty", "length_or_difficulty"]
    ),
    empty_success=st.sampled_from(["tas", "tds"]),
    empty_failure=st.sampled_from(["tas", "tds"]),
    truncated_failures=st.sampled_from(["tas", "tds"]),
)
QUICK = settings(deadline=None, max_examples=40)


@QUICK
@given(rows_of_groups, configs, st.randoms())
def test_the_order_of_the_rows_changes_nothing(
    rows: list[Row], config: AdoraConfig, random: Any
) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)
    before = weights(rows, config, max_response_tokens=CAP)
    after = weights([rows[k] for k in order], config, max_response_tokens=CAP)
    assert after == [before[k] for k in order]


@QUICK
@given(rows_of_groups, configs)
def test_a_groups_weight_is_that_of_the_group_alone_and_of_the_library(
    rows: list[Row], config: AdoraConfig
) -> None:
    together = weights(rows, config, max_response_tokens=CAP)
    for name in {group for group, *_ in rows}:
        alone = [row for row in rows if row[0] == name]
        lengths = torch.tensor([[length for _, length, _ in alone]])
        success = torch.tensor([[reward > 0.5 for *_, reward in alone]])
        expected = round(adora_weights(success, lengths, lengths >= CAP, config).item(), 6)
        assert weights(alone, config, max_response_tokens=CAP) == [expected] * len(alone)
        assert {w for w, row in zip(together, rows, strict=True) if row[0] == name} == {expected}


@QUICK
@given(rows_of_groups, configs)
def test_lambda_one_is_the_hosts_advantage_bit_for_bit(
    rows: list[Row], config: AdoraConfig
) -> None:
    same = config.model_copy(update={"lambda_att": 1.0, "lambda_amp": 1.0})
    plain, returns = centred(**inputs(rows))
    ours = with_adora(centred, same)(**inputs(rows))
    assert torch.equal(ours[0], plain)
    assert torch.equal(ours[1], returns)


def test_controls_keep_the_weights_and_are_drawn_from_the_group_ids() -> None:
    rows = [row for k in range(6) for row in group(f"u{k}", [9 if k % 2 else 2], [5])]
    plain = weights(rows, AdoraConfig())
    assert set(weights(rows, AdoraConfig(control="scaled_lr"))) == {0.55}
    shuffled = weights(rows, AdoraConfig(control="matched_random"))
    assert sorted(shuffled) == sorted(plain)
    assert shuffled == weights(rows, AdoraConfig(control="matched_random"))
    drawn = set()
    for batch in range(8):
        renamed = [(f"{batch}{name}", *rest) for name, *rest in rows]
        drawn.add(tuple(weights(renamed, AdoraConfig(control="matched_random"))))
    assert len(drawn) > 1


def test_one_line_of_what_was_applied_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    rows = group("a", [9], [3]) + group("b", [3], [9])
    with_adora(centred, "vl_reference")(**inputs(rows))
    (line,) = [record.getMessage() for record in caplog.records]
    assert "adora/tas_frac=0.5000" in line
    assert "adora/weight_mean=0.5500" in line


def test_a_host_may_take_the_metrics_itself() -> None:
    seen: list[dict[str, float]] = []
    with_adora(centred, report=seen.append)(**inputs(group("a", [9], [3])))
    assert seen[0]["adora/weight_mean"] == 1.0
    assert seen[0]["group/success_rate"] == 0.5


def test_settings_of_a_host_replace_those_of_the_preset() -> None:
    found = read_settings({"preset": "paper_llm", "lambda_amp": 3.0, "base": "rloo"})
    assert (found.base, found.max_response_tokens) == ("rloo", None)
    assert found.adora.lambda_amp == 3.0
    assert found.adora.criterion == "length_and_difficulty"
    assert read_settings({"mode": "amplify"}).adora.criterion == "length_and_difficulty"
    assert read_settings({}).adora == AdoraConfig()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"lambda_at": 0.1}, r"adora\.lambda_at: "),
        ({"tau": 2}, r"adora\.tau: .*given: 2"),
        ({"preset": "x"}, "unknown ADORA preset 'x'"),
        ({"from_step": 5, "until_step": 4}, "never act"),
    ],
)
def test_unknown_and_bad_settings_are_one_clear_line(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_settings(section)


def test_a_schedule_is_refused_and_so_are_rows_without_a_group() -> None:
    with pytest.raises(ValueError, match="leave them out"):
        with_adora(centred, AdoraConfig(until_step=5))
    call = {**inputs(group("a", [9], [3])), "index": None}
    with pytest.raises(ValueError, match="index=uid"):
        with_adora(centred)(**call)


def test_groups_without_a_known_rollout_keep_weight_one_and_stay_out_of_the_metrics() -> None:
    known = torch.tensor([[False, False], [True, True]])
    lengths = torch.tensor([[3, 3], [2, 5]])
    success = torch.tensor([[False, False], [True, False]])
    base = torch.tensor([[0.5, -0.5], [1.0, -1.0]])
    cut = torch.zeros_like(known)
    result = group_weights(base, success, lengths, cut, known, AdoraConfig(control="scaled_lr"))
    assert result.weights_P.tolist() == pytest.approx([1.0, 0.1])
    assert result.metrics["adora/tas_frac"] == 0.0
    nobody = group_weights(base, success, lengths, cut, known & False, AdoraConfig())
    assert nobody.weights_P.tolist() == [1.0, 1.0]


def test_the_layout_of_ragged_interleaved_groups() -> None:
    layout = layout_of(np.array(["b", "a", "b", "b"]), torch.device("cpu"))
    assert layout.grouped(torch.tensor([1, 2, 3, 4])).tolist() == [[2, 0, 0], [1, 3, 4]]
    assert layout.mask_PG.tolist() == [[True, False, False], [True, True, True]]
    assert layout.group_of_row.tolist() == [1, 0, 1, 1]


def test_a_preset_or_settings() -> None:
    assert resolve_adora("paper_llm") == adora_preset("paper_llm")
    assert resolve_adora(AdoraConfig(tau=0.3)).tau == 0.3
