"""GeoQA, UniGeo, PGPS9K, We-Math, MMK12 and MM-Math: files made to each documented schema."""

from __future__ import annotations

import io
import pickle
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from source_files import png, write_json, write_jsonl, write_parquet

from data_prep.sources import SOURCES, BadRows, geoqa, mmk12, mmmath, pgps9k, unigeo, wemath
from data_prep.sources.mmmath import only_box
from data_prep.sources.options import split_options
from data_prep.sources.rows import RowError
from data_prep.sources.wemath import option_texts
from data_prep.writer import Entry


def facts(entries: list[Entry]) -> list[tuple[str, str, str]]:
    return [(e.problem.id, e.problem.split, e.problem.answer) for e in entries]


def save(file: Path, data: bytes) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


# --- GeoQA ---------------------------------------------------------------------------------------

GEOQA_ROW = {
    "subject": "如图,则∠BCD等于()",
    "choices": ["40°", "50°", "45°"],
    "label": 1,
    "answer": "解",
}


def geoqa_folder(folder: Path, *names: str, **changes: Any) -> Path:
    for name in names:
        write_json(folder / f"json/{name}.json", GEOQA_ROW | changes)
        save(folder / f"image/{name}.png", png(ink=len(name)))
    return folder


def test_geoqa_folder(tmp_path: Path) -> None:
    entries = list(geoqa.read(geoqa_folder(tmp_path / "GeoQA3", "10", "9")))
    assert facts(entries) == [("geoqa-9", "train", "50°"), ("geoqa-10", "train", "50°")]
    problem = entries[0].problem
    assert (problem.question, problem.choices) == ("如图,则∠BCD等于()", ("40°", "50°", "45°"))
    assert problem.metadata == {"solution": "解", "label": 1}
    assert entries[1].images == (png(ink=2),)


def test_geoqa_splits_are_folders_and_the_name_can_be_geoqa_plus(tmp_path: Path) -> None:
    folder = geoqa_folder(tmp_path, "train/1", "test/2", "val/3")
    read = SOURCES["geoqa_plus"].read
    assert facts(list(read(folder))) == [
        ("geoqa_plus-1", "train", "50°"),
        ("geoqa_plus-3", "val", "50°"),
        ("geoqa_plus-2", "test", "50°"),
    ]
    (entry,) = read(folder, split="test")
    assert entry.problem.source == "geoqa_plus"


@pytest.mark.parametrize("label", [3, -1, "1", None, True])
def test_geoqa_labels_must_name_a_choice(label: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"1\.json: label .* is none of the 3 choices"):
        list(geoqa.read(geoqa_folder(tmp_path, "1", label=label)))


def test_geoqa_without_its_picture(tmp_path: Path) -> None:
    (geoqa_folder(tmp_path, "1") / "image/1.png").unlink()
    bad = BadRows(drop=True)
    assert list(geoqa.read(tmp_path, bad=bad)) == []
    assert bad.dropped == {"bad image": 1}


def test_geoqa_as_r1v_made_it(tmp_path: Path) -> None:
    picture = {"bytes": png(), "path": None}
    rows = [
        {"image": picture, "problem": "<image>Find ∠B.", "solution": "<answer> 145° </answer>"},
        {"image": picture, "problem": "Find x.", "solution": "4√{3}"},
        {"image": picture, "problem": "Find x.", "solution": "<answer> </answer>"},
        {"image": None, "problem": "Find x.", "solution": "<answer> 1 </answer>"},
    ]
    write_parquet(tmp_path / "data/train-00000-of-00001.parquet", rows)
    bad = BadRows(drop=True)
    entries = list(geoqa.read(tmp_path, bad=bad))
    assert facts(entries) == [
        ("geoqa-train-1", "train", "145°"),
        ("geoqa-train-2", "train", "4√{3}"),
    ]
    assert (entries[0].problem.question, entries[0].images) == ("Find ∠B.", (png(),))
    assert bad.dropped == {"empty solution": 1, "no images": 1}


def test_geoqa_pickles_are_not_read(tmp_path: Path) -> None:
    save(tmp_path / "train.pk", b"")
    with pytest.raises(ValueError, match=r"no GeoQA there: .*pickles \(\.pk\) are not read"):
        list(geoqa.read(tmp_path))
    with pytest.raises(ValueError, match="geoqa has no split 'testmini'"):
        list(geoqa.read(tmp_path, split="testmini"))


