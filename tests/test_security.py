"""What strangers may send: model folders with code, hub names, texts. And what must stay here.

Beside these: nothing is evaluated and nothing unpickled (tests/test_architecture.py), hostile
answers and texts (tests/verify/test_checker_safety.py, tests/report), the served report on loopback
(tests/report/test_report_live.py), the trackers (tests/metrics/test_trackers.py).
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
from pathlib import Path

import pytest

from adora_mm import peers
from adora_mm.cli import main
from adora_mm.config import load_config
from adora_mm.models import policy_path
from data_prep.synthetic import write_synthetic

ROOT = Path(__file__).resolve().parents[1]
SECRETS = {
    "HF_TOKEN": "hf_AbCdEfGhIjKlMnOpQrStUvWxYz",
    "WANDB_API_KEY": "0123456789abcdef0123456789abcdef01234567",
}


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A short run of the embedded policy in a folder of its own."""
    data = tmp_path / "data"
    write_synthetic(
        data, counts={"train": 4, "val": 2}, seed=0, families=["linear_pair"], image_px=140
    )
    return [
        "geo3k_tiny", f"run_dir={tmp_path}/runs", "name=r", f"data.train={data}@train",
        f"data.val={data}@val", "train.total_steps=1", "rollout.prompts_per_step=2",
        "rollout.group_size=2", "rollout.max_new_tokens=4", "train.prompts_per_minibatch=2",
        "evaluation.samples=0",
    ]  # fmt: skip


def test_code_in_a_model_folder_is_not_run(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A `config.json` may name classes in files beside it, for those who trust them."""
    model, marker = tmp_path / "model", tmp_path / "was-run"
    shutil.copytree(policy_path("embedded"), model)
    (model / "evil.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Evil: pass\n")
    names = ("AutoConfig", "AutoModelForCausalLM", "AutoTokenizer", "AutoImageProcessor")
    config = json.loads((model / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": dict.fromkeys(names, "evil.Evil")}
    (model / "config.json").write_text(json.dumps(config))
    assert main(["train", *words, f"policy.path={model}"]) == 2
    assert "contains custom code" in capsys.readouterr().err
    assert not marker.exists()


def test_no_loader_is_left_to_ask_whether_code_is_trusted() -> None:
    """Without the word, transformers asks on a terminal; nothing here may answer yes."""
    loaders = 0
    for path in (
        p for name in ("adora_mm", "data_prep", "evaluation") for p in (ROOT / name).rglob("*.py")
    ):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            given = {word.arg: ast.unparse(word.value) for word in node.keywords}
            assert given.get("trust_remote_code", "False") == "False", path
            if ast.unparse(node.func).endswith(".from_pretrained"):
                loaders += 1
                assert "trust_remote_code" in given, f"{path}:{node.lineno}"
    assert loaders >= 5


def test_no_secret_of_the_environment_is_written(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    assert main(["train", *words]) == 0
    shown = "".join(capfd.readouterr())
    files = [path for path in (tmp_path / "runs").rglob("*") if path.is_file()]
    assert {"run.json", "report.html", "metrics.jsonl", "config.yaml"} <= {f.name for f in files}
    for value in SECRETS.values():
        assert value not in shown
        assert [path for path in files if value.encode() in path.read_bytes()] == []


def test_a_recipe_has_no_place_for_a_secret() -> None:
    """So neither config.yaml nor a tracker can get one: keys are read where libraries keep them."""
    text = json.dumps(load_config("geo3k_tiny", []).model_dump(mode="json")).lower()
    keys = [word for word in ("api_key", "password", "secret", "hf_token") if word in text]
    assert keys == []


def test_ranks_of_one_machine_talk_on_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def listen(address: tuple[str, int], **_: object) -> socket.socket:
        asked.append(address[0])
        raise OSError("not in this test")

    monkeypatch.setattr(peers.socket, "create_server", listen)
    monkeypatch.setattr(peers.distributed, "place", lambda: (0, 2))
    monkeypatch.setattr(peers.distributed, "broadcast", lambda value: value)
    monkeypatch.setitem(os.environ, "WORLD_SIZE", "2")
    monkeypatch.setitem(os.environ, "LOCAL_WORLD_SIZE", "2")
    monkeypatch.setitem(os.environ, "MASTER_ADDR", "10.0.0.1")
    assert peers.connect() is None
    monkeypatch.setitem(os.environ, "LOCAL_WORLD_SIZE", "1")  # another machine's rank must reach it
    assert peers.connect() is None
    assert asked == ["127.0.0.1", ""]  # all addresses, and only for whoever knows the secret
