"""Bytes that are alive at once in a micro-batch's forward and backward pass, without doing it.

A shortened copy of the policy runs on fake tensors, which have shapes and no contents: the model's
own layers, our attention over shared rows and our chunks of logits, with checkpointing and adapters
if the recipe has them. A tracker counts what is alive. Two lengths of the model give what a layer
adds. Gradients of weights are dropped as they come (`states.py` counts them): only those in flight
are seen.

Fake tensors take the CPU's kernel of attention; it keeps what CUDA's fused kernels keep (queries,
keys, values, output). Where CUDA needs something more, `_expanded_keys` adds it.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from adora_mm.config import RunConfig
from adora_mm.logprobs import token_logprobs
from adora_mm.models import DTYPES, is_vision_config
from adora_mm.plan.blueprint import blueprint, shortened
from adora_mm.plan.workload import Rows
from adora_mm.shared_prompts import ATTENTION, Block

LOGIT_ROWS = 4096
"""`ResponseScorer`'s default of `max_logit_rows`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Activations:
    """Peak bytes of one micro-batch beside weights and gradients."""

    total: int
    language_layer: int
    """What one more layer adds."""
    vision_layer: int


class Alive(TorchDispatchMode):
    """Counts bytes of storages that operations made and nobody has let go of yet.

    Views of what was there before, `given`, do not count.
    """

    def __init__(self, given: Iterable[Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._given = [tensor.untyped_storage() for tensor in given]
        self._seen = {id(storage): 0 for storage in self._given}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_iter(result):
            if isinstance(value, Tensor):
                self._add(value.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key = id(storage)
        if key not in self._seen:
            self._seen[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self.now -= self._seen.pop(key)


def activations(config: RunConfig, model_config: Any, rows: Rows, *, gpu: bool) -> Activations:
    """Peak of the recipe's training step on such a micro-batch."""
    text = model_config.get_text_config()
    depth = text.num_hidden_layers
    vision_depth = model_config.vision_config.depth if is_vision_config(model_config) else 0
    low, low_vision = min(1, depth), min(1, vision_depth)

    def peak(layers: int, vision_layers: int) -> int:
        short = shortened(model_config, layers=layers, vision_layers=vision_layers)
        return _peak(config, short, rows)

    base = peak(low, low_vision)
    layer = peak(low + 1, low_vision) - base if depth > low else 0
    vision = peak(low, low_vision + 1) - base if vision_depth > low_vision else 0
    if gpu:
        extra = _expanded_keys(text, rows, 2 if config.policy.dtype == "bfloat16" else 4)
        once = config.policy.gradient_checkpointing
        layer, base = layer + (0 if once else extra), base + extra * (1 if once else low)
    total = base + layer * (depth - low) + vision * (vision_depth - low_vision)
    return Activations(total=total, language_layer=layer, vision_layer=vision)


def _peak(config: RunConfig, model_config: Any, rows: Rows) -> int:
    model = blueprint(model_config, config.policy)
    if config.policy.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    if rows.batching != "padded":
        model.model.get_submodule(_language(model_config)).config._attn_implementation = ATTENTION[
            "sdpa"
        ][0]
    with _fake(model), Alive((*model.parameters(), *model.buffers())) as alive:
        hidden = _hidden(model, rows, config)
        targets = torch.empty(len(hidden), dtype=torch.long)
        logprobs, entropy = token_logprobs(
            model.lm_head,
            hidden,
            targets,
            temperature=config.rollout.temperature,
            banned_token_ids=(0,),
            num_chunks=-(-rows.response_tokens // LOGIT_ROWS),
        )
        loss = logprobs.sum()
        if config.loss.entropy_coef:
            loss = loss + entropy.sum()
        del logprobs, entropy  # as the loss lets go of them: a kept entropy keeps its logits
        loss.backward()
    return alive.peak


@contextmanager
def _fake(model: Any) -> Iterator[None]:
    """Inside, tensors have no contents, the model's neither; its gradients vanish as they come."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        made: dict[int, nn.Parameter] = {}
        for module in model.modules():
            for name, old in module._parameters.items():
                if old is not None:
                    if id(old) not in made:
                        made[id(old)] = nn.Parameter(
                            torch.empty(old.shape, dtype=old.dtype, device="cpu"),
                            requires_grad=old.requires_grad,
                        )
                    module._parameters[name] = made[id(old)]
            for name, buffer in module._buffers.items():
                if buffer is not None:
                    shape, dtype = buffer.shape, buffer.dtype
                    module._buffers[name] = torch.empty(shape, dtype=dtype, device="cpu")
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(_forget)
        yield


def _forget(parameter: Tensor) -> None:
    parameter.grad = None


def _hidden(model: Any, rows: Rows, config: RunConfig) -> Tensor:
    """States that predict the response tokens, as `ResponseScorer` computes them; [N, H]."""
    shared = rows.batching != "padded"
    batch, length = (1, rows.tokens) if shared else (rows.groups * rows.rollouts, 0)
    if not shared:
        length = rows.lengths.prompt + rows.lengths.response
    language = model.model.get_submodule(_language(model.config))
    ids = torch.empty(batch, length, dtype=torch.long)
    embeds = language.embed_tokens(ids) if _nested(model.config) else model.model.embed_tokens(ids)
    positions = torch.empty(batch, length, dtype=torch.long)
    if is_vision_config(model.config):
        positions = torch.empty(3, batch, length, dtype=torch.long)
        features = _pictures(model.model.visual, rows, config)
        repeats = rows.prompt_copies // rows.groups
        places = features.repeat(repeats, 1)[: batch * length]
        flat = embeds.reshape(batch * length, -1)
        mask = torch.empty(flat.shape, dtype=torch.bool)
        embeds = flat.masked_scatter(mask, places.to(flat.dtype)).reshape(embeds.shape)
    extra = {"shared_blocks": _blocks(rows)} if shared else {}
    states = language(
        inputs_embeds=embeds, position_ids=positions, use_cache=False, **extra
    ).last_hidden_state
    if shared:
        return states[0].index_select(0, torch.empty(rows.response_tokens, dtype=torch.long))
    return states[:, -1 - rows.lengths.response : -1].reshape(rows.response_tokens, -1)


def _pictures(visual: Any, rows: Rows, config: RunConfig) -> Tensor:
    """The tower's features of one picture per prompt: patches, blocks, merger(s)."""
    patches = rows.groups * rows.lengths.patches
    vision = visual.config
    width = vision.in_channels * vision.temporal_patch_size * vision.patch_size**2
    hidden = visual.patch_embed(torch.empty(patches, width).to(DTYPES[config.policy.dtype]))
    hidden = hidden.reshape(patches, -1)
    angle = torch.empty(patches, vision.hidden_size // vision.num_heads)
    # numpy: the tower takes its attention windows from the values, and fake tensors have none.
    ends = np.arange(rows.groups + 1) * rows.lengths.patches
    for block in visual.blocks:
        hidden = block(hidden, cu_seqlens=ends, position_embeddings=(angle, angle))
    features: Tensor = visual.merger(hidden)
    for merger in getattr(visual, "deepstack_merger_list", ()):
        features = features + 0 * merger(hidden)
    return features


def _blocks(rows: Rows) -> tuple[Block, ...]:
    each = rows.rollouts if rows.batching == "prefix" else 1
    lengths = (rows.lengths.response,) * each
    return tuple(
        Block(prompt=index, prompt_tokens=rows.lengths.prompt, response_tokens=lengths)
        for index in range(rows.prompt_copies)
    )


def _nested(model_config: Any) -> bool:
    return is_vision_config(model_config)


def _language(model_config: Any) -> str:
    return "language_model" if _nested(model_config) else ""


def _expanded_keys(text: Any, rows: Rows, width: int) -> int:
    """CUDA: keys and values of a layer, for all heads (`shared_prompts._attend`), bytes."""
    heads = text.num_attention_heads
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    lengths = rows.lengths
    seen = rows.groups * rows.rollouts * (lengths.prompt + lengths.response)
    seen += rows.prompt_copies * lengths.prompt
    more = heads - text.num_key_value_heads
    return 2 * width * seen * more * size
