"""Rollout engines behind one interface; each is imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adora_mm.rollout.sampling import Finished, RolloutBackend, Sampling


def _transformers(model_path: str, processor: Any, **options: Any) -> RolloutBackend:
    from adora_mm.rollout.transformers import TransformersBackend

    return TransformersBackend(model_path, processor, **options)


def _transformers_process(model_path: str, processor: Any, **options: Any) -> RolloutBackend:
    from adora_mm.rollout.process import ProcessBackend
    from adora_mm.rollout.transformers import TransformersBackend

    return ProcessBackend(
        TransformersBackend, model_path=model_path, processor=processor, **options
    )


def _vllm(model_path: str, processor: Any, **options: Any) -> RolloutBackend:
    from adora_mm.rollout.vllm import VllmBackend

    return VllmBackend(model_path, processor, **options)


def _vllm_server(model_path: str, processor: Any, **options: Any) -> RolloutBackend:
    from adora_mm.rollout.vllm_server import VllmServerBackend

    return VllmServerBackend(model_path, processor, **options)


BACKENDS: dict[str, Callable[..., RolloutBackend]] = {
    "transformers": _transformers,
    "transformers_process": _transformers_process,
    "vllm": _vllm,
    "vllm_server": _vllm_server,
}


def build_backend(name: str, model_path: str, processor: Any, **options: Any) -> RolloutBackend:
    """Build an engine by name.

    Raises ValueError for a name that this version does not have.
    """
    if name not in BACKENDS:
        raise ValueError(
            f"rollout.backend={name!r} is not available; choose from {', '.join(BACKENDS)}"
        )
    return BACKENDS[name](model_path, processor, **options)


__all__ = ["BACKENDS", "Finished", "RolloutBackend", "Sampling", "build_backend"]
