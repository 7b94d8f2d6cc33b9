"""Data folders: whole or absent, the same bytes twice, and never somebody else's files."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from adora_mm.data import fingerprint, load_problems
from adora_mm.types import Problem
from data_prep.writer import Entry, write_folder

RED, BLUE = (255, 0, 0), (0, 0, 255)


def png(colour: tuple[int, int, int] = RED, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), colour).save(stream, form)
    return stream.getvalue()


def entry(number: int, *images: bytes, split: str = "train", **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "id": f"p{number}",
        "question": "Find x.",
        "answer": str(number),
        "source": "hand/made",
        "split": split,
    }
    return Entry(problem=Problem(**(fields | changes)), images=images)


def write(folder: Path, *entries: Entry, **options: Any) -> dict[str, Any]:
    fixed: dict[str, Any] = {"source": "hand", "licence": "MIT", "arguments": {"seed": 0}}
    return write_folder(folder, iter(entries), **(fixed | options))


def all_bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_a_folder_reads_back_as_the_problems_that_went_in(tmp_path: Path) -> None:
    sent = entry(
        1,
        png(RED),
        png(BLUE),
        question="Ünïcode \u2028 and \\angle",
        choices=("1", "2"),
        answer_type="choice",
        metadata={"steps": ["1+1=2"], "level": 2},
    )
    write(tmp_path / "out", sent)
    (back,) = load_problems(tmp_path / "out")
    for name in ("id", "question", "answer", "choices", "source", "split", "answer_type"):
        assert getattr(back, name) == getattr(sent.problem, name)
    assert back.metadata == sent.problem.metadata
    assert [path.read_bytes() for path in back.images] == [png(RED), png(BLUE)]


def test_the_manifest_says_what_is_inside(tmp_path: Path) -> None:
    entries = entry(1, png()), entry(2, split="val"), entry(3, source="hand/other")
    manifest = write(tmp_path / "out", *entries, dropped={"no answer": 2})
    assert json.loads((tmp_path / "out/manifest.json").read_text()) == manifest
    assert manifest["format_version"] == 1
    assert (manifest["source"], manifest["licence"]) == ("hand", "MIT")
    assert manifest["arguments"] == {"seed": 0}
    assert (manifest["problems"], manifest["images"]) == (3, 1)
    assert manifest["splits"] == {"train": 2, "val": 1}
    assert manifest["sources"] == {"hand/made": 2, "hand/other": 1}
    assert manifest["dropped"] == {"no answer": 2}
    content = (tmp_path / "out/problems.jsonl").read_bytes()
    assert manifest["problems_sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["fingerprint"] == fingerprint(load_problems(tmp_path / "out"))


def test_dropped_counts_are_read_after_the_last_entry(tmp_path: Path) -> None:
    dropped: Counter[str] = Counter()

    def entries() -> Iterator[Entry]:
        dropped["bad image"] += 1
        yield entry(1)
        dropped["bad image"] += 1

    arguments: dict[str, Any] = {"source": "hand", "licence": "MIT", "arguments": {}}
    manifest = write_folder(tmp_path / "out", entries(), dropped=dropped, **arguments)
    assert manifest["dropped"] == {"bad image": 2}


def test_images_are_stored_once_unchanged_under_their_hash(tmp_path: Path) -> None:
    write(tmp_path / "out", entry(1, png()), entry(2, png(), png(BLUE, "JPEG")))
    expected = {
        hashlib.sha256(png()).hexdigest()[:16] + ".png": png(),
        hashlib.sha256(png(BLUE, "JPEG")).hexdigest()[:16] + ".jpg": png(BLUE, "JPEG"),
    }
    assert all_bytes(tmp_path / "out" / "images") == expected


@pytest.mark.parametrize(
    ("form", "extension"),
    [
        ("PNG", "png"),
        ("JPEG", "jpg"),
        ("GIF", "gif"),
        ("BMP", "bmp"),
        ("TIFF", "tif"),
        ("WEBP", "webp"),
    ],
)
def test_the_extension_follows_the_content(tmp_path: Path, form: str, extension: str) -> None:
    write(tmp_path / "out", entry(1, png(form=form)))
    assert [path.suffix for path in (tmp_path / "out/images").iterdir()] == [f".{extension}"]


def test_a_second_run_writes_the_same_bytes_elsewhere(tmp_path: Path) -> None:
    entries = entry(1, png()), entry(2, png(BLUE), metadata={"b": 1, "a": 2})
    write(tmp_path / "one", *entries, arguments={"a": 1, "b": 2})
    write(tmp_path / "two", *entries, arguments={"b": 2, "a": 1})
    assert all_bytes(tmp_path / "one") == all_bytes(tmp_path / "two")


def test_a_finished_identical_folder_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = write(folder, entry(1, png()))
    before = (folder.stat().st_ino, (folder / "manifest.json").stat().st_mtime_ns)
    assert write(folder, entry(1, png())) == first
    assert before == (folder.stat().st_ino, (folder / "manifest.json").stat().st_mtime_ns)
    assert os.listdir(tmp_path) == ["out"]


def test_other_content_or_arguments_are_refused_unless_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(folder, entry(1, png()))
    before = all_bytes(folder)
    with pytest.raises(ValueError, match=r"different content.*--overwrite"):
        write(folder, entry(2))
    with pytest.raises(ValueError, match=r"seed 0 there, 1 now.*--overwrite"):
        write(folder, entry(1, png()), arguments={"seed": 1})
    assert all_bytes(folder) == before
    write(folder, entry(2), overwrite=True)
    assert [problem.id for problem in load_problems(folder)] == ["p2"]
    assert os.listdir(tmp_path) == ["out"]


def test_an_image_lost_from_a_finished_folder_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(folder, entry(1, png()))
    next((folder / "images").iterdir()).unlink()
    with pytest.raises(ValueError, match="different content"):
        write(folder, entry(1, png()))
    write(folder, entry(1, png()), overwrite=True)
    assert len(list((folder / "images").iterdir())) == 1


def test_an_empty_folder_is_filled_and_an_unfinished_one_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "empty", entry(1))
    (tmp_path / "half").mkdir()
    (tmp_path / "half/problems.jsonl").write_text("")
    with pytest.raises(ValueError, match=r"unfinished \(no manifest.json\)"):
        write(tmp_path / "half", entry(1))
    write(tmp_path / "half", entry(1), overwrite=True)


def test_foreign_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match=r"thesis\.tex.*never replaced"):
        write(tmp_path, entry(1), overwrite=True)
    with pytest.raises(ValueError, match="is not a folder"):
        write(tmp_path / "thesis.tex", entry(1), overwrite=True)
    assert os.listdir(tmp_path) == ["thesis.tex"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (entry(1), "'p1' is empty or used twice"),
        (entry(2, id=""), "'' is empty or used twice"),
        (entry(2, b"no image at all"), "'p2': image of 15 bytes is not PNG"),
        (entry(2, images=(Path("x.png"),)), "'p2' carries image paths"),
        (entry(2, metadata={"x": {1, 2}}), "'p2' cannot be written as JSON"),
        (entry(2, metadata={"x": float("nan")}), "'p2' cannot be written as JSON"),
        (entry(2, question="half a pair \ud800"), "'p2' cannot be written as JSON"),
    ],
)
def test_a_bad_entry_is_named_and_leaves_nothing(tmp_path: Path, bad: Entry, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "out", entry(1, png()), bad)
    assert os.listdir(tmp_path) == []


def test_no_entries_and_unspeakable_arguments_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no problems to write"):
        write(tmp_path / "out")
    with pytest.raises(ValueError, match="arguments must be JSON values"):
        write(tmp_path / "out", entry(1), arguments={"path": Path("x")})
    assert os.listdir(tmp_path) == []


def test_a_failing_source_leaves_an_old_folder_as_it_was(tmp_path: Path) -> None:
    write(tmp_path / "out", entry(1))
    before = all_bytes(tmp_path / "out")

    def entries() -> Iterator[Entry]:
        yield entry(2)
        raise RuntimeError("the disk of the source died")

    with pytest.raises(RuntimeError, match="disk"):
        write_folder(
            tmp_path / "out", entries(), source="s", licence="l", arguments={}, overwrite=True
        )
    assert all_bytes(tmp_path / "out") == before
    assert os.listdir(tmp_path) == ["out"]


KILLED = """
import sys, time
from pathlib import Path
from adora_mm.types import Problem
from data_prep.writer import Entry, write_folder

