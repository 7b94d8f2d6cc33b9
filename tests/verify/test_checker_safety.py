"""Safety: light import, no evaluation, hostile text within its limits, no exception ever."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hostile_answers import CANARY, KINDS, of_kind

import adora_mm.verify
from adora_mm.verify import check_answer
from adora_mm.verify.check import decide_answer, decide_response
from adora_mm.verify.normalize import normalize
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


def test_many_members_in_another_order_are_left_to_a_worker() -> None:
    """900 comparisons of nested roots: the work account ends them, and a worker has a clock."""
    members = [f"\\sqrt{{{k}+\\sqrt{{2}}}}" for k in range(30)]
    answer, gold = (f"\\{{{','.join(order)}\\}}" for order in (members, members[::-1]))
    assert decide_answer(answer, gold, None, PROFILES["reward"]) is None


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
    ("first", "last"),
    [("x Z", "integer"), ("答案", "x"), ("x", ")"), ("5", "Omega"), ("5 \\text", "{to} 7")],
    ids=["a family's letter", "a lead-in", "a remark", "a unit", "a range"],
)
@pytest.mark.parametrize("space", ["\n", " ", "\t", "\\, ", "\\quad"])
def test_a_run_of_spaces_is_one_space(first: str, last: str, space: str) -> None:
    """Patterns look through a run from each of its characters: 1,400 of them took 150 ms."""
    for count in (1, 3, 350):
        assert not re.search(r"\s\s", normalize(first + space * count + last))


def test_paragraphs_stay_lines() -> None:
    assert normalize("x = 1 \n \n\n y = 2") == "x = 1\ny = 2"
