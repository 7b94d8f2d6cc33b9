"""Recipes: found by name or path, joined with their bases, changed by overrides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from adora_mm.config import ConfigError, RunConfig, dump_config, find_recipe, load_config, loading

SMALLEST: dict[str, Any] = {"data": {"train": "data/x"}, "train": {"total_steps": 2}}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def write_recipe(name: str, content: dict[str, Any] | str) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
        return path

    return write_recipe


@pytest.fixture
def recipe(write: Write) -> Path:
    return write("smallest", SMALLEST)


def test_a_recipe_is_named_after_its_file(recipe: Path) -> None:
    assert load_config(recipe).name == "smallest"
    assert load_config(recipe, ["name=other"]).name == "other"


def test_defaults_fill_what_a_recipe_leaves_out(recipe: Path) -> None:
    config = load_config(recipe)
    assert (config.rollout.group_size, config.loss.kl_coef, config.engine.zero_stage) == (8, 0.0, 0)
    assert config.advantage.estimator == "grpo"
    assert not config.dynamic_sampling.enabled


# ------------------------------------------------------------------------------- overrides


@pytest.mark.parametrize(
    ("word", "section", "key", "value"),
    [
        ("train.learning_rate=1e-4", "train", "learning_rate", 1e-4),
        ("train.learning_rate=1.0e-4", "train", "learning_rate", 1e-4),
        ("train.learning_rate=.5", "train", "learning_rate", 0.5),
        ("train.betas=[0.8, 9e-1]", "train", "betas", (0.8, 0.9)),
        ("rollout.group_size=16", "rollout", "group_size", 16),
        ("evaluation.greedy=false", "evaluation", "greedy", False),
        ("data.train=[a, b@val]", "data", "train", ("a", "b@val")),
        ("data.val=data/y@val", "data", "val", "data/y@val"),
        ("data.val=null", "data", "val", None),
        ("data.val=", "data", "val", None),
        ("data.val=''", "data", "val", ""),
        ("data.val=@odd", "data", "val", "@odd"),
        ("data.val='a=b'", "data", "val", "a=b"),
        ("data.system_prompt=Think, then answer.", "data", "system_prompt", "Think, then answer."),
        ("data.system_prompt=Note: think.", "data", "system_prompt", "Note: think."),
        ("engine.extra={a: {b: 1}}", "engine", "extra", {"a": {"b": 1}}),
        ("loss.dual_clip=3", "loss", "dual_clip", 3.0),
    ],
)
def test_an_override_is_read_as_yaml(
    recipe: Path, word: str, section: str, key: str, value: Any
) -> None:
    assert getattr(getattr(load_config(recipe, [word]), section), key) == value


def test_an_override_reaches_nested_sections_and_makes_missing_ones(recipe: Path) -> None:
    config = load_config(
        recipe,
        [
            "advantage.adora.lambda_att=0.3",
            "data.generate.folder=made",
            "data.generate.counts.train=64",
            "data.generate.counts.val=16",
            "engine.extra.zero_optimization.overlap_comm=true",
        ],
    )
    assert config.advantage.adora.lambda_att == 0.3
    assert config.data.generate is not None
    assert config.data.generate.counts == {"train": 64, "val": 16}
    assert config.engine.extra == {"zero_optimization": {"overlap_comm": True}}


def test_the_last_of_two_overrides_counts(recipe: Path) -> None:
    assert load_config(recipe, ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize("word", ["train", "=1", "--seed", ""])
def test_a_word_without_key_or_value_is_no_override(recipe: Path, word: str) -> None:
    with pytest.raises(ConfigError, match=r"section\.key=value"):
        load_config(recipe, [word])


# ----------------------------------------------------------------------------------- bases


def test_a_recipe_changes_single_keys_of_its_base(write: Write) -> None:
    write("ground", {**SMALLEST, "loss": {"kl_coef": 0.1, "clip_high": 0.3}, "seed": 7})
    write("middle", {"base": "ground.yaml", "loss": {"kl_coef": 0.2}})
    config = load_config(write("top", {"base": "middle.yaml", "train": {"total_steps": 5}}))
    assert (config.loss.kl_coef, config.loss.clip_high, config.seed) == (0.2, 0.3, 7)
    assert config.train.total_steps == 5
    assert config.name == "top"


def test_null_takes_back_what_a_base_says(write: Write) -> None:
    write("ground", SMALLEST)
    top = write("top", {"base": "ground.yaml", "train": {"total_steps": None, "episodes": 1.5}})
    assert load_config(top).train.episodes == 1.5


def test_a_base_is_also_found_by_its_name(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").mkdir()
    write("configs/ground", {**SMALLEST, "seed": 3})
    monkeypatch.chdir(tmp_path)
    assert load_config(write("top", {"base": "ground"})).seed == 3


@pytest.mark.parametrize("names", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_bases_that_form_a_circle_are_refused(write: Write, names: list[str]) -> None:
    for name, base in zip(names, names[1:] + names[:1], strict=True):
        path = write(name, {"base": f"{base}.yaml", **SMALLEST})
    with pytest.raises(ConfigError, match="circle"):
        load_config(path)


def test_a_missing_base_is_named(write: Write) -> None:
    with pytest.raises(ConfigError, match="no recipe 'nowhere'"):
        load_config(write("top", {"base": "nowhere", **SMALLEST}))


# ----------------------------------------------------------------------------- finding one


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Two recipe folders, searched in this order, and nothing else."""
    both = (tmp_path / "first", tmp_path / "second")
    for folder in both:
        folder.mkdir()
    monkeypatch.setattr(loading, "recipe_folders", lambda: both)
    return both