# --- UniGeo --------------------------------------------------------------------------------------

UNIGEO_ROW = {
    "id": 17,
    "English_problem": "If ∠ABC=N_0°, AB=N_1cm, then ∠BCD is equal to ()",
    "numbers": [40.0, 2.5],
    "choices": ["40°", "50°"],
    "label": 0,
    "image": "image/17.png",
}


def test_unigeo_converted_files(tmp_path: Path) -> None:
    save(tmp_path / "image/17.png", png())
    write_jsonl(tmp_path / "calculation_train.jsonl", [UNIGEO_ROW, UNIGEO_ROW | {"id": None}])
    write_jsonl(tmp_path / "calculation_test.jsonl", [UNIGEO_ROW])
    write_jsonl(tmp_path / "proving_train.jsonl", [{"input_text": "a proof"}])
    entries = list(unigeo.read(tmp_path))
    assert facts(entries) == [
        ("unigeo-train-17", "train", "40°"),
        ("unigeo-train-2", "train", "40°"),
        ("unigeo-test-17", "test", "40°"),
    ]
    assert entries[0].images == (png(),)
    assert entries[0].problem.question == "If ∠ABC=40°, AB=2.5cm, then ∠BCD is equal to ()"
    assert [e.problem.split for e in unigeo.read(tmp_path, split="test")] == ["test"]


def test_unigeo_pickles_become_tables_by_the_script_of_the_documentation(tmp_path: Path) -> None:
    """The pickles' schema: a list of records with a grey picture as an array, and float numbers."""
    numpy = pytest.importorskip("numpy")
    document = (Path(__file__).parents[2] / "docs/data.md").read_text("utf-8")
    (script,) = [b for b in re.findall(r"```python\n(.*?)```", document, re.S) if "pickle" in b]
    grey = numpy.full((40, 60), 255, dtype=numpy.uint8)
    grey[20, 5:55] = 0
    row = UNIGEO_ROW | {"image": grey, "label": numpy.int64(1), "manual_program": ["g_minus"]}
    rows = [row, row | {"id": 18, "English_problem": "Find N_2."}]
    save(tmp_path / "calculation_train.pk", pickle.dumps(rows))
    subprocess.run([sys.executable, "-c", script, "train"], cwd=tmp_path, check=True)
    bad = BadRows(drop=True)
    (entry,) = unigeo.read(tmp_path, bad=bad)
    assert bad.dropped == {"number not given": 1}
    assert facts([entry]) == [("unigeo-train-17", "train", "50°")]
    assert entry.problem.question.startswith("If ∠ABC=40°, AB=2.5cm")
    with Image.open(io.BytesIO(entry.images[0])) as picture:
        assert (picture.size, picture.mode) == ((60, 40), "L")
        assert picture.getextrema() == (0, 255)


def test_unigeo_pickles_and_bad_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no UniGeo there"):
        list(unigeo.read(tmp_path))
    save(tmp_path / "calculation_train.pk", b"")
    with pytest.raises(ValueError, match="holds pickles, which can run code"):
        list(unigeo.read(tmp_path))
    write_jsonl(tmp_path / "calculation_val.jsonl", [UNIGEO_ROW | {"image": None}])
    with pytest.raises(ValueError, match=r"calculation_val\.jsonl, row 1: column 'image'"):
        list(unigeo.read(tmp_path))


# --- PGPS9K --------------------------------------------------------------------------------------

PGPS_ROW = {
    "diagram": "img_13.png",
    "text": "Find m \\angle 1.",
    "answer": "62.000",
    "choices": ["28.000", "62.000"],
    "type": "Angle Bisector",
    "parsing_stru_seqs": ["line A B C"],
    "parsing_sem_seqs": ["m \\angle 2 = 62"],
    "book": "Geometry",
    "page": 12,
}


def pgps_folder(folder: Path) -> Path:
    save(folder / "Diagram/img_13.png", png())
    for split in ("train", "test"):
        write_json(folder / f"PGPS9K/{split}.json", {"prob_13": PGPS_ROW})
    return folder


