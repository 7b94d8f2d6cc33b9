"""Log-probs and entropy of response tokens from hidden states, without holding all the logits.

The one rule of alignment: the hidden state at position t-1 predicts token t. `models.py` cuts the
hidden states at [last prompt token .. last response token but one]; here state i scores target i.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

BANNED_LOGIT = -1e9  # finite, so that 0 * log(0) in the entropy is 0 and not NaN


def policy_logits(
    logits_NV: Tensor, *, temperature: float, banned_token_ids: Sequence[int]
) -> Tensor:
    """Logits of the distribution that is sampled: fp32, tempered, banned tokens removed."""
    logits_NV = logits_NV.float() / temperature
    if banned_token_ids:
        banned = torch.tensor(banned_token_ids, device=logits_NV.device)
        logits_NV = logits_NV.index_fill(-1, banned, BANNED_LOGIT)
    return logits_NV


def token_logprobs(
    head: nn.Module,
    hidden_NH: Tensor,
    targets_N: Tensor,
    *,
    temperature: float,
    banned_token_ids: Sequence[int],
    num_chunks: int,
) -> tuple[Tensor, Tensor]:
    """Log-prob (nats) of each target and entropy of its distribution, both [N] in fp32.

    The N tokens are scored in `num_chunks` pieces; when gradients are wanted, each piece is
    recomputed in the backward pass, so at most N / num_chunks rows of logits are alive. The number
    of pieces, not their size, is fixed by the caller: under ZeRO-3 every rank must call the head
    equally often, whatever its responses' lengths.
    """

    def score(hidden: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logits = policy_logits(
            head(hidden), temperature=temperature, banned_token_ids=banned_token_ids
        )
        logprobs = torch.log_softmax(logits, dim=-1)
        entropy = -(logprobs.exp() * logprobs).sum(-1)
        return logprobs.gather(-1, targets[:, None]).squeeze(-1), entropy

    recompute = torch.is_grad_enabled() and num_chunks > 1
    pieces = [
        checkpoint(score, hidden, targets, use_reentrant=False)
        if recompute
        else score(hidden, targets)
        for hidden, targets in zip(
            hidden_NH.tensor_split(num_chunks), targets_N.tensor_split(num_chunks), strict=True
        )
    ]
    return torch.cat([piece[0] for piece in pieces]), torch.cat([piece[1] for piece in pieces])
