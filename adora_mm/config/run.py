"""The whole recipe: one section per part of the loop, and the rules that join them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from adora_mm.config.algorithm import (
    AdvantageConfig,
    DynamicSamplingConfig,
    LossConfig,
    RewardConfig,
    check_algorithm,
)
from adora_mm.config.base import Section
from adora_mm.config.policy import PolicyConfig
from adora_mm.config.vllm import VllmConfig


class GenerateConfig(Section):
    """Arguments of the problem generator for a data folder that is made on first use."""

    folder: str
    """The data folder to fill; any other missing folder is an error."""
    counts: Mapping[str, int] = Field(min_length=1)
    """Split -> number of problems."""
    families: tuple[str, ...] = ()
    """Empty means all."""
    image_px: int = Field(default=140, ge=56, le=4096)
    label_grid_px: int = Field(default=0, ge=0)
    """Labels lie on a grid of this many pixels; 0 puts them where they look best."""
    seed: int = 0


class DataConfig(Section):
    train: str | tuple[str, ...]
    """Data folders, `path` or `path@split`; several are trained on together, shuffled."""
    val: str | None = None
    """Held-out problems for evaluation during the run; None evaluates nothing."""
    val_on_test_split: bool = False
    """Choosing anything by a test split makes its later score worthless; a run that evaluates on
    one must say so here."""
    generate: GenerateConfig | None = None
    """When set, a missing data folder is filled by the problem generator before the run."""
    prep: tuple[str, ...] = ()
    """Words of `adora prep`, with `--out FOLDER`, that make FOLDER when it is missing."""
    system_prompt: str = ""
    max_prompt_tokens: int = Field(default=1024, ge=8)
    min_pixels: int | None = Field(default=None, ge=1)
    max_pixels: int | None = Field(default=None, ge=1)
    max_image_megapixels: float = Field(default=64.0, gt=0)
    """Larger pictures are refused before decoding."""
    on_bad: Literal["fail", "drop"] = "fail"
    """What to do with a problem whose image or prompt cannot be used: stop before step 1, or drop
    it with a count."""
    train_limit: int | None = Field(default=None, ge=1)
    val_limit: int | None = Field(default=None, ge=1)

    @property
    def folders(self) -> frozenset[Path]:
        """The data folders, or files, that are used, without their splits."""
        names = [self.train] if isinstance(self.train, str) else [*self.train]
        names += [self.val] if self.val else []
        return frozenset(Path(name.rpartition("@")[0] or name) for name in names)


class RolloutConfig(Section):
    backend: str = "transformers"
    """transformers: in the training process. transformers_process: in one of its own. vllm: in each
    training process. vllm_server: servers; see docs/rollouts.md."""
    vllm: VllmConfig = VllmConfig()
    overlap: Literal["off", "one_step"] = "off"
    """one_step: while a step trains, the next one's rollouts are made by the weights before it. off
    is the exact on-policy loop."""
    prompts_per_step: int = Field(default=32, ge=1)
    """Prompts per rollout batch, over all ranks (`P`)."""
    group_size: int = Field(default=8, ge=1)
    """Rollouts per prompt (`G`)."""
    max_new_tokens: int = Field(default=64, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_rows: int = Field(default=512, ge=1)
    """Completions that the transformers backend samples at once; bounds its memory."""

    @field_validator("overlap", mode="before")
    @classmethod
    def _off_is_a_word(cls, value: Any) -> Any:
        return "off" if value is False else value  # YAML 1.1 reads a bare `off` as false


class TrainConfig(Section):
    total_steps: int | None = Field(default=None, ge=1)
    """Rollout batches to train on; or give `episodes`."""
    episodes: float | None = Field(default=None, gt=0)
    """Passes over the training problems."""
    prompts_per_minibatch: int = Field(default=32, ge=1)
    """Prompts per optimizer step, over all ranks; P / this = optimizer steps per rollout batch."""
    groups_per_microbatch: int = Field(default=4, ge=1)
    """Groups per forward and backward on one rank, at most."""
    max_tokens_per_microbatch: int | None = Field(default=None, ge=1)
    """Tokens per forward and backward, prompts included, as `batching` counts them. A single group
    over it is cut into sub-groups, down to one rollout; None sets no limit."""
    batching: Literal["auto", "prefix", "packed", "padded"] = "auto"
    """How prompts and responses are computed; all give the same update. prefix: every prompt once,
    before all its responses. packed: no padding, the prompt again before each response. padded:
    rows of one length. auto: prefix where the model supports it, else padded."""
    learning_rate: float = Field(default=1e-6, gt=0)
    vision_learning_rate: float | None = Field(default=None, gt=0)
    """Of the vision tower; warm-up and schedule scale it alike. None: the same."""
    betas: tuple[float, float] = (0.9, 0.95)
    adam_eps: float = Field(default=1e-8, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    grad_clip: float = Field(default=1.0, ge=0)
    """Largest global gradient norm; 0 switches clipping off."""
    schedule: Literal["constant", "cosine"] = "constant"
    min_lr_ratio: float = Field(default=0.0, ge=0, le=1)
    """Where the cosine ends, as a share of the learning rate."""
    warmup_steps: int = Field(default=0, ge=0)
    """Optimizer steps of linear warm-up."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if (self.total_steps is None) == (self.episodes is None):
            raise ValueError("give exactly one of train.total_steps and train.episodes")
        return self


