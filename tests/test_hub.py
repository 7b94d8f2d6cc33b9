"""A model that is not there is one clear line before the run (these tests are offline)."""

from __future__ import annotations

from pathlib import Path

import pytest

from adora_mm.hub import check_model


def test_a_model_folder_is_fine(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    check_model(tmp_path)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("Qwen/No-Such-Model", ["hub cannot be reached", "policy.path=/models/No-Such-Model"]),
        ("/nowhere/model", ["no such folder"]),
        ("./model", ["no such folder"]),
        ("model", ["no such folder", "owner/model"]),
        ("owner/a model", ["no such folder", "owner/model"]),
    ],
)
def test_what_is_missing_and_what_to_do(path: str, parts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"^policy\.path=") as caught:
        check_model(path)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no config\.json"):
        check_model(tmp_path)
