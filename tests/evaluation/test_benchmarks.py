"""The benchmarks: every real gold is right, its neighbour's is not, and own rules hold."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from adora_mm.data import load_problems
from adora_mm.types import Problem
from adora_mm.verify import PROFILES, CheckerPool
from data_prep.sources import SOURCES, BadRows
from data_prep.writer import Entry, write_folder
from evaluation import benchmarks
from evaluation.benchmarks import BENCHMARKS, get_benchmark
from evaluation.benchmarks.kk import check_roles
from evaluation.benchmarks.wemath import four_dimensions
from evaluation.errata import FOLDER, load_errata
from evaluation.problems import find_data, load_benchmark, read_raw
from evaluation.responses import Response, sample_id
from evaluation.scoring import score_responses

REAL = {
    "mathvision_mini": ("mathvision", 304),
    "mathverse_text": ("mathverse", 788),
    "mathvista": ("mathvista", 1000),
    "dynamath": ("dynamath", 501),
    "olympiadbench": ("text", 675),
    "math500": ("text", 500),
    "gsm8k": ("text", 1319),
    "aime24": ("text/aime_2024.jsonl", 30),
    "aime25": ("text/aime_2025.jsonl", 30),
    "amc83": ("text/amc_validation_83.jsonl", 83),
    "amc40": ("text/amc23_40.jsonl", 40),
    "kk": ("kk", 500),
}
"""Benchmark to where its real data lies, and how many problems that is."""

TEXT_ONLY_GOLDS = {"olympiadbench": 1, "mathverse_text": 1}
"""Golds that match themselves as text only (tests/verify/errata.tsv)."""


def real_problems(name: str, data: Path) -> list[Problem]:
    place, _ = REAL[name]
    entries = read_raw(BENCHMARKS[name], data / place, bad=BadRows(), images=False)
    return [entry.problem for entry in entries]


def answers(problems: list[Problem], texts: list[str]) -> dict[str, Response]:
    rows = [
        Response(
            id=sample_id(problem.id, 0),
            problem=problem.id,
            sample=0,
            text=text,
            finish_reason="stop",
            num_tokens=None,
        )
        for problem, text in zip(problems, texts, strict=True)
    ]
    return {row.id: row for row in rows}


def test_every_file_says_what_is_official() -> None:
    folder = Path(benchmarks.__file__).parent
    for path in folder.glob("*.py"):
        if path.stem in ("__init__", "base"):
            continue
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for part in ("Data:", "Official protocol:", "Metric:"):
            assert part in docstring, f"{path.name} lacks {part}"


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_is_whole(name: str) -> None:
    benchmark = BENCHMARKS[name]
    assert benchmark.name == name
    assert benchmark.profile in PROFILES
    assert "{question}" in benchmark.prompt
    assert benchmark.get
    if benchmark.source:
        assert benchmark.source in SOURCES
        assert f"adora prep {benchmark.source} --from " in benchmark.get


@pytest.mark.parametrize("name", REAL)
def test_the_right_answer_is_right_and_the_neighbours_is_not(name: str, shared_data: Path) -> None:
    problems = real_problems(name, shared_data)
    assert len(problems) == REAL[name][1]
    golds = [problem.answer for problem in problems]
    boxed = [gold if name == "kk" else f"So it is \\boxed{{{gold}}}." for gold in golds]
    with CheckerPool(1) as pool:
        right = score_responses(BENCHMARKS[name], problems, answers(problems, boxed), pool)
        shifted = [boxed[-1], *boxed[:-1]]
        other = score_responses(BENCHMARKS[name], problems, answers(problems, shifted), pool)
    errata = load_errata(name)
    wrong = [row for row in right if not row.correct and row.problem not in errata]
    assert len(wrong) <= TEXT_ONLY_GOLDS.get(name, 0), wrong
    lucky = sum(row.correct for row in other)
    share = {"mathvista": 0.3, "mathverse_text": 0.3, "mathvision_mini": 0.2, "dynamath": 0.25}
    assert lucky <= share.get(name, 0.1) * len(problems)


def test_errata_name_real_problems(shared_data: Path) -> None:
    for path in FOLDER.glob("*.tsv"):
        known = load_errata(path.stem)
        assert known
        if path.stem in REAL:
            ids = {problem.id for problem in real_problems(path.stem, shared_data)}
            assert set(known) <= ids


def test_a_benchmark_that_does_not_exist_lists_the_names() -> None:
    with pytest.raises(ValueError, match="no benchmark 'mathvison'; there are: mathvision"):
        get_benchmark("mathvison")


def test_absent_data_says_what_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ADORA_DATA", str(tmp_path))
    for name, benchmark in BENCHMARKS.items():
        with pytest.raises(ValueError, match=r"no data at .* to get it:"):
            find_data(benchmark, None)
        (tmp_path / name).mkdir()
        assert find_data(benchmark, None) == tmp_path / name


@pytest.mark.parametrize("name", ["mathvista", "synthetic"])
def test_unusable_data_says_why_and_what_to_run(
    name: str, shared_data: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="adora prep"):
        load_benchmark(
            BENCHMARKS[name], str(shared_data / "mathvista"), tmp_path / "run", limit=None
        )


def test_raw_files_are_converted_once_into_the_run(shared_data: Path, tmp_path: Path) -> None:
    examples = shared_data / "geometry3k/examples"
    with pytest.raises(ValueError, match="no split 'test'"):
        load_benchmark(BENCHMARKS["geometry3k"], str(examples), tmp_path / "x", limit=None)
    place = str(shared_data / "mathvision")
    loaded = load_benchmark(BENCHMARKS["mathvision_mini"], place, tmp_path / "run", limit=3)
    assert [problem.images[0].parent.name for problem in loaded.problems] == ["images"] * 3
    before = (tmp_path / "run/data/manifest.json").stat().st_mtime_ns
    again = load_benchmark(BENCHMARKS["mathvision_mini"], place, tmp_path / "run", limit=3)
    assert again == loaded
    assert (tmp_path / "run/data/manifest.json").stat().st_mtime_ns == before


def geometry_folder(folder: Path, *, choices: list[str], split: str) -> str:
    row = {"id": "g", "question": "Find x.", "answer": "30", "choices": choices, "split": split}
    row |= {"source": "geometry3k"}
    (folder / "rows.jsonl").write_text(json.dumps(row) + "\n")
    entries = [Entry(problem=problem) for problem in load_problems(folder / "rows.jsonl")]
    write_folder(folder / "data", entries, source="geometry3k", licence="MIT", arguments={})
    return str(folder / "data")


def test_free_form_and_choices_are_two_benchmarks_of_one_folder(tmp_path: Path) -> None:
    place = geometry_folder(tmp_path, choices=["30", "40"], split="test")
    shown = {
        name: load_benchmark(BENCHMARKS[name], place, tmp_path, limit=None).problems[0].choices
        for name in ("geometry3k", "geometry3k_choices")
    }
    assert shown == {"geometry3k": (), "geometry3k_choices": ("30", "40")}


def test_a_folder_without_options_is_refused_where_they_are_needed(tmp_path: Path) -> None:
    place = geometry_folder(tmp_path, choices=[], split="test")
    with pytest.raises(ValueError, match="has no options; to get them: adora prep"):
        load_benchmark(BENCHMARKS["geometry3k_choices"], place, tmp_path, limit=None)


def test_another_split_is_never_measured_in_silence(tmp_path: Path) -> None:
    place = geometry_folder(tmp_path, choices=["30", "40"], split="train")
    with pytest.raises(ValueError, match="is the split 'test', there is only 'train'"):
        load_benchmark(BENCHMARKS["geometry3k"], place, tmp_path, limit=None)


# --------------------------------------------------------------------------- knights and knaves

PUZZLE = Problem(
    id="kk",
    question="?",
    answer="(1) Zoey is a knight\n(2) Oliver is a knave",
    metadata={"names": ["Zoey", "Oliver"], "knights": [True, False]},
)


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("<answer>(1) Zoey is a knight\n(2) Oliver is a knave</answer>", "correct"),
        ("<answer>(2) Oliver is a knave, (1) Zoey is a knight</answer>", "correct"),
        ("<answer>Zoey: knight\nOliver: knave</answer>", "correct"),
        ("<answer>**Zoey** is a **knight**.</answer>", "unparsed"),
        ("<answer>**Zoey** is a **knight**, **Oliver** is a `knave`</answer>", "correct"),
        ("<answer>Zoey is a knight</answer>", "unparsed"),
        ("<answer>(1) Zoey is a knave\n(2) Oliver is a knave</answer>", "incorrect"),
        ("<answer>Zoey is not a knave, Oliver is not a knight</answer>", "correct"),
        ("<answer>Zoey is a knight. Oliver is a knave. Oliver is a knight.</answer>", "incorrect"),
        ("Zoey is a knave? No. Conclusion: Zoey is a knight, Oliver is a knave.", "correct"),
        ("<think>Zoey is a knave</think>Zoey is a knight and Oliver is a knave.", "correct"),
        ("<think><answer>Zoey is a knight, Oliver is a knave</answer>", "unparsed"),
        (r"\boxed{\text{Zoey is a knight, Oliver is a knave}}", "correct"),
        ("Both lie.", "unparsed"),
        ("", "unparsed"),
    ],
)
def test_roles(response: str, outcome: str) -> None:
    assert check_roles(PUZZLE, response).outcome == outcome


def test_a_puzzle_without_its_solution_is_named() -> None:
    with pytest.raises(ValueError, match="problem kk: its metadata has no names"):
        check_roles(Problem(id="kk", question="?", answer="1"), "x")


def test_a_name_inside_another_is_another_person() -> None:
    puzzle = Problem(
        id="kk",
        question="?",
        answer="",
        metadata={"names": ["Jo", "Joan"], "knights": [True, False]},
    )
    assert check_roles(puzzle, "<answer>Jo is a knight, Joan is a knave</answer>").correct
    assert check_roles(puzzle, "<answer>Joan is a knave</answer>").outcome == "unparsed"


# -------------------------------------------------------------------------------------- We-Math


def composite(name: str, parts: str) -> list[Problem]:
    return [
        Problem(
            id=f"{name}-{key}",
            question="?",
            answer="A",
            metadata={"part": name, "key": f"{len(parts.split()) - 1}steps_{key}"},
        )
        for key in parts.split()
    ]


def test_four_dimensions_by_hand() -> None:
    """Five composite problems: mastered, rote with one step wrong, rote with both, inadequate
    generalisation, insufficient knowledge."""
    truth = {"a": "111", "b": "101", "c": "001", "d": "110", "e": "010"}
    problems = [p for name in truth for p in composite(name, "1 2 multi")]
    scores = {
        problem.id: float(truth[str(problem.metadata["part"])][place % 3])
        for place, problem in enumerate(problems)
    }
    found = four_dimensions(problems, scores)
    assert found["composite_problems"] == 5
    assert (found["mastery_strict"], found["mastery_loose"]) == (1, 2)
    assert (found["rote_strict"], found["rote_loose"]) == (2, 1)
    assert (found["inadequate"], found["insufficient"]) == (1, 1)
    assert found["score_strict"] == pytest.approx((5 - 0.5 - 2 - 1) / 5)
    assert found["score_loose"] == pytest.approx((5 - 0.5 - 1 - 1) / 5)


def test_we_math_rows_of_the_published_form(tmp_path: Path) -> None:
    row = {
        "ID": "3steps_165",
        "key": "3steps_3",
        "question": "What is the area ( ) m²?",
        "option": "A. 200.96;B. 3215.36;C. 6280;D. 32; E. No correct answer",
        "answer": "B",
        "image_path": "3steps/image/165-3.png",
        "knowledge concept": "Area of Circles",
    }
    (tmp_path / "testmini.json").write_text(json.dumps([row]))
    (entry,) = read_raw(BENCHMARKS["wemath"], tmp_path, bad=BadRows(), images=False)
    assert entry.problem.id == "wemath-1"
    assert {key: entry.problem.metadata[key] for key in ("part", *BENCHMARKS["wemath"].categories)}\
        == {"part": "3steps_165", "key": "3steps_3", "concept": "Area of Circles"}  # fmt: skip
    assert entry.problem.choices == ("200.96", "3215.36", "6280", "32", "No correct answer")
    assert four_dimensions([entry.problem], {}) == {}
