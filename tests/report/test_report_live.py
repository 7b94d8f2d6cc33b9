"""The served page: made anew at each visit, on this machine, and nothing else."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adora_mm.report import cli
from adora_mm.report.live import make_server
from adora_mm.report.page import LIVE_EVERY_S, render


class Visits:
    """Requests to a server of this run."""

    def __init__(self, run: Path) -> None:
        self.server = make_server(lambda: render(run, live=True), "127.0.0.1", 0)
        self.port = int(self.server.server_address[1])

    def ask(self, path: str = "/", host: str = "", method: str = "GET") -> tuple[int, str]:
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        line.request(method, path, headers={"Host": host or f"127.0.0.1:{self.port}"})
        answer = line.getresponse()
        return answer.status, answer.read().decode()


@pytest.fixture
def visits(run_folder: Path) -> Iterator[Visits]:
    info = json.loads((run_folder / "run.json").read_text())
    (run_folder / "run.json").write_text(json.dumps(info | {"status": "running"}))
    found = Visits(run_folder)
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_a_visit_shows_what_the_files_hold_now(visits: Visits, run_folder: Path) -> None:
    status, page = visits.ask()
    assert status == 200
    assert f'<meta http-equiv="refresh" content="{LIVE_EVERY_S}">' in page
    assert "60 steps (still running" in page
    with (run_folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 61, "reward/mean": 0.5}\n')
    assert "61 steps (still running" in visits.ask()[1]
    (run_folder / "run.json").write_text('{"name": "x", "status": "finished"}')
    assert 'http-equiv="refresh"' not in visits.ask()[1], "a finished run stays as it is"


def test_nothing_else_is_served(visits: Visits) -> None:
    assert visits.ask("/run.json")[0] == 404
    assert visits.ask("/../../etc/passwd")[0] == 404
    assert visits.ask(method="POST")[0] == 501


def test_a_browser_that_was_sent_here_by_a_web_site_gets_nothing(visits: Visits) -> None:
    """DNS rebinding: the site's own name points to this machine."""
    status, page = visits.ask(host=f"evil.example:{visits.port}")
    assert status == 403
    assert "steps" not in page
    assert visits.ask(host=f"localhost:{visits.port}")[0] == 200


def test_it_listens_on_this_machine_alone_unless_told(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, int]] = []

    def serve(page: object, host: str, port: int) -> int:
        asked.append((host, port))
        return 0

    monkeypatch.setattr(cli, "_serve", serve)
    assert cli.main([str(run_folder), "--live"]) == 0
    assert cli.main([str(run_folder), "--live", "--host", "0.0.0.0", "--port", "1234"]) == 0
    assert asked == [("127.0.0.1", cli.PORT), ("0.0.0.0", 1234)]


def test_a_folder_without_a_run_is_told_before_serving(tmp_path: Path) -> None:
    assert cli.main([str(tmp_path), "--live", "--port", "0"]) == 2