def test_a_recipe_is_found_by_name_with_or_without_suffix(folders: tuple[Path, Path]) -> None:
    target = folders[1] / "mine.yaml"
    target.touch()
    assert find_recipe("mine") == find_recipe("mine.yaml") == find_recipe(str(target)) == target


def test_the_first_folder_hides_the_second(folders: tuple[Path, Path]) -> None:
    for folder in folders:
        (folder / "mine.yaml").touch()
    assert find_recipe("mine").parent == folders[0]


def test_a_recipe_that_is_not_there_lists_those_that_are(folders: tuple[Path, Path]) -> None:
    (folders[0] / "one.yaml").touch()
    (folders[1] / "two.yaml").touch()
    with pytest.raises(ConfigError, match="no recipe 'three'; known recipes: one, two"):
        find_recipe("three")


def test_a_folder_is_not_a_recipe(folders: tuple[Path, Path]) -> None:
    with pytest.raises(ConfigError, match="no recipe"):
        find_recipe(str(folders[0]))


# -------------------------------------------------------------------------- broken recipes


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a: [", "not valid YAML"),
        ("- a\n- b\n", "a recipe is a mapping of sections, not a list"),
        ("just words", "not a str"),
        ("", "data is missing; train is missing"),
    ],
)
def test_a_broken_recipe_gets_one_line_with_its_path(
    write: Write, content: str, message: str
) -> None:
    path = write("broken", content)
    with pytest.raises(ConfigError) as error:
        load_config(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_binary_file_is_not_a_recipe(tmp_path: Path) -> None:
    path = tmp_path / "picture.yaml"
    path.write_bytes(b"\x89PNG\xff\xfe")
    with pytest.raises(ConfigError, match="not a text file"):
        load_config(path)


# ------------------------------------------------------------------------------ round trip


@pytest.mark.parametrize(
    "overrides",
    [
        [],
        ["data.train=[a, b]", "data.generate={folder: a, counts: {train: 3}}"],
        ["loss.policy_loss=gspo", "advantage.adora.mode=amplify", "loss.mask_truncated=true"],
        ["data.system_prompt=Löse: 1/2 ≠ '½'", "engine.extra.a.b=[1, null]"],
    ],
)
def test_a_dumped_config_loads_as_the_same_config(
    recipe: Path, write: Write, overrides: list[str]
) -> None:
    config = load_config(recipe, overrides)
    dumped = dump_config(config)
    again = load_config(write("again", dumped))
    assert again == config
    assert dump_config(again) == dumped


def test_a_config_cannot_be_changed_after_loading(recipe: Path) -> None:
    config: RunConfig = load_config(recipe)
    with pytest.raises(ValueError, match="frozen"):
        config.seed = 1
