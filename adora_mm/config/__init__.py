"""Recipes: typed sections, loading with overrides, and errors that name the remedy."""

from adora_mm.config.algorithm import (
    AdoraConfig,
    AdvantageConfig,
    DynamicSamplingConfig,
    LossConfig,
    RewardConfig,
)
from adora_mm.config.loading import ConfigError, dump_config, find_recipe, load_config
from adora_mm.config.policy import LoraConfig, PolicyConfig
from adora_mm.config.run import (
    CheckerConfig,
    CheckpointConfig,
    DataConfig,
    EngineConfig,
    EvaluationConfig,
    FaultsConfig,
    GenerateConfig,
    LoggingConfig,
    RolloutConfig,
    RunConfig,
    TrainConfig,
)
from adora_mm.config.vllm import VllmConfig

__all__ = [
    "AdoraConfig",
    "AdvantageConfig",
    "CheckerConfig",
    "CheckpointConfig",
    "ConfigError",
    "DataConfig",
    "DynamicSamplingConfig",
    "EngineConfig",
    "EvaluationConfig",
    "FaultsConfig",
    "GenerateConfig",
    "LoggingConfig",
    "LoraConfig",
    "LossConfig",
    "PolicyConfig",
    "RewardConfig",
    "RolloutConfig",
    "RunConfig",
    "TrainConfig",
    "VllmConfig",
    "dump_config",
    "find_recipe",
    "load_config",
]
