"""Published answers in the formats of other harnesses."""

from __future__ import annotations

import csv
import json
import sys
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from evaluation.dumps import FORMATS
from evaluation.rescore import rescore


def run(path: Path, form: str, **options: Any) -> tuple[str, list[dict[str, Any]]]:
    folder = options.pop("out", path.parent / f"{path.stem}.rescored")
    settings: dict[str, Any] = {"benchmark": None, "data": None, "out": folder, "workers": 1}
    line = rescore(path, form, **(settings | options))
    rows = [json.loads(row) for row in (folder / "verdicts.jsonl").read_bytes().splitlines()]
    return line, rows


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_mathv_takes_golds_from_the_annotations(shared_data: Path, tmp_path: Path) -> None:
    """Answers as the format's own files have them; 4 is free-form (6), 6 has the option D."""
    rows = [
        {"id": "4", "model": "m", "response": "5", "model_answer": "5", "correct": False},
        {"id": "5", "model": "m", "response": "It is \\boxed{61}.", "correct": True},
        {"id": "6", "model": "m", "response": "(D)", "model_answer": "d", "correct": True},
        {"id": "10", "model": "m", "response": "I refuse", "correct": True},
    ]
    path = lines(tmp_path / "GPT.jsonl", rows)
    data = str(shared_data / "mathvision")
    line, found = run(path, "mathv", data=data, benchmark="mathvision_mini")
    outcomes = {row["id"]: row["outcome"] for row in found}
    assert set(outcomes) == {"4#0", "5#0", "6#0", "10#0"}
    assert [outcomes[f"{i}#0"] for i in (4, 5, 6)] == ["incorrect", "correct", "correct"]
    assert "right only here 0, right only there 1" in line
    (different,) = (tmp_path / "GPT.rescored/disagreements.jsonl").read_text().splitlines()
    assert json.loads(different)["response"] == "I refuse"


