"""Audits: each fault is found and named, sound folders are fit, real leaks are seen."""

from __future__ import annotations

import io
import json
import random
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from source_files import write_jsonl

from adora_mm.data import load_problems
from adora_mm.types import Problem
from adora_mm.verify import CheckerPool
from data_prep import cli
from data_prep.audit import Report, audit
from data_prep.audit.pictures import alike, image_tokens, look_at
from data_prep.audit.statistics import answer_kind, histogram, spread
from data_prep.sources import SOURCES
from data_prep.texts import near_texts, numbers_of, say_the_same, tokens_of, wording_of
from data_prep.writer import Entry, write_folder

EMBEDDED_POLICY = Path(__file__).parents[2] / "adora_mm/assets/tiny_qwen2_5_vl"
LONG = (
    "A train leaves the station at noon and goes 60 km each hour for 3 hours; how far does it go?"
)


@pytest.fixture(scope="module")
def pool() -> Iterator[CheckerPool]:
    with CheckerPool(1) as pool:
        yield pool


def diagram(seed: int, size: tuple[int, int] = (160, 120)) -> Image.Image:
    """A few strokes on white paper that depend on the seed alone, at any size."""
    rng = random.Random(seed)
    image = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        points = [(rng.random() * size[0], rng.random() * size[1]) for _ in range(2)]
        draw.line(points, fill="black", width=max(1, size[0] // 60))
    return image


def encoded(image: Image.Image, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def problem(number: int, **changes: Any) -> Problem:
    fields: dict[str, Any] = {
        "id": f"p{number}",
        "question": f"What is the value of {number} plus {number + 1}, written as a number?",
        "answer": str(2 * number + 1),
        "source": "sums",
        "split": "train",
    }
    return Problem(**(fields | changes))


def entry(number: int, *images: bytes, **changes: Any) -> Entry:
    return Entry(problem=problem(number, **changes), images=images)


def write(folder: Path, *entries: Entry) -> Path:
    write_folder(folder, iter(entries), source="sums", licence="CC0-1.0", arguments={})
    return folder


def run(pool: CheckerPool, *problems: Problem, **options: Any) -> Report:
    return audit(list(problems), name="sums", pool=pool, **options)


def kinds(report: Report) -> list[tuple[str, str]]:
    return [(finding.kind, finding.problem_id) for finding in report.findings]


# --- golds ---------------------------------------------------------------------------------------


def test_sound_problems_have_no_findings(pool: CheckerPool) -> None:
    choices = ("30", "45\\sqrt{2}", "60")
    report = run(
        pool,
        problem(1),
        problem(2, answer="\\frac{2\\sqrt{2}}{5}"),
        problem(3, answer="x = 1 or x = -1"),
        problem(4, answer="45\\sqrt{2}", choices=choices),
        problem(5, answer="C", choices=choices),
        problem(6, answer="Tuesday"),
    )
    assert report.findings == ()
    assert report.fit


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"answer": "\\frac{1}{"}, "gold_unreadable"),
        ({"answer": "((3"}, "gold_unreadable"),
        ({"answer": "7", "choices": ("1", "2", "3")}, "no_right_choice"),
        ({"answer": "E", "choices": ("1", "2", "3")}, "no_right_choice"),
        ({"answer": "3", "choices": ("1", "3", " 3")}, "several_right_choices"),
    ],
)
def test_golds_that_cannot_be_trusted_block(
    changes: dict[str, Any], kind: str, pool: CheckerPool
) -> None:
    report = run(pool, problem(1), problem(2, **changes))
    assert kinds(report) == [(kind, "p2")]
    assert not report.fit
    assert report.unfit_ids == ["p2"]


def test_published_golds_pass(shared_data: Path, pool: CheckerPool, tmp_path: Path) -> None:
    assert (
        cli.main(
            [
                "geometry3k",
                "--from",
                str(shared_data / "geometry3k/examples"),
                "--out",
                str(tmp_path / "g"),
            ]
        )
        == 0
    )
    assert run(pool, *load_problems(tmp_path / "g")).fit


# --- pictures ------------------------------------------------------------------------------------


def test_blank_and_broken_pictures_block(tmp_path: Path, pool: CheckerPool) -> None:
    blank = encoded(Image.new("RGB", (50, 40), (250, 250, 250)))
    folder = write(
        tmp_path / "set",
        entry(1, encoded(diagram(1))),
        entry(2, blank),
        entry(3, encoded(diagram(3))),
    )
    problems = load_problems(folder)
    problems[2].images[0].write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    report = run(pool, *problems)
    assert kinds(report) == [("image_blank", "p2"), ("image_unreadable", "p3")]
    assert "50x40 px of one grey" in report.findings[0].message
    problems[2].images[0].unlink()
    assert ("image_unreadable", "p3") in kinds(run(pool, *problems))


