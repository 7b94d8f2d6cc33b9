"""The manifest: what makes two runs the same, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.manifest import identity, model_fingerprint, open_manifest, read_manifest

SETTINGS = {
    "benchmark": "gsm8k",
    "sampling": {"temperature": 0.0, "seed": 0},
    "model": {"path": "models/a", "sha256": "aa"},
    "git_revision": "1",
}


def test_the_same_settings_go_on(tmp_path: Path) -> None:
    first = open_manifest(tmp_path, SETTINGS)
    assert open_manifest(tmp_path, SETTINGS) == first
    assert identity(read_manifest(tmp_path)) == first


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        ({"sampling": {"temperature": 1.0, "seed": 0}}, "sampling.temperature = 0.0"),
        ({"sampling": {"temperature": 0.0}}, "sampling.seed = 0"),
        ({"model": {"path": "models/a", "sha256": "bb"}}, "model.sha256 = 'aa'"),
        ({"benchmark": "kk"}, "benchmark = 'gsm8k'"),
    ],
)
def test_other_settings_are_refused_by_name(
    tmp_path: Path, changed: dict[str, object], name: str
) -> None:
    open_manifest(tmp_path, SETTINGS)
    with pytest.raises(ValueError, match=f"was started with {name}.* choose another --out"):
        open_manifest(tmp_path, {**SETTINGS, **changed})


def test_where_things_lie_is_free(tmp_path: Path) -> None:
    first = open_manifest(tmp_path, SETTINGS)
    moved = {**SETTINGS, "model": {"path": "other/a", "sha256": "aa"}, "git_revision": "2"}
    assert open_manifest(tmp_path, moved) == first


def test_a_folder_with_results_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(ValueError, match="already holds results"):
        open_manifest(tmp_path, SETTINGS)


def test_no_run_and_another_version(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not an evaluation run"):
        read_manifest(tmp_path)
    open_manifest(tmp_path, SETTINGS)
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 99}))
    with pytest.raises(ValueError, match="version 99"):
        read_manifest(tmp_path)


def test_a_model_is_known_by_every_byte(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
        (tmp_path / name / "model.safetensors").write_bytes(b"\0" * 5_000_000)
    prints = [model_fingerprint(tmp_path / name)["sha256"] for name in ("a", "b")]
    assert prints[0] == prints[1]
    with (tmp_path / "b/model.safetensors").open("r+b") as file:
        file.seek(4_500_000)
        file.write(b"\1")
    assert model_fingerprint(tmp_path / "b")["sha256"] != prints[0]
    assert model_fingerprint("org/name") == {"path": "org/name", "name": "org/name", "sha256": None}
