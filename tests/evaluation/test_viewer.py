"""The page of a run: everything on it, nothing that runs, filters that work without a script."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from evaluation.benchmarks import BENCHMARKS
from evaluation.responses import Response, sample_id
from evaluation.results import build_results
from evaluation.scoring import score_responses
from evaluation.stages import Side
from evaluation.viewer import write_viewer

HOSTILE = (
    '<script>document.title="run"</script><img src=x onerror=alert(1)>{{ 7*7 }}\u202e</article>'
)
MANIFEST = {
    "sampling": {"samples": 1, "temperature": 0.0, "max_new_tokens": 64, "top_p": 1.0, "seed": 0},
    "model": {"name": "tiny <b>", "path": "tiny", "sha256": None},
    "backend": {"name": "transformers"},
    "data": {"fingerprint": "f"},
    "prompt": {"user": "{question} <i>", "system": "", "sha256": "s"},
}
BENCHMARK = BENCHMARKS["mathvision"]
ANSWERS = ["\\boxed{1}", "\\boxed{2}", HOSTILE, "cut off in the"]


@pytest.fixture
def problems(tmp_path: Path) -> list[Problem]:
    Image.new("RGB", (90, 60), "white").save(tmp_path / "p.png")
    return [
        Problem(
            id=f"p{i}",
            question=f"Question {i}? {HOSTILE}",
            answer="1",
            images=(tmp_path / "p.png",) if i < 2 else (tmp_path / "gone.png",),
            metadata={"subject": ["algebra", "<b>graphs"][i % 2], "level": 1 + i // 2},
        )
        for i in range(4)
    ]


def side(problems: Sequence[Problem], texts: Sequence[str]) -> Side:
    rows = {}
    for problem, text in zip(problems, texts, strict=True):
        reason = "length" if text.startswith("cut") else "error" if not text else "stop"
        row = Response(
            id=sample_id(problem.id, 0),
            problem=problem.id,
            sample=0,
            text=text,
            finish_reason=reason,
            num_tokens=5,
            error="" if text else "HTTP 500",
        )
        rows[row.id] = row
    with CheckerPool(1) as pool:
        scored = score_responses(BENCHMARK, problems, rows, pool)
    scoring = {"checker": {"sha256": "c" * 64, "profile": "eval"}, "judge": None}
    results = build_results(
        BENCHMARK, problems, scored, manifest=MANIFEST, run="r", scoring=scoring
    )
    return Side(results=results, rows=scored, responses=rows)


def write(path: Path, problems: Sequence[Problem], *sides: Side, **options: Any) -> str:
    settings: dict[str, Any] = {"prompt": MANIFEST["prompt"], "max_items": 100} | options
    write_viewer(path, BENCHMARK, problems, sides, **settings)
    return path.read_text("utf-8")


def test_every_answer_is_there(problems: list[Problem], tmp_path: Path) -> None:
    page = write(tmp_path / "r.html", problems, side(problems, ANSWERS))
    assert page.count('<article class="item ') == 4
    for text in ("Question 0?", "gold answer", "cut off at the token limit", "file not found"):
        assert text in page
    assert page.count("data:image/") == 2
    assert re.search(r'class="item c0-\d c1-0 o-correct"', page)
    assert "1 of 4 right" in page


def test_nothing_of_the_text_becomes_markup(problems: list[Problem], tmp_path: Path) -> None:
    page = write(tmp_path / "r.html", problems, side(problems, ANSWERS))
    assert "<script" not in page
    assert "onerror=alert(1)&gt;{{ 7*7 }}" in page
    assert "tiny &lt;b&gt;" in page
    assert "&lt;b&gt;graphs" in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "default-src 'none'" in page


def test_two_runs_stand_side_by_side(problems: list[Problem], tmp_path: Path) -> None:
    first, second = side(problems, ANSWERS), side(problems, ["\\boxed{1}", "\\boxed{1}", "?", ""])
    comparison = {"flips": {"p1": 1.0}, "text": "plus 25 points"}
    page = write(tmp_path / "c.html", problems, first, second, comparison=comparison)
    assert "plus 25 points" in page
    assert page.count("<h4>First: tiny") == page.count("<h4>Second: tiny") == 4
    assert page.index('<p class="origin">p1</p>') < page.index('<p class="origin">p0</p>')
    assert page.count(" flipped ") + page.count(' flipped"') == 1
    assert "no reply" in page


def test_a_long_run_shows_some_and_says_so(problems: list[Problem], tmp_path: Path) -> None:
    texts = ["x" * 50_000 + "\\boxed{1}", *ANSWERS[1:]]
    page = write(tmp_path / "r.html", problems, side(problems, texts), max_items=2)
    assert page.count('<article class="item ') == 2
    assert "2 more are in the files" in page
    assert "characters left out" in page
    assert len(page) < 60_000


# -------------------------------------------------------------------------------- in a browser

PROBE = """<script>
const shown = () => [...document.querySelectorAll('.item')].map(
  item => getComputedStyle(item).display === 'none' ? '-' : '+').join('');
const set = (id, value) => {
  const box = document.getElementById(id);
  if (box.type === 'checkbox') box.checked = value; else box.value = value;
};
const seen = [shown()];
set('show-incorrect', false); seen.push(shown());
set('show-correct', false); seen.push(shown());
set('show-incorrect', true); set('show-correct', true); set('filter-0', '1'); seen.push(shown());
set('filter-1', '0'); seen.push(shown());
set('filter-0', 'all'); set('filter-1', 'all'); set('only-truncated', true); seen.push(shown());
document.title = seen.join(' ');
</script>"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_the_filters_work_in_a_browser(problems: list[Problem], tmp_path: Path) -> None:
    """A copy of the page with a probe in it, and without the policy that would forbid the probe."""
    texts = [
        "\\boxed{1}",
        "\\boxed{2}",
        "no idea at all, not even after thinking for so long",
        "cut 7",
    ]
    page = write(tmp_path / "r.html", problems, side(problems, texts))
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', page)
    assert policy is not None
    probe = page.replace(policy.group(), "").replace("</body>", PROBE + "</body>")
    (tmp_path / "probe.html").write_text(probe, encoding="utf-8")
    title = re.search("<title>(.*?)</title>", browse(tmp_path / "probe.html"))
    assert title is not None
    assert title.group(1).split() == ["++++", "+-+-", "--+-", "+-+-", "+---", "---+"]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_hostile_text_does_nothing_in_a_browser(problems: list[Problem], tmp_path: Path) -> None:
    write(tmp_path / "r.html", problems, side(problems, ANSWERS))
    dom = browse(tmp_path / "r.html")
    assert "<title>MATH-Vision (test) – tiny &lt;b&gt;</title>" in dom
    assert dom.count("<img ") == 2


def browse(path: Path) -> str:
    """The document after a browser without network has loaded it."""
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"]
    command += [f"--user-data-dir={path.parent / 'profile'}", "--proxy-server=127.0.0.1:9"]
    done = subprocess.run(
        [*command, "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    return done.stdout
