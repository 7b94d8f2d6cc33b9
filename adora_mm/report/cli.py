"""The command `adora report RUN [--out FILE]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from adora_mm.report.page import write_report


def main(argv: Sequence[str] | None = None) -> int:
    """Write the report of a run; 0 on success, 2 when the folder or the target is unusable."""
    parser = argparse.ArgumentParser(
        prog="adora report",
        description="Write one self-contained HTML page about a run: held-out accuracy with "
        "intervals, training curves, samples, configuration. Works while the run goes on.",
    )
    parser.add_argument("run", type=Path, help="the run's folder (it holds run.json)")
    parser.add_argument(
        "--out", type=Path, help="file or folder to write to (default: RUN/report.html)"
    )
    arguments = parser.parse_args(argv)
    try:
        path = write_report(arguments.run, arguments.out)
    except (ValueError, OSError) as error:
        print(f"adora report: error: {error}", file=sys.stderr)
        return 2
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
