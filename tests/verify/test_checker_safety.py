"""Safety: light import, no evaluation, hostile text within its limits, no exception ever."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hostile_answers import CANARY, KINDS, of_kind

import adora_mm.verify
from adora_mm.verify import check_answer
from adora_mm.verify.check import decide_answer, decide_response
from adora_mm.verify.profiles import PROFILES

PACKAGE = Path(adora_mm.verify.__file__).parent


def test_the_import_is_light() -> None:
    code = (
        "import sys, adora_mm.verify;"
        "print(sorted({'torch', 'sympy', 'mpmath', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_checker_imports_only_its_layer() -> None:
    allowed = set(sys.stdlib_module_names) | {"sympy", "mpmath"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            for name in names:
                ours = name.startswith("adora_mm.verify") or name == "adora_mm.types"
                assert ours or name.partition(".")[0] in allowed, f"{path.name} imports {name}"


def test_nothing_is_evaluated_as_code() -> None:
    forbidden = {"eval", "exec", "compile", "parse_expr", "sympify", "__import__", "nsimplify"}
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                is_re = isinstance(node.func, ast.Attribute) and name == "compile"
                assert name not in forbidden or is_re, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_answers_end_in_a_verdict_quickly(kind: str) -> None:
    """A sample of each kind; benchmarks/checker/hostile.py runs 100,000."""
    canary = Path("/tmp") / CANARY
    canary.unlink(missing_ok=True)
    slowest = 0.0
    for answer, gold in of_kind(kind, seed=7, count=60):
        start = time.process_time()
        decide_answer(answer, gold, None, PROFILES["reward"])
        decide_response(f"\\boxed{{{answer}}}", gold, None, PROFILES["reward"])
        decide_response(answer, gold, ("5", "6"), PROFILES["eval"])
        slowest = max(slowest, time.process_time() - start)
    assert slowest < 3.0
    assert not canary.exists()


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ("9" * 500, "digits"),
        ("(" * 60 + "5" + ")" * 60, "deep"),
        ("x" * 2_000, "longer"),
        ("1+" * 700 + "1", "tokens"),
        ("9^{9^{9^{9}}}", "large"),
        ("99999!", "large"),
        (",".join(["1"] * 70), "members"),
        (r"\pm 1 \pm 2 \pm 3 \pm 4 \pm 5", "plus-minus"),
        ("1e9999", "exponent"),
    ],
)
def test_each_limit_is_unparsed_with_its_reason(answer: str, word: str) -> None:
    verdict = check_answer(answer, "5")
    assert verdict.outcome == "unparsed"
    assert word in verdict.reason


def test_many_equal_members_do_not_multiply_the_work() -> None:
    members = ",".join(f"\\sqrt{{{k}+\\sqrt{{2}}}}" for k in range(60))
    start = time.process_time()
    check = decide_answer(f"\\{{{members}\\}}", f"\\{{{members},7\\}}", None, PROFILES["reward"])
    assert time.process_time() - start < 2.0
    assert check is None or not check.correct


@pytest.mark.parametrize(
    "text", ["\x00", "5\x00", "\ud800", "𝟓", "５", "\u202e5", "é" * 50, "\\", "{", "$$", "^"]
)
def test_odd_characters_end_in_a_verdict(text: str) -> None:
    verdict = check_answer(text, "5")
    assert verdict.outcome in ("correct", "incorrect", "unparsed")


def test_full_width_and_mathematical_digits_are_digits() -> None:
    assert check_answer("５", "5").correct
    assert check_answer("𝟓", "5").correct


@pytest.mark.parametrize(
    "answer",
    ["x Z" + "\n" * 1400 + "integer", "答案" + "\n" * 1400 + "x", "x" + "\n" * 1400 + ")"],
    ids=["a family's letter", "a lead-in", "an option's letter"],
)
def test_long_runs_of_separators_are_scanned_once(answer: str) -> None:
    started = time.process_time()
    decide_answer(answer, "5", None, PROFILES["reward"])
    assert time.process_time() - started < 0.05, "it took 150 ms when the scans were quadratic"
