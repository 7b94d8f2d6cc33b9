"""The shape of the source: layers, light imports, sizes, names, and recipes that all load.

The layers are those of docs/architecture.md, split where one module of a layer builds on another: a
module imports only from earlier rows. Imports are read from the source with `ast`, so nothing is
run and imports inside functions count as well.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
import yaml

from adora_mm.config import dump_config, load_config

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("adora_mm", "data_prep", "evaluation")
FILES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
RECIPES = sorted((ROOT / "configs").glob("*.yaml"))

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"__init__", "types", "config", "files", "signals"}),
    frozenset({"faults"}),
    frozenset({"verify", "prompts"}),
    frozenset({"data", "rewards", "pictures"}),
    frozenset(
        {"advantages", "losses", "logprobs", "shared_prompts", "processor", "families", "kernels"}
    ),
    frozenset({"integrations"}),
    frozenset({"models", "distributed", "phases", "optimizer"}),
    frozenset({"batching", "rollout", "hub", "gradients"}),
    frozenset({"lora", "microbatch_memory", "peers"}),
    frozenset({"balance", "engine", "metrics", "plan", "samples", "optimizer_state"}),
    frozenset({"checkpoint", "early_checks", "training_data"}),
    frozenset({"collect"}),
    frozenset({"validation", "step", "run_folder"}),
    frozenset({"metrics.console"}),
    frozenset({"agreement", "recorder", "dynamic_sampling"}),
    frozenset({"overlap"}),
    frozenset({"trainer"}),
    frozenset({"launch", "report", "doctor"}),
    frozenset({"cli"}),
)
"""Modules of `adora_mm`, lowest first. A new one is added here, in the lowest row that fits; a file
of a package may stand by itself (`metrics.console`), else it counts as its package."""

OUTSIDE = frozenset(
    {"types", "config", "files", "verify", "prompts", "data", "rewards", "processor", "rollout"}
)
"""What `data_prep` and `evaluation` may use of `adora_mm`."""

POLICY_BUILDERS = frozenset({"tiny_policy.py", "tiny_model.py", "warm_start.py"})
"""The files of `data_prep` that train the embedded policy: they may also use `models` and memory
settings (`distributed`)."""

POLICY_USERS = frozenset({"difficulty.py", "prompt_lengths.py"})
"""The files of `data_prep` that show problems to a policy: also `models`, `collect` and
what makes a problem unusable for one (`training_data`)."""

PAGES = frozenset({"page.py"})
"""The files of `data_prep` that make a page like the training report: also `report`."""

MEASURING = frozenset({"models", "validation", "run_folder", "samples", "metrics", "report"})
"""What `evaluation` shares with a run beyond that, so that both measure and store in one way."""

READS_DATA_THROUGH = ("data_prep.sources", "data_prep.writer")
"""What `evaluation` uses of `data_prep`: benchmarks come through its sources, as data folders."""

HEAVY = ("torch", "transformers", "deepspeed", "vllm")
LIGHT = (
    "adora_mm.types",
    "adora_mm.config",
    "adora_mm.verify",
    "adora_mm.prompts",
    "adora_mm.data",
    "adora_mm.rewards",
    "data_prep.synthetic",
    "data_prep.cli",
)

MAX_FILE_LINES = 350
MAX_FUNCTION_LINES = 60
EMPTY_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "misc"})
SYMPY_PARSERS = frozenset({"sympify", "parse_expr"})
RUNS_TEXT = SYMPY_PARSERS | {"eval", "exec", "compile", "__import__"}
RUNS_FILES = frozenset({"pickle", "cPickle", "marshal", "shelve", "dill", "joblib"})


@lru_cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@lru_cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Dotted names that a file imports; `from a import b` gives `a.b`."""
    found: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{relative(path)}:{node.lineno}: write absolute imports"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


def module_name(path: Path) -> str:
    """`adora_mm/metrics/console.py` gives `metrics.console`; `__init__.py` the package's name."""
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)