def test_pictures_that_lose_their_labels_are_warned_of(tmp_path: Path, pool: CheckerPool) -> None:
    from data_prep.audit import Limits

    folder = write(tmp_path / "set", entry(1, encoded(diagram(1, (1200, 900)))))
    limits = Limits(min_pixels=28 * 28, max_pixels=300 * 300)
    report = run(pool, *load_problems(folder), limits=limits)
    assert kinds(report) == [("image_shrunk", "p1")]
    assert report.fit
    assert "1200x900 px become 336x252 px" in report.findings[0].message


def test_image_tokens_are_those_of_the_image_processor() -> None:
    from transformers import Qwen2VLImageProcessorPil

    rng = random.Random(0)
    for low, high in ((4 * 784, 16384 * 784), (262_144, 1_048_576), (784, 20_000)):
        processor = Qwen2VLImageProcessorPil(
            size={"shortest_edge": low, "longest_edge": high}, patch_size=14, merge_size=2
        )
        for _ in range(60):
            width, height = rng.randrange(28, 2000), rng.randrange(28, 2000)
            patches = processor.get_number_of_image_patches(height, width)
            assert image_tokens(width, height, low, high) == patches // 4, (
                width,
                height,
                low,
                high,
            )


def test_copies_are_alike_and_others_are_not(tmp_path: Path) -> None:
    def bits(name: str, data: bytes) -> bytes:
        (tmp_path / name).write_bytes(data)
        return look_at(tmp_path / name).bits

    original = diagram(5, (480, 360))
    framed = Image.new("RGB", (560, 420), "white")
    framed.paste(original, (30, 40))
    copies = [
        bits("half.png", encoded(original.resize((240, 180), Image.Resampling.LANCZOS))),
        bits("twice.png", encoded(original.resize((960, 720), Image.Resampling.BICUBIC))),
        bits("again.jpg", encoded(original, "JPEG")),
        bits("framed.png", encoded(framed)),
    ]
    first = [bits("first.png", encoded(original))]
    assert len(list(alike(first, copies))) == 4
    others = [bits(f"{seed}.png", encoded(diagram(seed, (480, 360)))) for seed in range(6, 40)]
    assert list(alike(first, others)) == []
    assert [(i, j) for i, j, _ in alike([*others, *first, *first])] == [(34, 35)]


# --- texts ---------------------------------------------------------------------------------------


def test_tokens_leave_dress_out_and_keep_operators() -> None:
    assert tokens_of("Find $\\angle ABC$ if $x+2.5 = 7$.") == (
        *("find", "angle", "abc", "if", "x", "+", "2.5", "=", "7"),
    )
    assert tokens_of("$\\left( x-1 \\right)$") == tokens_of("(x - 1)")
    assert tokens_of("如图,AB∥CD") == ("如", "图", "ab", "cd")
    assert numbers_of(("a", "2", "2", "3.5")) == {"2": 2, "3.5": 1}
    assert wording_of(tokens_of("3 apples and 4")) == "# apples and #"


def test_other_numbers_make_another_problem() -> None:
    one = tokens_of(LONG)
    assert say_the_same(one, tokens_of(LONG.replace("train", "Train ").replace(";", ",")))
    assert say_the_same(one, tokens_of(LONG.replace("noon", "midday")))
    assert not say_the_same(one, tokens_of(LONG.replace("60", "70")))
    assert not say_the_same(one, tokens_of("What is 60 times 3?"))


def test_near_pairs_are_those_of_a_naive_search() -> None:
    rng = random.Random(0)
    words = [f"w{chr(97 + n)}" for n in range(17)]
    texts = [tuple(rng.choices(words, k=40)) for _ in range(120)]
    for index in range(0, 100, 5):  # a copy with one or two words changed
        changed = list(texts[index])
        for _ in range(1 + index % 2):
            changed[rng.randrange(40)] = "moon"
        texts.append(tuple(changed))
    naive = {
        (i, j)
        for i in range(len(texts))
        for j in range(i + 1, len(texts))
        if texts[i] != texts[j] and say_the_same(texts[i], texts[j])
    }
    assert 15 < len(naive) < 30
    assert set(near_texts(texts)) == naive


