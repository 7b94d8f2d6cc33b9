"""Several machines: two nodes of `node_fixtures` under the real launchers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from node_fixtures import Node, two_nodes
from run_fixtures import rows, write_run_folder
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

PORT = "29511"
# The entropy term moves the policy although a random one earns nothing.
RECIPE = """
policy: {{path: {root}/model}}
run_dir: runs
data: {{train: {root}/data@train, val: {root}/data@val, max_prompt_tokens: 300}}
rollout: {{prompts_per_step: 4, group_size: 2, max_new_tokens: 6}}
loss: {{entropy_coef: 0.1}}
train: {{total_steps: 2, prompts_per_minibatch: 2, groups_per_microbatch: 1, learning_rate: 1.0e-3}}
evaluation: {{every_steps: 0, samples: 0}}
checkpoint: {{every_steps: 0, keep_last: 1}}
logging: {{sample_every_steps: 1, report: false, tensorboard: false}}
engine: {{threads: 1, zero_stage: 3}}
"""
FAILING = """
import os, signal, sys
from adora_mm.engine import Engine

update, calls = Engine.update, []

def broken(self, minibatch):
    calls.append(1)
    if os.environ["RANK"] == "1" and len(calls) == 2:
        if sys.argv[1] == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("a.png: not an image")
    return update(self, minibatch)

Engine.update = broken
from adora_mm.cli import main
sys.exit(main(["train", sys.argv[2], "name=" + sys.argv[1]]))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("nodes")
    (folder / "failing.py").write_text(FAILING)
    for name in ("one", "node0", "node1"):
        (folder / name).mkdir()
    return write_run_folder(folder, RECIPE, families=("triangle_angle_sum",))


@pytest.fixture
def nodes() -> Iterator[tuple[Node, Node]]:
    with two_nodes() as both:
        yield both


def torchrun(node: Node, master: str) -> list[str]:
    """What configs/run_geo3k.sh calls on each machine."""
    place = ["--nnodes", "2", "--node_rank", str(node.rank), "--master_addr", master]
    return [sys.executable, "-m", "torch.distributed.run", *place, "--master_port", PORT,
            "--nproc_per_node", "1"]  # fmt: skip


def start(
    nodes: Sequence[Node], root: Path, words: Sequence[str], *, master: str = ""
) -> list[subprocess.Popen[str]]:
    master = master or nodes[0].address
    return [
        node.start([*torchrun(node, master), *words], folder=root / f"node{node.rank}")
        for node in nodes
    ]


def ends(processes: Sequence[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """Exit code and errors of each; what does not end in time is killed, and fails the test.

    The time is less than the half hour after which a collective call would end by itself.
    """
    try:
        return [(p.returncode, err) for p in processes for _, err in [p.communicate(timeout=400)]]
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def on_one_machine(root: Path) -> Path:
    """The same run as two ranks of one machine."""
    launcher = ["torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    words = ["-m", "adora_mm.cli", "train", str(root / "recipe.yaml"), "name=run"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, *words],
        cwd=root / "one", capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return root / "one"


def check_equal(root: Path, first: Path) -> None:
    """Rank 0's machine has the run of one machine, the other one has nothing."""
    assert rows(first, "run") == rows(root / "one", "run")
    assert all(row["optim/grad_norm"] > 0 for row in rows(first, "run"))
    last = "runs/run/checkpoints/step-000002/policy/model.safetensors"
    found, expected = load_file(first / last), load_file(root / "one" / last)
    assert all((found[name] == expected[name]).all() for name in expected)
    assert json.loads((first / "runs/run/run.json").read_text())["world_size"] == 2
    assert list((root / "node1").iterdir()) == []


def test_two_machines_train_like_one(
    root: Path, on_one_machine: Path, nodes: tuple[Node, Node]
) -> None:
    words = ["-m", "adora_mm.cli", "train", str(root / "recipe.yaml"), "name=run"]
    for code, error in ends(start(nodes, root, words)):
        assert code == 0, error[-3000:]
    check_equal(root, root / "node0")


def test_deepspeed_starts_them_without_ssh(
    root: Path, on_one_machine: Path, nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("node0 slots=1\nnode1 slots=1\n")
    launcher = [str(Path(sys.executable).with_name("deepspeed")), "--hostfile", str(hosts)]
    launcher += ["--no_ssh", "--master_addr", nodes[0].address, "--master_port", PORT]
    words = ["--module", "adora_mm.cli", "train", str(root / "recipe.yaml"), "name=run"]
    (tmp_path / "node0").mkdir()
    folders = (tmp_path / "node0", root / "node1")
    started = [
        node.start([*launcher, "--node_rank", str(node.rank), *words], folder=folder)
        for node, folder in zip(nodes, folders, strict=True)
    ]
    for code, error in ends(started):
        assert code == 0, error[-3000:]
    check_equal(root, tmp_path / "node0")


@pytest.mark.parametrize(
    ("how", "shown"),
    [("killed", "rank 1 is gone"), ("error", "rank 1 stopped: a.png: not an image")],
)
def test_both_launchers_end_with_the_first_error(
    root: Path, nodes: tuple[Node, Node], how: str, shown: str
) -> None:
    words = [str(root / "failing.py"), how, str(root / "recipe.yaml")]
    first, second = start(nodes, root, words)
    (code, own_error), (first_code, error) = ends([second, first])
    assert code != 0
    assert first_code != 0
    assert f"this rank ends because {shown}" in error
    if how == "error":
        assert "adora: error: a.png: not an image" in own_error
    assert list((root / "node1").iterdir()) == []


def test_a_machine_without_the_data_ends_both(root: Path, nodes: tuple[Node, Node]) -> None:
    nodes[1].hide(root / "data")
    words = ["-m", "adora_mm.cli", "train", str(root / "recipe.yaml"), "name=hidden"]
    for code, error in ends(start(nodes, root, words)):
        assert code != 0
        assert f"{root}/data/manifest.json: rank 0 on node0 sees it, rank 1 on node1 does" in error
    assert not (root / "node0/runs/hidden").exists()


def test_a_name_that_is_loopback_at_home_gets_a_line(
    root: Path, nodes: tuple[Node, Node], tmp_path: Path
) -> None:
    """As Debian and Ubuntu write /etc/hosts; gloo would wait there for half an hour."""
    for node, address in zip(nodes, ("127.0.1.1", nodes[0].address), strict=True):
        lines = f"127.0.0.1 localhost\n{address} node0\n"
        node.name_hosts(lines, tmp_path / f"hosts{node.rank}")
    words = ["-m", "adora_mm.cli", "train", str(root / "recipe.yaml")]
    first, second = start(nodes, root, words, master="node0")
    ((code, error),) = ends([first])
    assert code != 0
    assert "MASTER_ADDR=node0 is 127.0.1.1 on this machine" in error
    second.kill()
    second.communicate()
