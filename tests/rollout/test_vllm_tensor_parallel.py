"""A server whose model is cut over two workers (CPU): weights reach both, and both are compared."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from model_fixtures import TinyModels, save_tiny
from rollout_fixtures import server_backend, tokens

from adora_mm import distributed
from adora_mm.config import VllmConfig
from adora_mm.models import load_policy
from adora_mm.rollout import Sampling
from adora_mm.rollout.transformers import TransformersBackend
from adora_mm.rollout.weight_sync import Fingerprints, add_shares

pytestmark = [pytest.mark.vllm, pytest.mark.slow]

GREEDY = Sampling(num_completions=1, max_new_tokens=16, temperature=0.0)
TWO = VllmConfig(
    kv_cache_gb=0.25, enforce_eager=True, max_sequences=32, tensor_parallel_size=2,
    sync_bucket_mb=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "weight_transfer"),
    [("qwen2_5_vl", "broadcast"), ("qwen3_vl", "broadcast"), ("qwen2", "files")],
)
def test_both_workers_take_an_update_and_prove_it(
    tiny_model: TinyModels, tmp_path: Path, kind: str, weight_transfer: str
) -> None:
    """The first update compares fingerprints, which count every row of both workers once."""
    distributed.start(1)
    tiny = tiny_model(kind)
    save_tiny(kind, tmp_path / "other", seed=1)
    other = load_policy(tmp_path / "other")
    config = TWO.model_copy(update={"weight_transfer": weight_transfer})
    backend = server_backend(tiny, config, tmp_path / "logs", print)
    try:
        before = tokens(backend.generate(tiny.prompts, GREEDY))
        backend.update_weights(other.named_parameters(), version=1)
        after = tokens(backend.generate(tiny.prompts, GREEDY))
        shares = backend._servers[0].workers("adora_fingerprints")
    finally:
        backend.close()
    assert before == tokens(
        TransformersBackend(tiny.folder, tiny.processor).generate(tiny.prompts, GREEDY)
    )
    own = TransformersBackend(tmp_path / "other", tiny.processor)
    assert after == tokens(own.generate(tiny.prompts, GREEDY))
    whole = Fingerprints(torch.float32)
    assert list(whole.watch(other.named_parameters()))
    assert len(shares) == 2
    assert all(add_shares([share]) != whole.blocks for share in shares), "each has a part"
    assert add_shares(shares) == whole.blocks