def row_of(module: str) -> int | None:
    """The row of the longest listed name that the module is or lies in."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        name = ".".join(parts[:length])
        for number, row in enumerate(LAYERS):
            if name in row:
                return number
    return None


def own_imports(path: Path) -> Iterator[str]:
    """Modules of `adora_mm` that a file imports, without the package's own name in front."""
    for name in imports_of(path):
        top, _, rest = name.partition(".")
        if top == "adora_mm":
            yield "__init__" if rest.startswith("__") else rest


def in_library(path: Path) -> bool:
    return path.is_relative_to(ROOT / "adora_mm")


# ---------------------------------------------------------------------------------- layers


def test_every_module_has_its_layer() -> None:
    modules = {module_name(path).split(".")[0] for path in FILES if in_library(path)}
    listed = {name.split(".")[0] for row in LAYERS for name in row}
    assert modules - listed == set(), "add new modules to LAYERS, in the lowest row that fits"


def test_a_file_imports_only_from_lower_layers() -> None:
    wrong = []
    for path in filter(in_library, FILES):
        here = row_of(module_name(path))
        package = module_name(path).split(".")[0]
        for name in own_imports(path):
            there = row_of(name)
            within = name.split(".")[0] == package and there == here
            if here is not None and not within and (there is None or there >= here):
                wrong.append(f"{relative(path)} (row {here}) imports {name} (row {there})")
    assert wrong == []


def outside_imports(package: str, file: str) -> frozenset[str]:
    allowed = OUTSIDE | {"__init__"}
    if file == "__main__.py":
        allowed |= {"cli"}
    if package == "evaluation":
        return allowed | MEASURING
    if file in POLICY_USERS:
        return allowed | {"models", "collect", "training_data"}
    if file in PAGES:
        return allowed | {"report"}
    return allowed | {"models", "distributed"} if file in POLICY_BUILDERS else allowed


def test_data_prep_and_evaluation_stand_beside_the_library() -> None:
    wrong = []
    for path in FILES:
        package = path.relative_to(ROOT).parts[0]
        if package == "adora_mm":
            continue
        allowed = outside_imports(package, path.name)
        other = "evaluation" if package == "data_prep" else "data_prep"
        wrong += [
            f"{relative(path)} imports adora_mm.{name}"
            for name in own_imports(path)
            if name.split(".")[0] not in allowed
        ]
        wrong += [
            f"{relative(path)} imports {name}"
            for name in imports_of(path)
            if name.startswith(other) and not name.startswith(READS_DATA_THROUGH)
        ]
    assert wrong == []


def test_only_the_command_imports_data_prep_and_evaluation() -> None:
    wrong = [
        f"{relative(path)} imports {name}"
        for path in filter(in_library, FILES)
        for name in imports_of(path)
        if name.split(".")[0] in {"data_prep", "evaluation"} and module_name(path) != "cli"
    ]
    assert wrong == []


def test_vllm_is_imported_only_inside_its_own_backend() -> None:
    wrong = [
        relative(path)
        for path in FILES
        if any(name.split(".")[0] == "vllm" for name in imports_of(path))
        and not module_name(path).startswith(("rollout.vllm", "engines.vllm"))
    ]
    assert wrong == []


@pytest.mark.parametrize("host", ["trl", "verl"])
def test_another_trainer_is_imported_only_inside_its_own_adapter(host: str) -> None:
    wrong = [
        relative(path)
        for path in FILES
        if any(name.split(".")[0] == host for name in imports_of(path))
        and module_name(path) != f"integrations.{host}"
    ]
    assert wrong == []


# --------------------------------------------------------------------------- light imports


