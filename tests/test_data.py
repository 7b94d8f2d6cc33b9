"""Data folders and `.jsonl` files: what loads, what is refused and how it is named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adora_mm.data import ImageError, fingerprint, load_problems
from adora_mm.types import Problem


def row(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {"id": f"p{number}", "question": "Find x.", "answer": "3", "split": "train"} | changes


def jsonl(folder: Path, *rows: dict[str, Any] | str) -> Path:
    file = folder / "set.jsonl"
    file.write_text("".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in rows))
    return file


def ids(items: list[Problem]) -> list[str]:
    return [problem.id for problem in items]


def test_a_jsonl_file_needs_only_id_question_and_answer(tmp_path: Path) -> None:
    file = jsonl(
        tmp_path, {"id": "a", "question": "q", "answer": "1"}, "", row(2, images=["b/c.png"])
    )
    first, second = load_problems(file)
    assert (first.images, first.choices, first.split, first.metadata) == ((), (), "", {})
    assert second.images == (tmp_path / "b" / "c.png",)
    assert second.images[0].is_absolute()


def test_split_limit_and_the_at_suffix(tmp_path: Path) -> None:
    file = jsonl(tmp_path, row(1), row(2, split="val"), row(3), row(4))
    assert ids(load_problems(file, split="train")) == ["p1", "p3", "p4"]
    assert ids(load_problems(f"{file}@train", limit=2)) == ["p1", "p3"]
    assert ids(load_problems(f"{file}@val", split="val")) == ["p2"]
    assert len(load_problems(file)) == 4
    with pytest.raises(
        ValueError, match=r"no problems in split 'test'; splits there: 'train', 'val'"
    ):
        load_problems(file, split="test")
    with pytest.raises(ValueError, match="names split 'val'"):
        load_problems(f"{file}@val", split="train")
    with pytest.raises(ValueError, match="limit must be at least 1"):
        load_problems(file, limit=0)


def test_a_folder_with_an_at_sign_in_its_name_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a@b").mkdir()
    file = jsonl(tmp_path / "a@b", row(1))
    assert ids(load_problems(f"{file}@train")) == ["p1"]
    assert ids(load_problems(file)) == ["p1"]


def test_a_folder_needs_its_manifest_and_unchanged_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such data folder"):
        load_problems(tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match=r"incomplete folder: no manifest\.json; run adora prep again"
    ):
        load_problems(tmp_path)
    manifest = tmp_path / "manifest.json"
    for text in ("half a mani", "[]", "{}"):
        manifest.write_text(text)
        with pytest.raises(ValueError, match="not a manifest"):
            load_problems(tmp_path)
    manifest.write_text('{"format_version": 99, "problems_sha256": ""}')
    with pytest.raises(ValueError, match="has format 99, this release reads 1"):
        load_problems(tmp_path)
    (tmp_path / "problems.jsonl").write_text(json.dumps(row(1)))
    manifest.write_text('{"format_version": 1, "problems_sha256": "0000"}')
    with pytest.raises(ValueError, match="missing or changed since the manifest"):
        load_problems(tmp_path)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("{'id': 1}", "row 2: not JSON"),
        ("[1]", "row 2: not a JSON object"),
        ("[" * 100_000, "row 2: not JSON"),
        ({"id": "x", "question": "q"}, "row 2: 'answer' must be a non-empty string, not None"),
        (row(2, id=7), "row 2: 'id' must be a non-empty string, not 7"),
        (row(2, question="  "), "row 2: 'question' must be a non-empty string"),
        (row(2, split=None), "row 2: 'split' must be a string"),
        (row(2, choices="ABC"), "row 2: 'choices' must be a list of strings"),
        (row(2, choices=[1]), "row 2: 'choices' must be a string, not 1"),
        (row(2, metadata=[]), "row 2: 'metadata' must be an object"),
        (row(2, image="a.png"), "row 2: unknown field 'image'; put extra values under 'metadata'"),
        ('{"id": "a", "question": "q", "answer": "1", "metadata": {"x": NaN}}', "NaN is not JSON"),
        (row(2, images=["../x.png"]), "row 2: image path '../x.png' must stay inside"),
        (row(2, images=["a/../../x.png"]), "must stay inside"),
        (row(2, images=["/etc/passwd"]), "must stay inside"),
        (row(2, images=[""]), "must stay inside"),
        (row(1), "row 2: id 'p1' was used in row 1"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, bad: dict[str, Any] | str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        load_problems(jsonl(tmp_path, row(1), bad))
    assert "set.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_empty_file_and_broken_text_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no problems"):
        load_problems(jsonl(tmp_path))
    (tmp_path / "set.jsonl").write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(ValueError, match="row 1: not JSON"):
        load_problems(tmp_path / "set.jsonl")


def test_the_fingerprint_follows_content_and_order_not_places(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8), "red").save(tmp_path / name / f"{name}.png")
        jsonl(tmp_path / name, row(1, images=[f"{name}.png"]), row(2))
    one, two = (load_problems(tmp_path / name / "set.jsonl") for name in ("one", "two"))
    assert fingerprint(one) == fingerprint(two)
    assert fingerprint(one) != fingerprint(one[::-1])
    Image.new("RGB", (8, 8), "blue").save(tmp_path / "two" / "two.png")
    assert fingerprint(one) != fingerprint(two)
    (tmp_path / "two" / "two.png").unlink()
    with pytest.raises(ImageError, match="'p1'"):
        fingerprint(two)