def entries():
    yield Entry(problem=Problem(id="p1", question="q", answer="1"))
    print("writing", flush=True)
    time.sleep(60)

write_folder(Path(sys.argv[1]), entries(), source="s", licence="l", arguments={})
"""


def test_a_killed_run_leaves_nothing_finished_and_no_lock(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, str(tmp_path / "out")]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
        with pytest.raises(ValueError, match="another run is writing it now"):
            write(tmp_path / "out", entry(1))
        process.send_signal(signal.SIGKILL)
    assert os.listdir(tmp_path) == [".out.partial"]
    write(tmp_path / "out", entry(7))
    assert [problem.id for problem in load_problems(tmp_path / "out")] == ["p7"]
    assert os.listdir(tmp_path) == ["out"]


def test_entries_are_not_kept_in_memory(tmp_path: Path) -> None:
    alive: list[int] = []

    class Bytes(bytes):
        def __del__(self) -> None:
            alive.append(len(self))

    def entries() -> Iterator[Entry]:
        for number in range(5):
            assert len(alive) >= number - 1  # at most the one in hand, and the one before it
            yield entry(number, Bytes(png((number, 0, 0))))

    write_folder(tmp_path / "out", entries(), source="s", licence="l", arguments={})


def test_memory_does_not_grow_with_the_pictures(tmp_path: Path) -> None:
    """60 pictures of 300 kB pass through; at most a few of them are held at a time."""

    def entries() -> Iterator[Entry]:
        for number in range(60):
            noise = random.Random(number).randbytes(300 * 333)
            picture = Image.frombytes("RGB", (300, 111), noise)
            stream = io.BytesIO()
            picture.save(stream, "BMP")
            yield entry(number, stream.getvalue() + noise * 2)

    tracemalloc.start()
    try:
        manifest = write_folder(
            tmp_path / "out", entries(), source="hand", licence="MIT", arguments={}
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert manifest["images"] == 60
    written = sum(path.stat().st_size for path in (tmp_path / "out/images").iterdir())
    assert written > 17_000_000
    assert peak < 4_000_000