def loaded_after_importing(modules: tuple[str, ...], watched: tuple[str, ...]) -> dict[str, str]:
    """Imports modules one after another in a new process; the first that loads each watched one."""
    program = (
        "import importlib, sys\n"
        f"for name in {modules!r}:\n"
        "    before = set(sys.modules)\n"
        "    importlib.import_module(name)\n"
        f"    for heavy in {watched!r}:\n"
        "        if heavy in sys.modules and heavy not in before:\n"
        "            print(heavy, name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return dict(line.split() for line in done.stdout.splitlines())


def test_light_modules_load_no_training_library() -> None:
    assert loaded_after_importing(LIGHT, HEAVY) == {}


def test_the_checker_loads_sympy_only_when_it_needs_it() -> None:
    assert loaded_after_importing(("adora_mm.verify",), ("sympy", "mpmath", "numpy")) == {}


def test_the_command_answers_without_loading_a_training_library() -> None:
    assert loaded_after_importing(("adora_mm.cli",), HEAVY) == {}


# -------------------------------------------------------------------------- sizes and names


def test_files_stay_small() -> None:
    lines = {relative(p): p.read_text(encoding="utf-8").count("\n") for p in FILES}
    assert {name: count for name, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_functions_stay_small() -> None:
    long = {}
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > MAX_FUNCTION_LINES:
                    long[f"{relative(path)}:{node.lineno} {node.name}"] = lines
    assert long == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    parts = {part for path in FILES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert parts & EMPTY_NAMES == set()


def test_every_module_says_what_it_is_for() -> None:
    assert [relative(path) for path in FILES if not ast.get_docstring(tree_of(path))] == []


# ---------------------------------------------------------------------------------- safety


def test_nothing_runs_text_as_code() -> None:
    """Model output and data files are text of strangers; sympy's parsers call `eval` inside."""
    wrong = []
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if not isinstance(node, ast.Call):
                continue
            called = node.func
            plain = isinstance(called, ast.Name) and called.id in RUNS_TEXT
            of_sympy = isinstance(called, ast.Attribute) and called.attr in {
                "sympify",
                "parse_expr",
            }
            if plain or of_sympy:
                wrong.append(f"{relative(path)}:{node.lineno}")
    assert wrong == []


def test_nothing_reads_files_that_can_hold_code() -> None:
    wrong = [
        f"{relative(path)} imports {name}"
        for path in FILES
        for name in imports_of(path)
        if name.split(".")[0] in RUNS_FILES
    ]
    for path in FILES:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                safe = {k.arg: ast.unparse(k.value) for k in node.keywords}.get("weights_only")
                if safe != "True":
                    wrong.append(f"{relative(path)}:{node.lineno}: torch.load(weights_only=True)")
    assert wrong == []


def test_no_file_names_a_folder_of_one_machine() -> None:
    pattern = re.compile(r"(?<![\w./~}-])/(work|root|home|mnt|Users)/")
    suffixes = {".py", ".sh", ".md", ".yaml", ".yml", ".toml", ".txt", ".html"}
    tops = [*PACKAGES, "configs", "tests", "docs", "benchmarks", "requirements", ".ci", ".github"]
    texts = [p for top in tops for p in (ROOT / top).rglob("*") if p.suffix in suffixes]
    texts += [p for p in ROOT.iterdir() if p.suffix in suffixes]
    wrong = [
        f"{relative(path)}:{number}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if pattern.search(line)
    ]
    assert wrong == []


# --------------------------------------------------------------------------------- recipes


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} >= {"geo3k_tiny", "geo3k_qwen25vl_7b"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_loads(recipe: Path, tmp_path: Path) -> None:
    config = load_config(recipe)
    assert config.name == recipe.stem, "a run is named after its recipe"
    dumped = tmp_path / "resolved.yaml"
    dumped.write_text(dump_config(config), encoding="utf-8")
    assert load_config(dumped) == config


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_base_lies_beside_its_recipe(recipe: Path) -> None:
    base = yaml.safe_load(recipe.read_text(encoding="utf-8")).get("base")
    assert base is None or (recipe.parent / base).is_file()