class EngineConfig(Section):
    zero_stage: Literal[0, 1, 2, 3] = 0
    offload_optimizer: bool = False
    """Keep the optimizer's state in host memory (ZeRO 1 to 3)."""
    offload_params: bool = False
    """Keep the parameters in host memory (ZeRO 3)."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads per rank; None shares the cores out evenly."""
    extra: Mapping[str, Any] = Field(default_factory=dict)
    """Merged into DeepSpeed's JSON as it is."""

    @model_validator(mode="after")
    def _offload_needs_zero(self) -> Self:
        if self.offload_optimizer and self.zero_stage == 0:
            raise ValueError("engine.offload_optimizer needs engine.zero_stage of 1, 2 or 3")
        if self.offload_params and self.zero_stage != 3:
            raise ValueError("engine.offload_params needs engine.zero_stage=3")
        return self


class EvaluationConfig(Section):
    every_steps: int = Field(default=20, ge=0)
    """0 evaluates before and after training only."""
    greedy: bool = True
    samples: int = Field(default=1, ge=0)
    """Sampled completions per problem at temperature `temperature`; 0 for none."""
    temperature: float = Field(default=1.0, gt=0)
    max_new_tokens: int | None = Field(default=None, ge=1)
    """None takes the rollouts' limit."""


class CheckpointConfig(Section):
    every_steps: int = Field(default=0, ge=0)
    """0 saves at the end only."""
    keep_last: int = Field(default=2, ge=1)
    keep_best: int = Field(default=1, ge=0)
    """Checkpoints kept beyond the last ones for their held-out accuracy (the first evaluation mode;
    only steps that were evaluated count)."""


class CheckerConfig(Section):
    workers: int = Field(default=1, ge=1)
    timeout_s: float = Field(default=5.0, gt=0)
    memory_mb: int = Field(default=1024, ge=256)


class FaultsConfig(Section):
    """What a run does when something breaks; see docs/troubleshooting.md."""

    max_skipped_updates: int = Field(default=3, ge=1)
    """Optimizer steps skipped in a row, for a loss or gradient that is not finite, that stop the
    run."""
    rollout_retries: int = Field(default=1, ge=0)
    """How often a rollout call that raises is repeated; sampling is keyed, so nothing changes. With
    rollout.backend=vllm it is not: what failed stays half done in the engine."""
    rollout_timeout_s: float = Field(default=3600.0, gt=0)
    """A single call of the rollout engine that takes longer stops the run."""


class LoggingConfig(Section):
    progress: bool = True
    """Bars below the log, on a terminal."""
    tensorboard: bool = True
    wandb: Literal["off", "offline", "online"] = "off"
    """Weights & Biases; `offline` writes files into the run's folder, for `wandb sync`."""
    trackio: bool = False
    """Trackio's local database (its own variables say where: TRACKIO_DIR)."""
    project: str = "adora-mm"
    """The project of this run in Weights & Biases and trackio."""
    sample_groups: int = Field(default=4, ge=0)
    """Groups written to samples/train.jsonl at each step."""
    sample_every_steps: int = Field(default=10, ge=1)
    report: bool = True
    """Write report.html when the run ends."""


class RunConfig(Section):
    """A complete recipe."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    seed: int = Field(default=0, ge=0)
    run_dir: str = "runs"
    """The run's files go to run_dir/name."""
    policy: PolicyConfig = PolicyConfig()
    data: DataConfig
    rollout: RolloutConfig = RolloutConfig()
    reward: RewardConfig = RewardConfig()
    advantage: AdvantageConfig = AdvantageConfig()
    dynamic_sampling: DynamicSamplingConfig = DynamicSamplingConfig()
    loss: LossConfig = LossConfig()
    train: TrainConfig
    engine: EngineConfig = EngineConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    checker: CheckerConfig = CheckerConfig()
    faults: FaultsConfig = FaultsConfig()
    logging: LoggingConfig = LoggingConfig()

    @model_validator(mode="after")
    def _bf16_needs_master_weights(self) -> Self:
        if self.policy.dtype == "bfloat16" and self.engine.zero_stage == 0:
            raise ValueError(
                "policy.dtype=bfloat16 needs engine.zero_stage=1 or more, which keeps fp32 master "
                "weights (one process is enough); or use policy.dtype=float32"
            )
        return self

    @model_validator(mode="after")
    def _vision_rate_is_used(self) -> Self:
        adapters = self.policy.lora is not None and not self.policy.lora.vision
        if self.train.vision_learning_rate is not None and (self.policy.freeze_vision or adapters):
            raise ValueError(
                "train.vision_learning_rate is set, but the vision tower is not trained; take it "
                "out, or set "
                + ("policy.lora.vision=true" if adapters else "policy.freeze_vision=false")
            )
        return self

    @model_validator(mode="after")
    def _batches_divide(self) -> Self:
        prompts, minibatch = self.rollout.prompts_per_step, self.train.prompts_per_minibatch
        if prompts % minibatch:
            raise ValueError(
                f"rollout.prompts_per_step={prompts} is not a multiple of "
                f"train.prompts_per_minibatch={minibatch}; change one of them"
            )
        return self

    @model_validator(mode="after")
    def _overlap_is_sound(self) -> Self:
        if self.rollout.overlap == "off":
            return self
        if self.rollout.backend in ("transformers", "vllm"):
            raise ValueError(
                "rollout.overlap=one_step needs an engine outside the training process; set "
                "rollout.backend=transformers_process or vllm_server"
            )
        if self.loss.mismatch == "none":
            raise ValueError(
                "rollout.overlap=one_step trains on rollouts of older weights and needs their "
                "correction; set loss.mismatch=truncated_is (or sequence_mask)"
            )
        if self.dynamic_sampling.enabled:
            raise ValueError(
                "rollout.overlap=one_step and dynamic_sampling.enabled=true exclude each other: "
                "how many rollouts a step needs is known only after they are checked"
            )
        return self

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        check_algorithm(
            self.advantage,
            self.loss,
            self.reward,
            self.dynamic_sampling,
            group_size=self.rollout.group_size,
            max_response_tokens=self.rollout.max_new_tokens,
        )
        return self