# --- duplicates and leakage ----------------------------------------------------------------------


def test_duplicates_warn_and_contradictions_block(tmp_path: Path, pool: CheckerPool) -> None:
    picture, other = encoded(diagram(1)), encoded(diagram(2))
    asked = {"question": "Find x.", "answer": "6"}
    folder = write(
        tmp_path / "set",
        entry(1, picture, **asked),
        entry(2, other, **asked),
        entry(3, picture, question="find  $x$", answer="6.0"),
        entry(4, picture, question="Find x.", answer="8"),
        entry(5, question=LONG, answer="180"),
        entry(6, question=LONG.replace("noon", "midday"), answer="180"),
        entry(7, question=LONG.replace("60", "70"), answer="210"),
        entry(8, question="Which is right of the two?", answer="A", choices=("1", "2")),
        entry(9, question="Which is right of the two?", answer="A", choices=("3", "4")),
    )
    report = run(pool, *load_problems(folder))
    assert kinds(report) == [
        ("duplicate", "p3"),
        ("contradiction", "p4"),
        ("near_duplicate", "p6"),
    ]
    assert [finding.other_id for finding in report.findings] == ["p1", "p1", "p5"]
    assert report.unfit_ids == ["p4"]


def test_a_copied_picture_with_the_same_question_is_nearly_the_same(
    tmp_path: Path, pool: CheckerPool
) -> None:
    original = diagram(1, (480, 360))
    small = encoded(original.resize((300, 225), Image.Resampling.LANCZOS))
    asked = {"question": "Find x.", "answer": "6"}
    folder = write(
        tmp_path / "set",
        entry(1, encoded(original), **asked),
        entry(2, small, **asked),
        entry(3, encoded(original, "JPEG"), question="Find x.", answer="7"),
        entry(4, encoded(original, "JPEG"), question="What is the area?", answer="6"),
    )
    assert kinds(run(pool, *load_problems(folder))) == [("near_duplicate", "p2")]


def test_leaks_block_and_shared_pictures_warn(tmp_path: Path, pool: CheckerPool) -> None:
    original = diagram(1, (480, 360))
    small = encoded(original.resize((300, 225), Image.Resampling.LANCZOS))
    train = write(
        tmp_path / "train",
        entry(1, small, question="Find x.", answer="6"),
        entry(2, small, question="What is the area?", answer="9"),
        entry(3, encoded(diagram(2)), question="Find x.", answer="6"),
        entry(4, question=LONG.replace("noon", "midday"), answer="180"),
        entry(5, question=LONG.replace("60", "70"), answer="210"),
        entry(6, question="Compute the sum."),
    )
    test = load_problems(
        write(
            tmp_path / "test",
            entry(11, encoded(original), question="Find x.", answer="6", split="test"),
            entry(12, question=LONG, answer="180", split="test"),
            entry(13, question="Compute the product.", split="test"),
        )
    )
    report = run(pool, *load_problems(train), against={"exam": test})
    assert [(f.kind, f.problem_id, f.other_id) for f in report.findings] == [
        ("leak", "p1", "p11"),
        ("shared_picture", "p2", "p11"),
        ("leak", "p4", "p12"),
        ("variant", "p5", "p12"),
    ]
    assert report.findings[0].message == "nearly the same as p11 of exam"
    assert report.compared_with == {"exam": 3}
    assert report.unfit_ids == ["p1", "p4"]


def test_templates_of_a_set_are_no_variants(pool: CheckerPool) -> None:
    exam = [problem(n, id=f"e{n}", question=LONG.replace("60", str(n))) for n in range(10, 14)]
    train = [problem(n, question=LONG.replace("60", str(n))) for n in range(20, 30)]
    assert run(pool, *train, against={"exam": exam}).findings == ()
    few = run(pool, *train, against={"exam": exam[:3]})
    assert few.counts == {"variant": 10}
    assert few.fit