def test_an_answer_to_an_unknown_problem_is_named(shared_data: Path, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": "99999", "response": "5"}])
    with pytest.raises(ValueError, match="1 of 1 answered problems are not there, first '99999'"):
        run(path, "mathv", data=str(shared_data / "mathvision"), benchmark="mathvision_mini")


def test_mathvista_has_everything_in_the_file(shared_data: Path, tmp_path: Path) -> None:
    annotations = json.loads((shared_data / "mathvista/testmini.json").read_text("utf-8"))
    dump = {}
    for pid, answer, label in (("1", "d = 1.23", True), ("2", "1000 g", True), ("3", "(C)", False)):
        dump[pid] = annotations[pid] | {"response": answer, "true_false": label}
    dump["4"] = annotations["4"] | {"error": "timeout"}
    path = tmp_path / "output_bard.json"
    path.write_text(json.dumps(dump))
    line, found = run(path, "mathvista", out=tmp_path / "out")
    assert [row["outcome"] for row in found] == ["correct", "correct", "correct", "unparsed"]
    assert "3 of 4 right (75.0%), published 66.7%" in line
    assert "right only here 1, right only there 0" in line


VLM_ROWS = [
    {
        "index": "1",
        "question": "2+2?",
        "answer": "B",
        "A": "3",
        "B": "4",
        "prediction": "B. 4",
        "hit": "1",
    },
    {
        "index": "2",
        "question": "x?",
        "answer": "0.5",
        "A": "",
        "B": "",
        "prediction": "\\boxed{1/2}",
        "hit": "0",
    },
    {"index": "3", "question": "y?", "answer": "7", "A": "", "B": "", "prediction": "", "hit": ""},
]


def write_xlsx(path: Path, rows: list[dict[str, str]]) -> None:
    """Texts, empty cells and a number, with carriage returns escaped as pandas' writers do it."""
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(list(rows[0]))
    for row in rows:
        texts = [row[name].replace("\r", "_x000D_") or None for name in row]
        sheet.append([int(row["index"]), *texts[1:]])
    book.save(path)


def write_table(path: Path) -> None:
    if path.suffix == ".xlsx":
        write_xlsx(path, VLM_ROWS)
    elif path.suffix == ".json":
        path.write_text(json.dumps(VLM_ROWS))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(
                file, list(VLM_ROWS[0]), delimiter="\t" if path.suffix == ".tsv" else ","
            )
            writer.writeheader()
            writer.writerows(VLM_ROWS)


@pytest.mark.parametrize("suffix", [".xlsx", ".tsv", ".csv", ".json"])
def test_vlmevalkit_tables(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model_MathVerse{suffix}"
    write_table(path)
    line, found = run(path, "vlmevalkit", benchmark="mathverse")
    assert [row["outcome"] for row in found] == ["correct", "correct", "unparsed"]
    assert [row["label"] for row in found] == [True, False, None]
    assert "right only here 1, right only there 0" in line


@pytest.mark.parametrize(
    ("choices", "outcome"),
    [
        ("['135°', \"Tom's\", '145°']", "correct"),
        ('["135°", "140°", "145°"]', "correct"),
        ("[]", "incorrect"),
        ("['135°', ", "incorrect"),
        ("[__import__('os')]", "incorrect"),
    ],
)
def test_vlmevalkit_writes_options_as_one_list(choices: str, outcome: str, tmp_path: Path) -> None:
    """MathVista's table: the gold as a letter, the options as a Python list in one cell."""
    row = {"index": "1", "question": "?", "answer": "145°", "answer_option": "C"}
    path = tmp_path / "a.json"
    path.write_text(json.dumps([row | {"choices": choices, "prediction": "\\boxed{145}"}]))
    _, (found,) = run(path, "vlmevalkit", benchmark="mathvista")
    assert found["outcome"] == outcome


def test_a_spreadsheet_keeps_gaps_and_escapes(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    row = {"index": "1", "A": "", "answer": "3", "prediction": "x\ry <&> \\boxed{4}"}
    write_xlsx(path, [row, row | {"index": "2", "prediction": ""}])
    first, second = FORMATS["vlmevalkit"].read(path)
    assert (first.problem, first.answer, first.response) == ("1", "3", row["prediction"])
    assert (second.problem, second.response) == ("2", "")


def test_a_sheet_that_states_a_wrong_size_is_read_whole(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "a.xlsx", VLM_ROWS)
    with zipfile.ZipFile(tmp_path / "a.xlsx") as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    name = "xl/worksheets/sheet1.xml"
    stated = b'<dimension ref="A1:G4"'
    assert stated in parts[name]
    parts[name] = parts[name].replace(stated, b'<dimension ref="A1:B2"')
    with zipfile.ZipFile(tmp_path / "b.xlsx", "w") as small:
        for part, data in parts.items():
            small.writestr(part, data)
    read = FORMATS["vlmevalkit"].read
    assert list(read(tmp_path / "b.xlsx")) == list(read(tmp_path / "a.xlsx"))
    assert len(list(read(tmp_path / "b.xlsx"))) == 3


def test_a_spreadsheet_without_openpyxl_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ValueError, match=r"pip install 'adora-mm\[dumps\]'"):
        list(FORMATS["vlmevalkit"].read(tmp_path / "a.xlsx"))


EMPTY_ZIP = b"PK\x05\x06" + bytes(18)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"index\tprediction", EMPTY_ZIP])
def test_a_file_that_is_no_spreadsheet(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"not a readable \.xlsx file"):
        list(FORMATS["vlmevalkit"].read(path))


def test_qwen_math_has_several_samples(tmp_path: Path) -> None:
    row = {
        "idx": 0,
        "question": "?",
        "gt": "\\frac{1}{2}",
        "code": ["\\boxed{0.5}", "\\boxed{2}"],
        "score": [True, False],
    }
    line, found = run(lines(tmp_path / "a.jsonl", [row]), "qwen-math")
    assert [row["outcome"] for row in found] == ["correct", "incorrect"]
    assert "agreement 100.0%" in line


