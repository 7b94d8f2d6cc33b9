"""Engines that answer problems; heavy ones are imported when they are built."""

from __future__ import annotations

from evaluation.engines.base import Engine, SamplePlan, Shard, batches

ENGINES = ("transformers", "vllm", "openai")

__all__ = ["ENGINES", "Engine", "SamplePlan", "Shard", "batches"]
