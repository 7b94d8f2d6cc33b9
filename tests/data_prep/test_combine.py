"""Mixing, splitting by family, and filtering: shares, families that never cross, pass rates."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_files import png

from adora_mm.data import fingerprint, load_problems
from adora_mm.types import Problem
from data_prep import cli
from data_prep.grouping import deal, families
from data_prep.pass_rates import Rates, load_rates, stages_of
from data_prep.writer import Entry, write_folder


def problem(number: int, **changes: Any) -> Problem:
    fields: dict[str, Any] = {
        "id": f"p{number}",
        "question": f"Question {number}?",
        "answer": str(number),
        "source": "sums",
        "split": "train",
    }
    return Problem(**(fields | changes))


def write(folder: Path, *entries: Entry, licence: str = "MIT") -> Path:
    write_folder(folder, iter(entries), source=folder.name, licence=licence, arguments={})
    return folder


def numbered(folder: Path, ids: range, licence: str = "MIT") -> Path:
    entries = [Entry(problem=problem(n, source=folder.name), images=(png(ink=n),)) for n in ids]
    return write(folder, *entries, licence=licence)


def command(*words: object) -> int:
    return cli.main([str(word) for word in words])


def manifest(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return content


# --- mix -----------------------------------------------------------------------------------------


def test_a_mix_has_its_shares_pictures_and_origin(tmp_path: Path) -> None:
    one = numbered(tmp_path / "one", range(40))
    two = numbered(tmp_path / "two", range(100, 140), licence="CC0-1.0")
    out = tmp_path / "out"
    assert command("mix", f"{one}=3", f"{two}@train=1", "--size", "40", "--out", out) == 0
    mixed = load_problems(out)
    assert Counter(p.source for p in mixed) == {"one": 30, "two": 10}
    for each in mixed:
        assert each.images[0].read_bytes() == png(ink=int(each.id[1:]))
    said = manifest(out)
    assert (said["source"], said["licence"]) == ("mix", "MIT; CC0-1.0")
    assert said["arguments"]["sets"] == [
        {"set": "one", "fingerprint": manifest(one)["fingerprint"]},
        {"set": "two@train", "fingerprint": manifest(two)["fingerprint"]},
    ]
    assert str(tmp_path) not in (out / "manifest.json").read_text()


def test_a_mix_is_the_same_for_the_same_seed(tmp_path: Path) -> None:
    sets = [numbered(tmp_path / "one", range(9)), numbered(tmp_path / "two", range(50, 59))]
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert command("mix", *sets, "--seed", seed, "--out", tmp_path / name) == 0
    ids = {name: [p.id for p in load_problems(tmp_path / name)] for name in "abc"}
    assert ids["a"] == ids["b"] != ids["c"]
    assert sorted(ids["a"]) == sorted(ids["c"])


# --- families ------------------------------------------------------------------------------------


def test_families_join_by_any_key(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "set",
        Entry(problem=problem(1, question="Add 1 and 2."), images=(png(ink=1),)),
        Entry(problem=problem(2, question="Add 5 and 7."), images=(png(ink=2),)),
        Entry(problem=problem(3, question="Find x."), images=(png(ink=2),)),
        Entry(problem=problem(4, question="Find y."), images=(png(ink=3),)),
        Entry(problem=problem(5, question="Find z.", metadata={"base": 4})),
        Entry(problem=problem(6, question="Find w.", metadata={"base": 4})),
    )
    problems = load_problems(folder)
    assert families(problems, ["wording"]) == [[0, 1], [2], [3], [4], [5]]
    assert families(problems, ["picture"]) == [[0], [1, 2], [3], [4], [5]]
    assert families(problems, ["wording", "picture"]) == [[0, 1, 2], [3], [4], [5]]
    assert families(problems, ["metadata.base"]) == [[0], [1], [2], [3], [4, 5]]
    assert families(problems, ["source"]) == [[0, 1, 2, 3, 4, 5]]
    with pytest.raises(ValueError, match="no key 'family'; keys: source, wording"):
        families(problems, ["family"])
    with pytest.raises(ValueError, match="no problem has metadata 'parent'"):
        families(problems, ["metadata.parent"])


@given(
    sizes=st.lists(st.integers(1, 12), min_size=3, max_size=60),
    shares=st.sampled_from([{"train": 0.8, "val": 0.1, "test": 0.1}, {"a": 0.5, "b": 0.5}]),
    seed=st.integers(0, 99),
)
def test_dealing_gives_every_family_one_side_and_every_side_a_family(
    sizes: list[int], shares: dict[str, float], seed: int
) -> None:
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    groups = [list(range(s, s + size)) for s, size in zip(starts, sizes, strict=True)]
    dealt = deal(groups, shares, seed)
    assert sorted(dealt) == list(range(sum(sizes)))
    assert all(len({dealt[index] for index in group}) == 1 for group in groups)
    counts = Counter(dealt.values())
    assert set(counts) == set(shares)
    if len(sizes) >= 10:
        for name, share in shares.items():
            assert abs(counts[name] - share * sum(sizes)) <= max(sizes)
    assert dealt == deal(groups, shares, seed)


def test_split_keeps_synthetic_families_apart(tmp_path: Path) -> None:
    words = ["--count", "train=30", "--image-px", "112", "--seed", "1"]
    assert command("synthetic", "--out", tmp_path / "syn", *words) == 0
    shares = ["--shares", "train=0.6", "val=0.2", "test=0.2", "--by", "metadata.family"]
    assert command("split", tmp_path / "syn", *shares, "--out", tmp_path / "out") == 0
    problems = load_problems(tmp_path / "out")
    sides: dict[str, set[str]] = {}
    for each in problems:
        sides.setdefault(each.metadata["family"], set()).add(each.split)
    assert len(problems) == 30
    assert {len(splits) for splits in sides.values()} == {1}
    assert {each.split for each in problems} == {"train", "val", "test"}
    assert manifest(tmp_path / "out")["arguments"]["families"] == len(sides)


# --- pass rates ----------------------------------------------------------------------------------


def rates_file(file: Path, rates: dict[int, int]) -> Path:
    rows = [{"id": f"p{number}", "n": 8, "correct": right} for number, right in rates.items()]
    lines = [{"settings": {"policy": "embedded"}}, *rows]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_a_band_of_pass_rates_is_kept_with_its_rates(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "set", range(6))
    rates = rates_file(tmp_path / "rates.jsonl", {0: 0, 1: 1, 2: 4, 3: 7, 4: 8, 5: 2})
    band = ("--rates", rates, "--min", "0.1", "--max", "0.9")
    assert command("filter", folder, *band, "--out", tmp_path / "out") == 0
    kept = load_problems(tmp_path / "out")
    assert [(p.id, p.metadata["pass_rate"]) for p in kept] == [
        ("p1", 0.125),
        ("p2", 0.5),
        ("p3", 0.875),
        ("p5", 0.25),
    ]
    said = manifest(tmp_path / "out")
    assert said["dropped"] == {"pass rate over 0.9": 1, "pass rate under 0.1": 1}
    assert said["arguments"]["rates"] == {"policy": "embedded"}


def test_stages_go_from_easy_to_hard(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "set", range(6))
    rates = rates_file(tmp_path / "rates.jsonl", {0: 0, 1: 1, 2: 4, 3: 7, 4: 8, 5: 2})
    words = ("--rates", rates, "--stages", "3", "--out", tmp_path / "out")
    assert command("filter", folder, *words) == 0
    assert [(p.id, p.split) for p in load_problems(tmp_path / "out")] == [
        ("p3", "stage1"),
        ("p4", "stage1"),
        ("p2", "stage2"),
        ("p5", "stage2"),
        ("p0", "stage3"),
        ("p1", "stage3"),
    ]


def test_stages_have_equal_sizes() -> None:
    problems = [problem(n) for n in range(10)]
    rates = Rates(settings={}, by_id={p.id: n / 10 for n, p in enumerate(problems)})
    for stages in range(1, 11):
        counts = Counter(stage for _, _, stage in stages_of(problems, rates, 0, 1, stages).kept)
        assert len(counts) == stages
        assert max(counts.values()) - min(counts.values()) <= 1
    with pytest.raises(ValueError, match="11 stages, but only 10 problems"):
        stages_of(problems, rates, 0, 1, 11)


def test_what_an_audit_blocks_is_dropped(tmp_path: Path) -> None:
    spoilt = Entry(problem=problem(3, answer="\\frac{"))
    folder = write(tmp_path / "set", Entry(problem=problem(1)), spoilt, Entry(problem=problem(2)))
    assert command("audit", folder) == 1
    words = ("--audit", tmp_path / "set.audit.json", "--out", tmp_path / "out")
    assert command("filter", folder, *words) == 0
    assert [p.id for p in load_problems(tmp_path / "out")] == ["p1", "p2"]
    assert manifest(tmp_path / "out")["dropped"] == {"unfit in the audit": 1}
    assert command("audit", tmp_path / "out") == 0
    assert manifest(tmp_path / "out")["fingerprint"] == fingerprint(load_problems(tmp_path / "out"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "rates.jsonl: empty"),
        ("{}\n", "rates.jsonl, row 1: not a row of pass rates"),
        ('{"settings": {}}\n{"id": "p1", "n": 0, "correct": 0}\n', "row 2: not a row"),
        ('{"settings": {}}\n{"id"', "row 2: not a row"),
    ],
)
def test_damaged_rates_are_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "rates.jsonl").write_text(content)
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        load_rates(tmp_path / "rates.jsonl")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["mix", "one=1", "two", "--out", "o"], "1 of 2 sets have a weight: give all or none"),
        (["mix", "one=x", "--out", "o"], "weights must be numbers"),
        (["mix", "one=1", "two=-1", "--out", "o"], "weights must be positive"),
        (["mix", "one", "one", "--out", "o"], "is in two of the data sets to mix"),
        (["mix", "one=1", "two=1", "--size", "9", "--out", "o"], "8 fit without repeating"),
        (["mix", "none", "--out", "o"], "none: no such data folder"),
        (["split", "one", "--shares", "a=0.5", "--out", "o"], "shares must be positive and sum"),
        (["split", "one", "--shares", "a=x", "--out", "o"], "--shares: could not convert"),
        (["split", "one", "--shares", "a=1", "--by", ",", "--out", "o"], "at least one key"),
        (
            ["split", "one", "--shares", "a=0.5", "b=0.5", "--by", "source", "--out", "o"],
            "1 families cannot fill 2 splits",
        ),
        (["filter", "one", "--out", "o"], "give --rates or --audit"),
        (["filter", "one", "--audit", "a.json", "--min", "0.1", "--out", "o"], "need --rates"),
        (["filter", "one", "--audit", "a.json", "--out", "o"], "a.json: no such file"),
        (["filter", "one", "--rates", "r", "--out", "o"], "r: no such file"),
        (["filter", "one", "--rates", "rates.jsonl", "--min", "2", "--out", "o"], "from 0 to 1"),
        (
            ["filter", "one", "--rates", "rates.jsonl", "--out", "o"],
            "2 of 4 problems have no pass rate, first 'p2'",
        ),
        (
            ["filter", "two", "--rates", "all.jsonl", "--min", "0.9", "--out", "o"],
            "nothing is left of two",
        ),
        (
            ["filter", "two", "--rates", "all.jsonl", "--min", "0.9", "--max", "0.1", "--out", "o"],
            "--min 0.9 is over --max 0.1",
        ),
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
    numbered(tmp_path / "one", range(4))
    numbered(tmp_path / "two", range(50, 54))
    rates_file(tmp_path / "rates.jsonl", {0: 1, 1: 2})
    rates_file(tmp_path / "all.jsonl", dict.fromkeys(range(50, 54), 1))
    assert cli.main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error
    assert not (tmp_path / "o").exists()
