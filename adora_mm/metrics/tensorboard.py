"""TensorBoard event files, when `tensorboard` is installed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TensorBoardWriter:
    """Scalars under their metric paths; ImportError when tensorboard is missing."""

    def __init__(self, folder: Path, *, purge_step: int) -> None:
        """`purge_step` hides what an interrupted run wrote from that step on."""
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=purge_step)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)

    def close(self) -> None:
        self._writer.close()
