"""Log-probs and entropies of given hidden states against closed forms, and the chunked scoring."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from adora_mm.logprobs import policy_logits, token_logprobs

VOCAB, HIDDEN = 11, 6


def random_head(seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(HIDDEN, VOCAB, bias=False)


def identity_scores(
    logits_NV: Tensor, targets: list[int], *, temperature: float = 1.0, banned: tuple[int, ...] = ()
) -> tuple[Tensor, Tensor]:
    """Scores of logits given directly: the head passes them through."""
    return token_logprobs(
        nn.Identity(),
        logits_NV,
        torch.tensor(targets),
        temperature=temperature,
        banned_token_ids=banned,
        num_chunks=1,
    )


def test_uniform_logits() -> None:
    logprobs, entropy = identity_scores(torch.zeros(2, VOCAB), [0, 7])
    assert logprobs.tolist() == pytest.approx([-math.log(VOCAB)] * 2)
    assert entropy.tolist() == pytest.approx([math.log(VOCAB)] * 2)


def test_banned_tokens_leave_the_distribution() -> None:
    logits = torch.zeros(1, VOCAB)
    logits[0, 3] = 50.0
    logprobs, entropy = identity_scores(logits, [0], banned=(3, 4))
    assert logprobs.item() == pytest.approx(-math.log(VOCAB - 2))
    assert entropy.item() == pytest.approx(math.log(VOCAB - 2))


def test_a_banned_target_scores_very_low_but_finite() -> None:
    logprobs, entropy = identity_scores(torch.zeros(1, VOCAB), [3], banned=(3,))
    assert torch.isfinite(logprobs).all()
    assert logprobs.item() < -1e8
    assert entropy.item() == pytest.approx(math.log(VOCAB - 1))


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
def test_two_outcomes_with_temperature(temperature: float) -> None:
    logits = torch.tensor([[math.log(0.8), math.log(0.2)]])
    odds = 4 ** (1 / temperature)
    p = odds / (1 + odds)
    logprobs, entropy = identity_scores(logits, [0], temperature=temperature)
    assert logprobs.item() == pytest.approx(math.log(p), abs=1e-6)
    assert entropy.item() == pytest.approx(-p * math.log(p) - (1 - p) * math.log(1 - p), abs=1e-6)


def test_a_certain_token_has_no_entropy() -> None:
    logits = torch.full((1, VOCAB), -200.0)
    logits[0, 5] = 0.0
    logprobs, entropy = identity_scores(logits, [5])
    assert logprobs.item() == 0.0
    assert entropy.item() == 0.0


def test_policy_logits_are_fp32_and_leave_their_input_alone() -> None:
    logits = torch.ones(2, VOCAB, dtype=torch.bfloat16)
    out = policy_logits(logits, temperature=0.5, banned_token_ids=(1,))
    assert out.dtype == torch.float32
    assert out[0, 0].item() == 2.0
    assert (logits == 1).all()


@pytest.mark.parametrize("num_chunks", [2, 3, 7, 20])
@pytest.mark.parametrize("num_tokens", [7, 1, 0])
def test_chunks_change_neither_values_nor_gradients(num_chunks: int, num_tokens: int) -> None:
    generator = torch.Generator().manual_seed(1)
    hidden = torch.randn(num_tokens, HIDDEN, generator=generator)
    targets = torch.randint(0, 9, (num_tokens,), generator=generator)
    results = []
    for chunks in (1, num_chunks):
        head, states = random_head(), hidden.clone().requires_grad_()
        logprobs, entropy = token_logprobs(
            head, states, targets, temperature=0.8, banned_token_ids=(9, 10), num_chunks=chunks
        )
        (logprobs.sum() + entropy.square().sum()).backward()
        results.append((logprobs.detach(), entropy.detach(), states.grad, head.weight.grad))
    for whole, chunked in zip(*results, strict=True):
        torch.testing.assert_close(chunked, whole, atol=1e-6, rtol=0)


@pytest.mark.parametrize("num_tokens", [0, 2, 9])
def test_the_head_is_called_equally_often_whatever_the_number_of_tokens(num_tokens: int) -> None:
    head, calls = random_head(), []
    head.register_forward_hook(lambda *_: calls.append(1))
    states = torch.zeros(num_tokens, HIDDEN, requires_grad=True)
    targets = torch.zeros(num_tokens, dtype=torch.long)
    logprobs, _ = token_logprobs(
        head, states, targets, temperature=1.0, banned_token_ids=(), num_chunks=4
    )
    assert len(calls) == 4
    logprobs.sum().backward()
    assert len(calls) == 8  # each piece once more in the backward pass


def test_without_gradients_nothing_is_kept() -> None:
    with torch.no_grad():
        logprobs, entropy = token_logprobs(
            random_head(),
            torch.zeros(3, HIDDEN),
            torch.zeros(3, dtype=torch.long),
            temperature=1.0,
            banned_token_ids=(),
            num_chunks=2,
        )
    assert not logprobs.requires_grad
    assert not entropy.requires_grad


def test_gradient_of_a_log_prob_is_one_hot_minus_probabilities() -> None:
    logits = torch.tensor([[0.3, -1.0, 2.0]], requires_grad=True)
    logprobs, _ = identity_scores(logits, [1], temperature=2.0)
    logprobs.sum().backward()
    expected = (torch.tensor([0.0, 1.0, 0.0]) - torch.softmax(logits[0] / 2, -1)) / 2
    torch.testing.assert_close(logits.grad, expected[None], atol=1e-6, rtol=0)