@pytest.mark.parametrize("below", ["", "PGPS9K_all"])
def test_pgps9k(below: str, tmp_path: Path) -> None:
    pgps_folder(tmp_path / below)
    entries = list(pgps9k.read(tmp_path))
    assert facts(entries) == [
        ("pgps9k-train-prob_13", "train", "62.000"),
        ("pgps9k-test-prob_13", "test", "62.000"),
    ]
    problem = entries[0].problem
    assert (problem.choices, problem.answer_type) == (("28.000", "62.000"), "choice")
    assert problem.metadata == {
        "type": "Angle Bisector",
        "book": "Geometry",
        "page": 12,
        "clauses": ["line A B C", "m \\angle 2 = 62"],
    }
    (free,) = pgps9k.read(tmp_path, split="test", keep_choices=False)
    assert (free.problem.choices, free.problem.answer_type) == ((), "number")


def test_pgps9k_unknown_layouts(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no PGPS9K there"):
        list(pgps9k.read(tmp_path))
    with pytest.raises(ValueError, match="PGPS9K has no split 'val'"):
        list(pgps9k.read(tmp_path, split="val"))
    (pgps_folder(tmp_path) / "Diagram/img_13.png").unlink()
    with pytest.raises(ValueError, match=r"train\.json, row 1: image 'img_13\.png' cannot be read"):
        list(pgps9k.read(tmp_path))


# --- We-Math -------------------------------------------------------------------------------------

WEMATH_ROW = {
    "ID": "2steps_1",
    "split": "testmini",
    "question": "OA = ( ) m",
    "option": "A. 300, 400;B. 3000, 4000; C. No correct answer",
    "answer": "B",
    "image_path": "2steps/image/1-1.png",
    "key": "2steps_1",
    "knowledge concept": "Conversion",
}


@pytest.mark.parametrize(
    ("options", "cut"),
    [
        ("A. 300, 400;B. 3; C. None", ("300, 400", "3", "None")),
        ("A. F;    B. D;    C. B;    D. I; E. No", ("F", "D", "B", "I", "No")),
        ("A. B; B. C; C. D", ("B", "C", "D")),
        ("A. 3, 5; B. 30, 50, 40.; C. x; y", ("3, 5", "30, 50, 40.", "x; y")),
        ("A. left\nB. right", ("left", "right")),
        ("A\uff0e1\uff1bB\uff0e2", ("1", "2")),
    ],
)
def test_wemath_options_are_cut_at_their_letters(options: str, cut: tuple[str, ...]) -> None:
    assert option_texts(options) == cut


@pytest.mark.parametrize("options", ["300 or 400", "A. only one", "B. 1; C. 2", "A. ;B. 2"])
def test_wemath_options_that_are_no_list(options: str) -> None:
    with pytest.raises(RowError, match="column 'option'"):
        option_texts(options)


def test_wemath_json_and_parquet_agree(tmp_path: Path) -> None:
    rows = [WEMATH_ROW, WEMATH_ROW | {"ID": "2steps_2", "answer": "A"}]
    save(tmp_path / "json/2steps/image/1-1.png", png())
    write_json(tmp_path / "json/testmini.json", rows)
    picture = {"bytes": png(), "path": None}
    write_parquet(
        tmp_path / "hub/data/testmini-00000-of-00001.parquet",
        [row | {"image_path": picture} for row in rows],
    )
    entries = list(wemath.read(tmp_path / "json"))
    assert entries == list(wemath.read(tmp_path / "hub"))
    bare = list(wemath.read(tmp_path / "json", images=False))
    assert [e.problem for e in bare] == [e.problem for e in entries]
    assert [e.images for e in bare] == [(), ()]
    assert facts(entries) == [("wemath-1", "testmini", "B"), ("wemath-2", "testmini", "A")]
    assert entries[0].problem.choices == ("300, 400", "3000, 4000", "No correct answer")
    assert entries[0].problem.metadata["key"] == "2steps_1"
    assert entries[0].images == (png(),)


def test_wemath_mistakes(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no We-Math there"):
        list(wemath.read(tmp_path))
    with pytest.raises(ValueError, match="no split 'train'"):
        list(wemath.read(tmp_path, split="train"))
    write_json(tmp_path / "testmini.json", [WEMATH_ROW | {"answer": "D"}])
    with pytest.raises(ValueError, match="answer 'D' is none of 3 options"):
        list(wemath.read(tmp_path))
    write_json(tmp_path / "testmini.json", [WEMATH_ROW | {"answer": "AB"}])
    with pytest.raises(ValueError, match="answer 'AB' is none of 3 options"):
        list(wemath.read(tmp_path))


# --- MMK12 ---------------------------------------------------------------------------------------


def mmk12_row(**changes: Any) -> dict[str, Any]:
    picture = {"bytes": png(), "path": None}
    row = {"id": "a7", "question": "In <image> the figure, find x.", "answer": "$$30^\\circ$$"}
    return row | {"subject": "math", "image": picture} | changes


def test_mmk12_train_is_free_form_and_test_has_choices(tmp_path: Path) -> None:
    asked = "<image>Which?\nA. one\nB. two,\nor more\nC. three"
    write_parquet(tmp_path / "data/train-0.parquet", [mmk12_row()])
    write_parquet(tmp_path / "data/test-0.parquet", [mmk12_row(question=asked, answer="B")])
    train, test = mmk12.read(tmp_path)
    assert facts([train, test]) == [
        ("mmk12-train-a7", "train", "$$30^\\circ$$"),
        ("mmk12-test-a7", "test", "B"),
    ]
    assert (train.problem.question, train.problem.choices) == ("In the figure, find x.", ())
    assert (test.problem.question, test.problem.choices) == (
        "Which?",
        ("one", "two,\nor more", "three"),
    )
    assert test.problem.metadata == {"subject": "math"}


def test_mmk12_choices_that_are_not_there(tmp_path: Path) -> None:
    assert split_options("A. Smith has 3 apples. How many?") == (
        "A. Smith has 3 apples. How many?",
        (),
    )
    assert split_options("Pick\n(A) 1\n(B) 2")[1] == ("1", "2")
    write_parquet(tmp_path / "test-0.parquet", [mmk12_row(answer="B")])
    with pytest.raises(ValueError, match="answer 'B', options 0"):
        list(mmk12.read(tmp_path))
    asked = "Which?\nA. one\nB. two"
    write_parquet(tmp_path / "test-0.parquet", [mmk12_row(question=asked, answer="AB")])
    with pytest.raises(ValueError, match="answer 'AB', options 2"):
        list(mmk12.read(tmp_path))
    with pytest.raises(ValueError, match="no MMK12 there"):
        list(mmk12.read(tmp_path / "absent"))


# --- MM-Math -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solution", "answer"),
    [
        ("so $BC=\\boxed{6}$.", "6"),
        ("$\\boxed{\\frac{1}{\\sqrt{2}}}$", "\\frac{1}{\\sqrt{2}}"),
        ("\\boxed{6} and again \\boxed{6}", "6"),
    ],
)
def test_mmmath_gold_is_the_box(solution: str, answer: str) -> None:
    assert only_box(solution) == answer


@pytest.mark.parametrize(
    ("solution", "reason"),
    [
        ("no box", "no boxed answer"),
        ("\\boxed{}", "no boxed answer"),
        ("(1) \\boxed{2} (2) \\boxed{3}", "several answers"),
        ("\\boxed{2", "open box"),
    ],
)
def test_mmmath_other_boxes_are_bad_rows(solution: str, reason: str) -> None:
    with pytest.raises(RowError) as caught:
        only_box(solution)
    assert caught.value.reason == reason


def test_mmmath_pictures_beside_or_below(tmp_path: Path) -> None:
    row = {"question": "Find BC.", "solution": "\\boxed{6}", "year": "nine", "file_name": "1.png"}
    rows = [row, row | {"file_name": "2.png"}, row | {"file_name": ""}]
    write_jsonl(tmp_path / "MM_Math/MM_Math.jsonl", rows)
    save(tmp_path / "MM_Math/1.png", png(ink=1))
    save(tmp_path / "MM_Math/Image/2.png", png(ink=2))
    entries = list(mmmath.read(tmp_path))
    assert facts(entries) == [(f"mmmath-{n}", "train", "6") for n in (1, 2, 3)]
    assert [e.images for e in entries] == [(png(ink=1),), (png(ink=2),), ()]
    assert entries[0].problem.metadata == {"year": "nine", "solution": "\\boxed{6}"}
    with pytest.raises(ValueError, match="no MM-Math there"):
        list(mmmath.read(tmp_path / "MM_Math/Image"))
