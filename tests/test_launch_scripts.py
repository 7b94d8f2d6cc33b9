"""The set-up and launch scripts, run for real in a copy with a stand-in Python, pip and nvidia-smi.

The stand-in Python writes down what it is asked to install and makes an `adora` command that prints
its arguments, so these tests see what a user's first and second call would do, in a second.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PYTHON = r"""#!/bin/bash
here="$(dirname "$0")"
log="$(cat "$here/log_path" 2>/dev/null)"
case "$*" in
  -c*) exit "${FAKE_TOO_OLD:-0}" ;;
  -V) echo "Python 3.11.0" ;;
  "-m venv --clear "*)
    mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && cp "$here/log_path" "$4/bin/log_path" ;;
  "-m pip --version") echo "pip 1" ;;
  "-m pip "*)
    echo "$*" >>"$log"
    sleep "${FAKE_PIP_SECONDS:-0}"
    [[ -z "${FAKE_PIP_FAILS:-}" ]] || exit 1
    printf '#!/bin/bash\necho "RUN $*"\n' >"$here/adora" && chmod +x "$here/adora" ;;
  "-m torch.distributed.run "*) echo "TORCHRUN $*" ;;
esac
"""
SRUN = r"""#!/bin/bash
shift  # --kill-on-bad-exit=1
echo "CORES ${SRUN_CPUS_PER_TASK:-1}"
for id in $(seq 0 $((SLURM_JOB_NUM_NODES - 1))); do SLURM_NODEID=$id "$@" || exit 1; done
"""
SCONTROL = r"""#!/bin/bash
[[ "$*" == "show hostnames gpu[07-08]" ]] && echo gpu07 && sleep 0.2 && echo gpu08
"""
SMI = '#!/bin/bash\nfor i in $(seq "${FAKE_GPUS:-0}"); do echo "GPU $i: Fake"; done\n'


@dataclass(frozen=True)
class Sandbox:
    """A copy of the scripts in a folder with a space in its name."""

    root: Path
    tools: Path

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        base = {"PATH": f"{self.tools}:/usr/bin:/bin", "PYTHON": str(self.tools / "python3")}
        return subprocess.Popen(
            ["bash", str(self.root / words[0]), *words[1:]],
            cwd=self.tools,  # never the repository: scripts must find it themselves
            env=base | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str, **env: str) -> tuple[int, str, str]:
        process = self.start(*words, **env)
        out, err = process.communicate(timeout=100)
        return process.returncode, out, err

    def ran(self, *words: str, **env: str) -> str:
        """The command that run_geo3k.sh ends in, without the paths in front."""
        code, out, err = self.call("configs/run_geo3k.sh", *words, **env)
        assert code == 0, err
        return out.strip().replace(f"{self.root}/", "")

    def installs(self) -> list[str]:
        log = self.tools / "pip.log"
        lines = log.read_text().splitlines() if log.exists() else []
        return [
            line.partition("install --quiet ")[2].replace(f"{self.root}/", "") for line in lines
        ]


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    root, tools = tmp_path / "a checkout", tmp_path / "tools"
    tools.mkdir()
    for folder in ("configs", "requirements"):
        shutil.copytree(ROOT / folder, root / folder)
    for name in ("pyproject.toml", "setup.py"):
        shutil.copy(ROOT / name, root)
    stand_ins = {"python3": PYTHON, "nvidia-smi": SMI, "srun": SRUN, "scontrol": SCONTROL}
    for name, text in stand_ins.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (tools / "log_path").write_text(str(tools / "pip.log"))
    return Sandbox(root, tools)


# ---------------------------------------------------------------------------------- set-up


def test_the_first_call_installs_and_the_second_does_nothing(sandbox: Sandbox) -> None:
    assert sandbox.call("configs/setup.sh")[0] == 0
    first = sandbox.installs()
    assert first[0] == "-r requirements/cpu.txt"
    assert first[1].startswith("--no-deps --no-build-isolation --editable")
    assert sandbox.call("configs/setup.sh")[0] == 0
    assert sandbox.installs() == first


@pytest.mark.parametrize("changed", ["requirements/cpu.txt", "pyproject.toml", "setup.py"])
def test_a_changed_input_is_installed_again(sandbox: Sandbox, changed: str) -> None:
    sandbox.call("configs/setup.sh")
    with (sandbox.root / changed).open("a") as file:
        file.write("\n# changed\n")
    sandbox.call("configs/setup.sh")
    assert len(sandbox.installs()) == 4


def test_a_moved_checkout_is_installed_again(sandbox: Sandbox) -> None:
    sandbox.call("configs/setup.sh")
    moved = Sandbox(sandbox.root.rename(sandbox.root.parent / "moved"), sandbox.tools)
    moved.call("configs/setup.sh")
    assert len(moved.installs()) == 4


def test_the_tools_of_the_tests_come_on_top(sandbox: Sandbox) -> None:
    sandbox.call("configs/setup.sh")
    sandbox.call("configs/setup.sh", "--dev")
    assert sandbox.installs()[2] == "-r requirements/cpu.txt -r requirements/dev.txt"
    sandbox.call("configs/setup.sh", "--dev")
    sandbox.call("configs/setup.sh")
    assert len(sandbox.installs()) == 4


def test_vllm_comes_on_top_of_those(sandbox: Sandbox) -> None:
    assert sandbox.call("configs/setup.sh", "--vllm")[0] == 0
    assert sandbox.installs()[0] == "-r requirements/cpu.txt -r requirements/dev.txt"
    assert sandbox.installs()[2] == "--no-deps -r requirements/vllm.txt"
    sandbox.call("configs/setup.sh", "--vllm", FAKE_GPUS="1")
    assert "requirements/vllm.txt" not in sandbox.installs()[3]
    assert len(sandbox.installs()) == 5


def test_an_install_that_breaks_off_is_not_taken_for_a_finished_one(sandbox: Sandbox) -> None:
    assert sandbox.call("configs/setup.sh", FAKE_PIP_FAILS="1")[0] != 0
    assert sandbox.call("configs/setup.sh")[0] == 0
    assert sandbox.call("configs/setup.sh", "--dev", FAKE_PIP_FAILS="1")[0] != 0
    # the failed upgrade may have touched anything, so the plain set-up is done again as well
    before = len(sandbox.installs())
    assert sandbox.call("configs/setup.sh")[0] == 0
    assert len(sandbox.installs()) == before + 2


@pytest.mark.skipif(shutil.which("flock") is None, reason="set-ups wait for each other with flock")
def test_two_set_ups_at_once_install_once(sandbox: Sandbox) -> None:
    both = [sandbox.start("configs/setup.sh", FAKE_PIP_SECONDS="1") for _ in range(2)]
    results = [process.communicate(timeout=100)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert len(sandbox.installs()) == 2
    assert sum("waiting for another set-up" in err for err in results) == 1


def test_a_file_system_without_locks_is_told(sandbox: Sandbox) -> None:
    (sandbox.tools / "flock").write_text("#!/bin/bash\nexit 69\n")
    (sandbox.tools / "flock").chmod(0o755)
    code, _, err = sandbox.call("configs/setup.sh")
    assert code == 0
    assert "no locks: start one set-up of this folder at a time" in err


def test_a_python_that_is_too_old_gets_one_line(sandbox: Sandbox) -> None:
    code, _, err = sandbox.call("configs/setup.sh", FAKE_TOO_OLD="1")
    assert code != 0
    assert err.count("\n") == 1
    assert "3.11 or newer" in err
    assert sandbox.installs() == []


@pytest.mark.parametrize(
    ("words", "env", "line"),
    [
        (["--all"], {}, "unknown argument --all"),
        ([], {"ADORA_PROFILE": "tpu"}, "ADORA_PROFILE=tpu is not known; set it to cpu or gpu"),
    ],
)
def test_a_wrong_word_gets_one_line(
    sandbox: Sandbox, words: list[str], env: dict[str, str], line: str
) -> None:
    code, _, err = sandbox.call("configs/setup.sh", *words, **env)
    assert code != 0
    assert err.count("\n") == 1
    assert line in err


def test_a_gpu_brings_its_own_set(sandbox: Sandbox) -> None:
    sandbox.call("configs/setup.sh", FAKE_GPUS="1")
    assert sandbox.installs()[0] == "-r requirements/cpu.txt -r requirements/gpu.txt"
    sandbox.call("configs/setup.sh", FAKE_GPUS="1", ADORA_PROFILE="cpu")
    assert sandbox.installs()[2] == "-r requirements/cpu.txt"


# ------------------------------------------------------------------------------- the main job


def test_without_a_gpu_the_tiny_recipe_runs(sandbox: Sandbox) -> None:
    assert sandbox.ran() == "RUN train geo3k_tiny"


def test_the_choice_is_told_in_one_line(sandbox: Sandbox) -> None:
    sandbox.call("configs/setup.sh")
    err = sandbox.call("configs/run_geo3k.sh")[2]
    assert err.count("\n") == 1
    assert "geo3k_tiny (no CUDA GPU visible)" in err
    assert "bash configs/run_geo3k.sh RECIPE" in err


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["other"], "RUN train other"),
        (["seed=3"], "RUN train geo3k_tiny seed=3"),
        (["other", "a.b=c d", "--resume"], "RUN train other a.b=c d --resume"),
        (["--resume"], "RUN train geo3k_tiny --resume"),
    ],
)
def test_recipe_and_overrides_pass_through(
    sandbox: Sandbox, words: list[str], command: str
) -> None:
    assert sandbox.ran(*words) == command


@pytest.mark.parametrize(
    ("env", "recipe", "processes"),
    [
        ({"FAKE_GPUS": "1"}, "geo3k_qwen25vl_7b", 1),
        ({"FAKE_GPUS": "8"}, "geo3k_qwen25vl_7b", 8),
        ({"FAKE_GPUS": "8", "CUDA_VISIBLE_DEVICES": "0,3"}, "geo3k_qwen25vl_7b", 2),
        ({"FAKE_GPUS": "8", "NPROC": "4"}, "geo3k_qwen25vl_7b", 4),
        ({"FAKE_GPUS": "8", "CUDA_VISIBLE_DEVICES": ""}, "geo3k_tiny", 1),
        ({"FAKE_GPUS": "8", "CUDA_VISIBLE_DEVICES": "-1"}, "geo3k_tiny", 1),
        ({"FAKE_GPUS": "8", "ADORA_PROFILE": "cpu"}, "geo3k_tiny", 1),
        ({"ADORA_PROFILE": "gpu"}, "geo3k_qwen25vl_7b", 1),
        ({"NPROC": "2"}, "geo3k_tiny", 2),
    ],
)
def test_gpus_decide_the_recipe_and_the_processes(
    sandbox: Sandbox, env: dict[str, str], recipe: str, processes: int
) -> None:
    command = sandbox.ran(**env)
    if processes == 1:
        assert command == f"RUN train {recipe}"
    else:
        assert command.startswith("TORCHRUN -m torch.distributed.run --standalone")
        assert f"--nproc_per_node {processes} --no_python .venv/bin/adora train {recipe}" in command


def test_help_needs_no_set_up(sandbox: Sandbox) -> None:
    code, out, _ = sandbox.call("configs/run_geo3k.sh", "--help")
    assert code == 0
    assert "bash configs/run_geo3k.sh [RECIPE]" in out
    assert sandbox.installs() == []


def test_a_number_of_processes_must_be_a_number(sandbox: Sandbox) -> None:
    code, _, err = sandbox.call("configs/run_geo3k.sh", NPROC="two")
    assert code != 0
    assert "NPROC=two is not a number" in err


# ---------------------------------------------------------------------------- several machines

MACHINES = {"NNODES": "2", "NODE_RANK": "1", "MASTER_ADDR": "10.0.0.1"}


def test_several_machines_meet_at_the_first(sandbox: Sandbox) -> None:
    """The same words that tests/test_nodes.py gives to torchrun."""
    command = sandbox.ran("seed=1", FAKE_GPUS="8", **MACHINES)
    meeting = "--nnodes 2 --node_rank 1 --master_addr 10.0.0.1 --master_port 29500"
    assert f"{meeting} --nproc_per_node 8 --no_python" in command
    assert command.endswith("adora train geo3k_qwen25vl_7b seed=1")
    assert "--standalone" not in command
    port = {"MASTER_PORT": "1234", "NPROC": "1"}
    assert "--master_port 1234 --nproc_per_node 1 " in sandbox.ran(**MACHINES, **port)


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"NNODES": "two"}, "NNODES=two is not a number of machines"),
        ({"NODE_RANK": "2"}, "NODE_RANK=2 must number this machine from 0 to 1"),
        ({"NODE_RANK": ""}, "NODE_RANK= must number this machine from 0 to 1"),
        ({"MASTER_ADDR": ""}, "set MASTER_ADDR to an address of machine 0"),
    ],
)
def test_a_wrong_place_gets_one_line(sandbox: Sandbox, env: dict[str, str], line: str) -> None:
    code, _, err = sandbox.call("configs/run_geo3k.sh", **(MACHINES | env))
    assert code != 0
    assert err.count("\n") == 1
    assert line in err
    assert sandbox.installs() == []


def test_slurm_starts_every_machine_once(sandbox: Sandbox) -> None:
    job = {"SLURM_SUBMIT_DIR": str(sandbox.root), "SLURM_JOB_NUM_NODES": "2",
           "SLURM_JOB_NODELIST": "gpu[07-08]", "SLURM_JOB_ID": "1234567",
           "SLURM_CPUS_PER_TASK": "64"}  # fmt: skip
    words = ("configs/slurm.sbatch", "geo3k_qwen25vl_7b", "a.b=c d")
    code, out, err = sandbox.call(*words, FAKE_GPUS="8", **job)
    assert code == 0, err
    cores, *lines = out.splitlines()
    assert cores == "CORES 64"
    for line, rank in zip(lines, "01", strict=True):
        assert f"--node_rank {rank} --master_addr gpu07 --master_port 24567" in line
        assert line.endswith("adora train geo3k_qwen25vl_7b a.b=c d resume=auto")


def test_a_slurm_job_without_words_leaves_the_recipe_to_the_gpus(sandbox: Sandbox) -> None:
    job = {"SLURM_SUBMIT_DIR": str(sandbox.root), "SLURM_JOB_NUM_NODES": "2",
           "SLURM_JOB_NODELIST": "gpu[07-08]", "SLURM_JOB_ID": "1"}  # fmt: skip
    code, out, err = sandbox.call("configs/slurm.sbatch", FAKE_GPUS="8", **job)
    assert code == 0, err
    cores, *lines = out.splitlines()
    assert cores == "CORES 1"
    assert len(lines) == 2
    assert all(line.endswith("geo3k_qwen25vl_7b resume=auto") for line in lines)