@pytest.mark.parametrize(
    ("name", "content", "form", "message"),
    [
        ("a.jsonl", "[1]\n", "mathv", "row 1: not a JSON object"),
        ("a.jsonl", '{"response": "5"}\n', "mathv", "row 1: no 'id'"),
        ("a.jsonl", "", "mathv", "holds no answers"),
        ("a.json", "[]", "mathvista", "expected an object of problems"),
        ("a.jsonl", '{"id": ' + "[" * 100_000 + "\n", "mathv", "row 1: not JSON"),
        ("a.json", "{", "mathvista", "not JSON"),
        ("a.json", '{"1": []}', "mathvista", "key '1': not an object"),
        ("a.json", '{"1": {"choices": "AB"}}', "mathvista", "'choices' is not a list"),
        ("a.json", "{", "vlmevalkit", "not JSON"),
        ("a.json", "{}", "vlmevalkit", "expected a list of rows"),
        ("a.json", "[1]", "vlmevalkit", "row 1: not an object"),
        ("a.tsv", "index\tanswer\n1\t2\n", "vlmevalkit", "no column 'prediction'"),
        ("a.csv", "index,prediction\n1,2\n", "vlmevalkit", "row 2: no 'answer'; columns: index"),
        ("a.csv", 'index,prediction\n1,"2"\rx', "vlmevalkit", "row 2: no 'answer'"),
        ("a.pkl", "x", "vlmevalkit", "a pickle runs code: never"),
        ("a.jsonl", '{"idx": 1}\n', "qwen-math", "a list 'code' and a gold 'gt'"),
        ("a.jsonl", "", "lmms", "there are: mathv: "),
    ],
)
def test_unusable_files_are_one_clear_line(
    name: str, content: str, form: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        run(path, form, benchmark="mathverse")


def test_a_table_in_another_encoding_is_named_with_the_line(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("index,answer,prediction\n1,2,3\n2,3,120\u00b0\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"a\.csv, line \d: not readable .*utf-8"):
        run(path, "vlmevalkit", benchmark="mathverse")


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("index,answer,prediction\n1,2,\\boxed{2}\n", encoding="utf-8-sig")
    _, (found,) = run(path, "vlmevalkit", benchmark="mathverse")
    assert (found["id"], found["outcome"]) == ("1#0", "correct")


def test_an_answer_that_looks_like_a_formula_keeps_its_text(tmp_path: Path) -> None:
    write_xlsx(tmp_path / "a.xlsx", [VLM_ROWS[1] | {"prediction": "= 1/2, so \\boxed{0.5}"}])
    (row,) = FORMATS["vlmevalkit"].read(tmp_path / "a.xlsx")
    assert row.response == "= 1/2, so \\boxed{0.5}"


HOSTILE = [
    "\ud800\x00\u202e</script>",
    "=cmd|'/c calc'!A1",
    "\\boxed{" * 5000,
    "9**9**9**9",
    "__import__('os').system('touch {here}/ran')",
    "\\boxed{\\input{/etc/passwd}}",
    "\r\n\u2028",
]


def test_hostile_answers_are_answers(tmp_path: Path) -> None:
    """Nothing runs, every answer gets a row, and lines stay lines."""
    texts = [text.replace("{here}", str(tmp_path)) for text in HOSTILE]
    rows = [
        {"idx": str(i), "question": text, "gt": gold, "code": [text], "score": [True]}
        for i, (text, gold) in enumerate([*((t, "4") for t in texts), *(("4", t) for t in texts)])
    ]
    line, found = run(lines(tmp_path / "a.jsonl", rows), "qwen-math")
    assert [row["id"] for row in found] == [f"{i}#0" for i in range(len(rows))]
    assert not any(row["outcome"] == "correct" for row in found)
    assert line.startswith(f"a.jsonl: 0 of {len(rows)} right")
    assert not (tmp_path / "ran").exists()
    different = (tmp_path / "a.rescored/disagreements.jsonl").read_bytes().split(b"\n")
    assert len([json.loads(row) for row in different if row]) == len(rows)


@pytest.mark.parametrize("form", ["qwen-math", "vlmevalkit"])
def test_of_a_large_file_only_a_part_is_in_memory(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluation.rescore.ROWS_AT_ONCE", 20)
    count, text = 600, "so it goes " * 2_000 + "\\boxed{7}"
    path = tmp_path / ("a.jsonl" if form == "qwen-math" else "a.csv")
    with path.open("w") as file:
        file.write("" if form == "qwen-math" else "index,answer,prediction\n")
        for i in range(count):
            row = {"idx": i, "gt": "7", "code": [text]}
            file.write(json.dumps(row) + "\n" if form == "qwen-math" else f"{i},7,{text}\n")
    assert path.stat().st_size > 12_000_000
    run(lines(tmp_path / "warm.jsonl", [{"idx": 1, "gt": "7", "code": ["7"]}]), "qwen-math")
    tracemalloc.start()
    try:
        line, _ = run(path, form, benchmark="math500")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert f"{count} of {count} right" in line
    assert peak < 6_000_000


def test_vlmevalkit_needs_to_know_the_benchmark(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_table(path)
    with pytest.raises(ValueError, match="needs --benchmark"):
        run(path, "vlmevalkit")


def test_two_answers_to_one_sample_are_refused(shared_data: Path, tmp_path: Path) -> None:
    path = lines(tmp_path / "a.jsonl", [{"id": "4", "response": "5"}] * 2)
    with pytest.raises(ValueError, match="1 answers share the id"):
        run(path, "mathv", data=str(shared_data / "mathvision"), benchmark="mathvision_mini")


def test_every_format_says_what_it_reads() -> None:
    assert set(FORMATS) == {"mathv", "mathvista", "vlmevalkit", "qwen-math"}
    assert all(form.summary for form in FORMATS.values())