def test_real_variants_of_real_problems(
    shared_data: Path, pool: CheckerPool, tmp_path: Path
) -> None:
    """DynaMath varies problems of MATH-Vision: one shares a picture, another all of its words."""
    vision = ["mathvision", "--from", str(shared_data / "mathvision")]
    assert cli.main([*vision, "--out", str(tmp_path / "vision")]) == 0
    dyna = ["jsonl", "--from", str(shared_data / "dynamath/dataset.json"), "--name", "dynamath"]
    mapped = ["--map", "images=image", "--out", str(tmp_path / "dyna")]
    assert cli.main([*dyna, *mapped]) == 0
    wanted = {"dynamath-95", "dynamath-355", "dynamath-7"}
    train = [p for p in load_problems(tmp_path / "dyna") if p.id in wanted]
    wanted = {"mathvision-386", "mathvision-38", "mathvision-6"}
    exam = [p for p in load_problems(tmp_path / "vision") if p.id in wanted]
    report = run(pool, *train, against={"exam": exam})
    assert [(f.kind, f.problem_id, f.other_id) for f in report.findings] == [
        ("shared_picture", "dynamath-355", "mathvision-38"),
        ("variant", "dynamath-95", "mathvision-386"),
    ]


def test_real_sets_leak_where_they_are_known_to(
    shared_data: Path, pool: CheckerPool, tmp_path: Path
) -> None:
    read = {}
    for name in ("amc83", "amc40"):
        words = [name, "--from", str(shared_data / "text"), "--out", str(tmp_path / name)]
        assert cli.main(words) == 0
        read[name] = load_problems(tmp_path / name)
    report = run(pool, *read["amc83"], against={"amc40": read["amc40"]})
    assert report.counts == {"leak": 40}


def test_a_set_of_many_problems_with_one_wording_takes_no_long(pool: CheckerPool) -> None:
    question = "In the figure the two lines l and m are parallel; find the angle marked x there."
    problems = [problem(n, question=question, choices=(str(n), "7")) for n in range(1, 3001)]
    report = run(pool, *[p for p in problems if p.id != "p7"], against={"other": problems[:50]})
    assert report.statistics["different_wordings"] == 1


# --- statistics ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gold", "kind"),
    [
        ("12", "integer"),
        ("$-1,200$", "integer"),
        ("0.5", "decimal"),
        ("B", "letter"),
        ("\\frac{1}{2}", "expression"),
        ("x=2", "expression"),
        ("Tuesday morning", "words"),
    ],
)
def test_kinds_of_golds(gold: str, kind: str) -> None:
    assert answer_kind(gold) == kind


@pytest.mark.parametrize("values", [[5], [1, 2, 3], list(range(1000)), [0] * 9 + [10**6]])
def test_spreads_count_every_value_once(values: Sequence[int]) -> None:
    found = spread(values)
    assert (found["min"], found["max"]) == (min(values), max(values))
    assert sum(count for _, count in found["histogram"]) == len(values)
    assert len(found["histogram"]) <= 20
    assert histogram(sorted(values))[0][0] == min(values)
    assert spread([]) == {}


# --- the command ---------------------------------------------------------------------------------


def command(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_the_command_writes_both_files_and_says_fit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "set", entry(1, encoded(diagram(1))), entry(2))
    assert command("audit", tmp_path / "set") == 0
    assert "set: fit to train on; no evaluation set" in capsys.readouterr().out
    report = json.loads((tmp_path / "set.audit.json").read_text())
    assert (report["fit"], report["counts"], report["findings"]) == (True, {}, [])
    assert report["statistics"]["answer_kinds"] == {"integer": 2}
    page = (tmp_path / "set.audit.html").read_text()
    assert "Fit to train on" in page
    assert page.count("data:image/png;base64,") == 1


def test_what_lies_beside_is_compared_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        tmp_path / "set", entry(1), entry(2), entry(3, split="val", id="v3"), entry(4, split="val")
    )
    write(tmp_path / "exam", entry(2, id="e2", split="test"), entry(5, id="e5"))
    write(tmp_path / "copy", entry(4))
    write(tmp_path / "curriculum", entry(1, split="stage1"), entry(2, split="train-hard"))
    (tmp_path / "junk").mkdir()
    (tmp_path / "junk/manifest.json").write_text("{")
    assert command("audit", f"{tmp_path / 'set'}@train") == 1
    out = capsys.readouterr().out
    assert (
        "1 blocks   A problem of an evaluation set; first: p2: the same as e2 of exam@test" in out
    )
    assert "set@train: NOT fit to train on; exam@test, set@val;" in out
    alone = ("--only-against", "--report", tmp_path / "x.html")
    assert command("audit", f"{tmp_path / 'set'}@train", *alone) == 0
    assert (tmp_path / "x.json").is_file()
    assert (
        command("audit", f"{tmp_path / 'copy'}", *alone, "--against", f"{tmp_path / 'set'}@val")
        == 1
    )


