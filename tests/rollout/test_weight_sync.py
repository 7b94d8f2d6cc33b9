"""Fingerprints that survive an engine's own layout and nothing else; buckets; completeness."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from adora_mm.rollout.weight_sync import (
    Fingerprints,
    Traffic,
    WeightSyncError,
    add_shares,
    block_of,
    buckets,
    check_complete,
    compare,
    pack,
    row_hashes,
    unpack,
)


def weights(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    return {
        f"model.language_model.layers.{layer}.self_attn.{part}_proj.{kind}": random(*shape)
        for layer in range(2)
        for part in "qkv"
        for kind, shape in (("weight", (4, 8)), ("bias", (4,)))
    } | {"model.visual.patch_embed.proj.weight": random(6, 3, 2, 2), "lm_head.weight": random(5, 8)}


def fingerprints(named: dict[str, Tensor], dtype: torch.dtype = torch.float32) -> dict[str, int]:
    found = Fingerprints(dtype)
    assert dict(found.watch(named.items())).keys() == named.keys()
    return found.blocks


def joined(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """As an engine holds them: q, k and v in one, other names, a flat convolution, padding."""
    out = {}
    for layer in range(2):
        for kind in ("weight", "bias"):
            parts = [
                named[f"model.language_model.layers.{layer}.self_attn.{part}_proj.{kind}"]
                for part in "qkv"
            ]
            out[f"language_model.model.layers.{layer}.self_attn.qkv_proj.{kind}"] = torch.cat(parts)
    out["visual.patch_embed.proj.weight"] = named["model.visual.patch_embed.proj.weight"].flatten(1)
    head = named["lm_head.weight"]
    out["language_model.lm_head.weight"] = torch.cat([head, torch.zeros(3, head.shape[1])])
    return out


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_another_layout_of_the_same_weights_has_the_same_fingerprints(dtype: torch.dtype) -> None:
    ours = fingerprints(weights(), dtype)
    assert ours.keys() == {"vision", "language", "language/0", "language/1"}
    compare(ours, fingerprints(joined(weights()), dtype), where="it")


def test_one_changed_element_anywhere_is_noticed() -> None:
    expected = fingerprints(weights())
    for name, weight in weights().items():
        changed = weight.clone()
        changed.reshape(-1)[-1] += 1e-6 * changed.reshape(-1)[-1].abs() + 1e-6
        with pytest.raises(WeightSyncError, match=f"1 of 4 blocks differ .{block_of(name)}"):
            compare(expected, fingerprints(weights() | {name: changed}), where="it")


def test_swapped_layers_columns_and_missing_rows_are_noticed() -> None:
    named = weights()
    expected = fingerprints(named)
    q = "model.language_model.layers.{}.self_attn.q_proj.weight".format
    wrong = [
        named | {q(0): named[q(1)], q(1): named[q(0)]},
        named | {q(0): named[q(0)].flip(1)},
        named | {q(0): torch.cat([named[q(0)][:3], torch.zeros(1, 8)])},
        {name: weight for name, weight in named.items() if name != q(0)},
    ]
    for other in wrong:
        with pytest.raises(WeightSyncError, match="language/0"):
            compare(expected, fingerprints(other), where="it")


@given(st.integers(1, 40), st.integers(1, 9))
def test_the_hash_does_not_depend_on_how_rows_are_cut(rows: int, columns: int) -> None:
    weight = torch.randn(rows, columns, generator=torch.Generator().manual_seed(rows))
    whole = row_hashes(weight)
    assert whole == sum(row_hashes(row) for row in weight.split(1)) % 2**64
    assert whole == row_hashes(weight.flip(0))
    assert row_hashes(torch.zeros(rows, columns)) == 0


def test_buckets_hold_everything_in_order_within_the_limit() -> None:
    named = list(weights().items())
    cut = list(buckets(named, 300))
    assert [item for bucket in cut for item in bucket] == named
    sizes = [sum(weight.numel() * 4 for _, weight in bucket) for bucket in cut]
    assert len(cut) > 2
    assert all(size <= 300 or len(bucket) == 1 for size, bucket in zip(sizes, cut, strict=True))
    assert [len(bucket) for bucket in buckets(named, 1)] == [1] * len(named)
    assert list(buckets([], 10)) == []


def test_parameters_that_got_nothing_are_named() -> None:
    check_complete(["a", "b"], ["b", "a"], where="it")
    with pytest.raises(WeightSyncError, match="no weights for 2 parameters, for instance b"):
        check_complete(["a"], ["c", "b", "a"], where="it")


def test_traffic_counts_bytes() -> None:
    traffic = Traffic()
    list(traffic.watch([("a", torch.zeros(3)), ("b", torch.zeros(2, 2, dtype=torch.bfloat16))]))
    assert traffic.bytes == 12 + 8


@pytest.mark.parametrize("limit_bytes", [1, 100, 150, 10**6])
def test_packed_rows_hold_every_parameter_once_and_as_it_was(limit_bytes: int) -> None:
    """Sizes that are no multiples of each other, several dtypes, and one over the limit."""
    named = weights() | {
        "odd": torch.arange(3, dtype=torch.bfloat16),
        "scalar": torch.tensor(2.5),
        "half": torch.ones(5, dtype=torch.float16),
    }
    found: dict[str, Tensor] = {}
    lengths = []
    rows = pack(named.items(), limit_bytes, device=torch.device("cpu"), pinned=False)
    for fields, row in rows:
        lengths.append(len(row))
        assert len(row) < limit_bytes + 16 or len(fields) == 1
        for name, weight in unpack(fields, row.clone()):
            assert name not in found
            found[name] = weight
    assert list(found) == list(named)
    for name, weight in named.items():
        assert found[name].dtype == weight.dtype
        assert torch.equal(found[name], weight)
    assert (len(lengths) == 1) == (limit_bytes == 10**6)


def test_shares_of_several_workers_add_up_to_the_whole() -> None:
    named = weights()
    halves: list[dict[str, Tensor]] = [{}, {}]
    for name, weight in named.items():
        half = weight.shape[0] // 2
        halves[0][name], halves[1][name] = weight[:half], weight[half:]
    whole = fingerprints(named)
    assert add_shares(fingerprints(half) for half in halves) == whole
    assert add_shares([fingerprints(halves[0])]) != whole
