"""Streams of random numbers: keyed by seed, problem and index, and by nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from adora_mm.rollout import Sampling, build_backend
from adora_mm.rollout.sampling import uniform_stream


def test_the_same_keys_give_the_same_numbers() -> None:
    assert np.array_equal(uniform_stream(3, "p/1", 2, 50), uniform_stream(3, "p/1", 2, 50))


def test_a_longer_stream_starts_like_a_shorter_one() -> None:
    assert np.array_equal(uniform_stream(3, "p", 2, 7), uniform_stream(3, "p", 2, 1000)[:7])


def test_every_key_matters() -> None:
    keys = [(0, "p", 0), (1, "p", 0), (0, "q", 0), (0, "p", 1), (0, "p/0", 0), (-1, "p", 0)]
    streams = {tuple(uniform_stream(*key, 4)) for key in keys}
    assert len(streams) == len(keys)


def test_the_numbers_are_uniform_along_a_stream_and_across_streams() -> None:
    along = uniform_stream(0, "p", 0, 20_000)
    across = np.array([uniform_stream(0, f"p{i}", 0, 1)[0] for i in range(5_000)])
    for numbers in (along, across):
        assert numbers.min() >= 0
        assert numbers.max() < 1
        counts, _ = np.histogram(numbers, bins=20, range=(0, 1))
        expected = len(numbers) / 20
        # 19 degrees of freedom: 45 is exceeded once in a thousand times; the keys are fixed
        assert ((counts - expected) ** 2 / expected).sum() < 45


def test_an_unknown_backend_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"rollout\.backend='sglang'.*transformers"):
        build_backend("sglang", "nowhere", None)


def test_sampling_defaults_to_the_whole_distribution() -> None:
    sampling = Sampling(num_completions=1, max_new_tokens=1, temperature=1.0)
    assert sampling.top_p == 1.0