def test_a_recipe_gives_its_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = "Add all of these numbers: " + " ".join(str(n) for n in range(300))
    write(tmp_path / "set", entry(1, encoded(diagram(1))), entry(2, question=long))
    assert command("audit", tmp_path / "set", "--recipe", "geo3k_tiny") == 1
    assert "tokens, the recipe allows 256" in capsys.readouterr().out
    report = json.loads((tmp_path / "set.audit.json").read_text())
    assert report["counts"] == {"prompt_too_long": 1}
    own = json.loads((EMBEDDED_POLICY / "preprocessor_config.json").read_text())["size"]
    assert report["settings"] == {
        "min_pixels": own["shortest_edge"],
        "max_pixels": own["longest_edge"],
    }
    assert report["statistics"]["prompt_tokens"]["max"] > 256


def test_a_benchmark_is_not_to_be_trained_on(tmp_path: Path) -> None:
    benchmarks = [name for name, source in SOURCES.items() if source.evaluation_only]
    assert {"mathvision", "math500", "amc83", "aime2024", "mathvista"} <= set(benchmarks)
    write(tmp_path / "set", *(entry(n, source=name) for n, name in enumerate(benchmarks)))
    assert command("audit", tmp_path / "set") == 1
    report = json.loads((tmp_path / "set.audit.json").read_text())
    assert report["counts"] == {"evaluation_set": 1}
    (finding,) = report["findings"]
    named = finding["message"].removesuffix(": an evaluation set, not to be trained on")
    assert named.split(", ") == sorted(benchmarks)
    page = (tmp_path / "set.audit.html").read_text()
    assert "The folder as a whole must not be trained on." in page


def test_the_published_math_500_is_found_by_the_name_of_its_problems(
    shared_data: Path, tmp_path: Path
) -> None:
    words = ["--from", shared_data / "text", "--out", tmp_path / "set", "--limit", "3"]
    assert command("math500", *words) == 0
    assert command("audit", tmp_path / "set") == 1
    report = json.loads((tmp_path / "set.audit.json").read_text())
    assert report["counts"] == {"evaluation_set": 1}


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    attack = '<script>alert(1)</script><img src=x onerror="alert(1)">'
    write(tmp_path / "set", entry(1, question=attack, answer="\\frac{"), entry(2, id="<b>"))
    assert command("audit", tmp_path / "set") == 1
    page = (tmp_path / "set.audit.html").read_text()
    assert "<script" not in page
    assert "onerror=&#34;" in page
    assert "<b>&lt;" not in page.replace("<b>✗", "")
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audit", "nowhere"], "nowhere: no such data folder"),
        (["audit", "set@dev"], "no problems in split 'dev'"),
        (["audit", "set", "--against", "exam"], "exam: no such data folder"),
        (["audit", "set", "--recipe", "none"], "no recipe 'none'"),
        (["audit", "set", "--report", "x.json"], "must end in .html"),
        (["audit", "set", "--model", "x"], "--model needs --recipe"),
        (["audit", "set", "--recipe", "geo3k_tiny", "--max-pixels", "9"], "are the recipe's"),
        (["audit", "set", "--recipe", "geo3k_tiny", "--model", "./none"], "pass --model"),
    ],
)
def test_mistakes_are_one_line(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "set", entry(1))
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "set.audit.html").exists()


def test_a_published_folder_that_was_damaged(shared_data: Path, tmp_path: Path) -> None:
    """Ten real problems with one gold, one option and one picture spoilt: three findings."""
    examples = tmp_path / "examples"
    shutil.copytree(shared_data / "geometry3k/examples", examples)
    for path in (examples, *examples.rglob("*")):
        path.chmod(0o755)
    Image.new("RGB", (60, 60), "white").save(examples / "11/img_diagram.png")
    for number, changes in (
        (12, {"compact_choices": ["1", "13", "13", "4"]}),
        (13, {"answer": "A"}),
    ):
        file = examples / f"{number}/data.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    assert command("geometry3k", "--from", examples, "--out", tmp_path / "bad") == 0
    assert command("audit", tmp_path / "bad") == 1
    report = json.loads((tmp_path / "bad.audit.json").read_text())
    assert report["counts"] == {"several_right_choices": 1, "image_blank": 1}


def test_rows_of_any_table_can_be_audited(tmp_path: Path) -> None:
    rows = [{"question": "1+1?", "answer": "2"}, {"question": "1+1?", "answer": "3"}]
    file = write_jsonl(tmp_path / "in/sums.jsonl", rows)
    assert command("jsonl", "--from", file, "--out", tmp_path / "sums") == 0
    assert command("audit", tmp_path / "sums") == 1
