"""A run's folder as one self-contained HTML page: `write_report(run_folder)`."""

from __future__ import annotations

from adora_mm.report.page import write_report

__all__ = ["write_report"]
