"""What is declared, pinned and shipped agrees with what the source imports and reads."""

from __future__ import annotations

import ast
import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import adora_mm

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("adora_mm", "data_prep", "evaluation")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

MODULES_OF = {"pillow": "PIL", "pyyaml": "yaml", "mpmath": "mpmath"}
"""Distributions whose module has another name."""

HOSTS = frozenset({"verl", "flash_attn"})
"""Trainers that load an adapter of ours by themselves: where that happens, they are installed."""

UNPINNED = frozenset({"pre-commit", "trackio", "liger-kernel"})
"""Installed by whoever wants them: trackio takes an older pillow, Liger needs a GPU."""


def requirements(lines: list[str]) -> dict[str, Requirement]:
    parsed = [Requirement(line) for line in lines]
    return {canonicalize_name(r.name): r for r in parsed}


def pins(name: str) -> dict[str, Requirement]:
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return requirements([line for line in lines if line and line[0] not in "#-"])


CORE = requirements(PROJECT["dependencies"])
EXTRAS = {name: requirements(lines) for name, lines in PROJECT["optional-dependencies"].items()}


def third_party_imports() -> dict[str, str]:
    """Top-level modules of other projects, each with one file that imports it."""
    found: dict[str, str] = {}
    for path in (path for name in PACKAGES for path in (ROOT / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            found.update({name.split(".")[0]: path.name for name in names})
    own = {*PACKAGES, *sys.stdlib_module_names}
    return {name: file for name, file in found.items() if name not in own}


def test_every_imported_package_is_declared() -> None:
    declared = {name for group in (CORE, *EXTRAS.values()) for name in group}
    modules = {MODULES_OF.get(name, name.replace("-", "_")) for name in declared}
    found = third_party_imports().items()
    missing = {name: file for name, file in found if name not in modules | HOSTS}
    assert missing == {}, "add it to pyproject.toml and, pinned, to requirements/"


@pytest.mark.parametrize("name", ["cpu.txt", "gpu.txt", "dev.txt", "vllm.txt"])
def test_requirements_are_exact(name: str) -> None:
    for requirement in pins(name).values():
        (specifier,) = requirement.specifier
        assert specifier.operator == "=="
        assert "+" not in specifier.version, "a local version exists on few machines"


def test_the_pins_lie_in_the_declared_ranges() -> None:
    pinned = pins("cpu.txt") | pins("gpu.txt") | pins("dev.txt")
    for group in (CORE, *EXTRAS.values()):
        for name, declared in group.items():
            if name in UNPINNED:
                continue
            (specifier,) = pinned[name].specifier
            assert specifier.version in declared.specifier, name


def test_the_sets_do_not_contradict_each_other() -> None:
    cpu, gpu, dev = pins("cpu.txt"), pins("gpu.txt"), pins("dev.txt")
    vllm = pins("vllm.txt")  # another build than gpu.txt's, for another machine
    for one, other in ((cpu, gpu), (cpu, dev), (gpu, dev), (cpu, vllm), (dev, vllm)):
        for name in one.keys() & other.keys():
            assert one[name].specifier == other[name].specifier


@pytest.mark.skipif(
    Path(sys.prefix) != ROOT / ".venv", reason="not the environment that configs/setup.sh makes"
)
def test_what_runs_here_is_what_is_pinned() -> None:
    different = {
        name: (importlib.metadata.version(name), str(requirement.specifier))
        for name, requirement in (pins("cpu.txt") | pins("dev.txt")).items()
        if importlib.metadata.version(name).split("+")[0] not in requirement.specifier
    }
    assert different == {}, "run `bash configs/setup.sh --dev`"


def test_the_fingerprint_of_the_set_up_covers_its_inputs() -> None:
    script = (ROOT / "configs" / "setup.sh").read_text(encoding="utf-8")
    for file in (
        "requirements/cpu.txt",
        "requirements/gpu.txt",
        "requirements/dev.txt",
        "requirements/vllm.txt",
    ):
        assert file in script
    assert "pyproject.toml setup.py" in script


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel, built from a copy, because building writes into the source folder."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "configs"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    build = "import sys, setuptools.build_meta as b; print(b.build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(target)], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return zipfile.ZipFile(next(target.glob("*.whl")))


@pytest.mark.slow
def test_the_wheel_holds_everything_that_is_read_at_run_time(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    wanted = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    wanted |= {f"adora_mm/recipes/{path.name}" for path in (ROOT / "configs").glob("*.yaml")}
    assert wanted - names == set(), "see [tool.setuptools.package-data] in pyproject.toml"
    assert {name.split("/")[0].split("-")[0] for name in names} == {*PACKAGES, "adora_mm"}


@pytest.mark.slow
def test_the_wheel_has_the_version_and_the_command(wheel: zipfile.ZipFile) -> None:
    folder = f"adora_mm-{adora_mm.__version__}.dist-info"
    scripts = wheel.read(f"{folder}/entry_points.txt").decode()
    assert "adora = adora_mm.cli:main" in scripts
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()


@pytest.mark.slow
def test_recipes_are_found_by_name_from_an_installed_wheel(
    wheel: zipfile.ZipFile, tmp_path: Path
) -> None:
    wheel.extractall(tmp_path / "site")
    (tmp_path / "elsewhere").mkdir()
    program = "from adora_mm.config import find_recipe; print(find_recipe('geo3k_tiny'))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "elsewhere",
        env={"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(tmp_path / "site/adora_mm/recipes/geo3k_tiny.yaml")
