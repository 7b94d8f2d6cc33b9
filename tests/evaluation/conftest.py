"""What the tests of this folder share: their `mock_endpoint` and a tiny model on disk."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory, one_thread: None) -> Path:
    """The folder of a random vision-language model with 64 hidden units and one layer."""
    from data_prep.tiny_model import build_model, build_tokenizer, save_folder

    folder = tmp_path_factory.mktemp("evaluation") / "model"
    tokenizer = build_tokenizer(["What is 1 + 1?"], vocab_size=280)
    tiny = build_model(
        tokenizer, hidden_size=64, num_layers=1, vision_hidden_size=64, vision_depth=1
    )
    save_folder(folder, tiny, tokenizer)
    return folder
