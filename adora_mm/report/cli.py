"""The command `adora report RUN [RUN ...] [--out FILE] [--live]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from adora_mm.report.compare import render_comparison, write_comparison
from adora_mm.report.live import LOOPBACK, make_server
from adora_mm.report.page import LIVE_EVERY_S, render, write_report

PORT = 8010


def main(argv: Sequence[str] | None = None) -> int:
    """Write or serve the page; 0 on success, 2 when a folder or the target is unusable."""
    parser = argparse.ArgumentParser(
        prog="adora report",
        description="Write one self-contained HTML page about a run: held-out accuracy with "
        "intervals, training curves, what ADORA did, samples, configuration. Of several runs: "
        "their curves over each other and paired statistics. Works while a run goes on.",
    )
    parser.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="a run's folder (it holds run.json)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="file or folder to write to (default: RUN/report.html; of several runs "
        "comparison.html beside the first)",
    )
    parser.add_argument(
        "--live", action="store_true", help="serve the page and keep it up to date instead"
    )
    parser.add_argument("--port", type=int, default=PORT, help="of --live (default: %(default)s)")
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="of --live; any other address shows the page to others (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    try:
        if arguments.live:
            return _serve(_page(arguments.runs), arguments.host, arguments.port)
        if len(arguments.runs) == 1:
            print(write_report(arguments.runs[0], arguments.out))
        else:
            print(write_comparison(arguments.runs, arguments.out))
    except (ValueError, OSError) as error:
        print(f"adora report: error: {error}", file=sys.stderr)
        return 2
    return 0


def _page(folders: Sequence[Path]) -> Callable[[], str]:
    if len(folders) == 1:
        return lambda: render(folders[0], live=True)
    return lambda: render_comparison(folders, refresh_s=LIVE_EVERY_S)


def _serve(page: Callable[[], str], host: str, port: int) -> int:
    page()  # a folder without a run is told now
    with make_server(page, host, port) as server:
        print(f"http://{host}:{server.server_address[1]}/  (Ctrl-C ends it)", flush=True)
        if host not in LOOPBACK:
            print("anybody who reaches this machine can read it", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
