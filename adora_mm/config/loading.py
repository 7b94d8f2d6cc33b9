"""From a recipe's name and `a.b=value` words to a validated RunConfig, with errors in one line."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from adora_mm.config.run import RunConfig


class ConfigError(ValueError):
    """A recipe that cannot be used; the message names the key and the remedy."""


def recipe_folders() -> tuple[Path, ...]:
    """Where recipes are looked up by name: ./configs, then those that ship with the package."""
    package = Path(__file__).resolve().parents[1]
    return (Path("configs"), package.parent / "configs", package / "recipes")


def find_recipe(name: str) -> Path:
    """The file of a recipe given by path or by name, with or without `.yaml`."""
    path = Path(name)
    if path.is_file():
        return path
    for folder in recipe_folders():
        candidate = folder / (name if name.endswith(".yaml") else f"{name}.yaml")
        if candidate.is_file():
            return candidate
    known = sorted({p.stem for f in recipe_folders() if f.is_dir() for p in f.glob("*.yaml")})
    raise ConfigError(f"no recipe {name!r}; known recipes: {', '.join(known)}")


def load_config(recipe: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a recipe (and the `base:` recipes that it names), apply overrides and validate.

    Raises ConfigError with one line: an unknown key gets the nearest valid name.
    """
    path = find_recipe(str(recipe))
    raw = _read(path, seen=())
    for word in overrides:
        _set(raw, *_parse_override(word))
    raw.setdefault("name", path.stem)
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {_one_line(error)}") from None


def dump_config(config: RunConfig) -> str:
    """The resolved recipe as YAML; loading it again gives the same config."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    if path.resolve() in seen:
        raise ConfigError(f"{path}: its `base:` files form a circle")
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: a recipe is a mapping of sections, not a {type(raw).__name__}")
    base = raw.pop("base", None)
    if base is None:
        return raw
    beside = path.parent / str(base)
    base_path = beside if beside.is_file() else find_recipe(str(base))
    return merge(_read(base_path, (*seen, path.resolve())), raw)


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """A nested mapping with another one on top of it, section by section."""
    merged = dict(base)
    for key, value in change.items():
        old = merged.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _parse_override(word: str) -> tuple[list[str], Any]:
    key, sign, text = word.partition("=")
    if not sign or not key:
        raise ConfigError(f"{word!r}: an override has the form section.key=value")
    try:
        value = yaml.safe_load(text) if text else None
    except yaml.YAMLError:
        value = text
    if isinstance(value, dict) and not text.lstrip().startswith("{"):
        value = text  # a sentence with a colon, not a mapping
    if isinstance(value, str):
        value = _number(value)
    return key.split("."), value


def _number(text: str) -> Any:
    """YAML reads 1e-4 as a string (it wants 1.0e-4); users write 1e-4."""
    try:
        return float(text) if text[:1] in "+-.0123456789" else text
    except ValueError:
        return text


def _set(raw: dict[str, Any], keys: list[str], value: Any) -> None:
    section = raw
    for key in keys[:-1]:
        if not isinstance(section.get(key), dict):
            section[key] = {}
        section = section[key]
    section[keys[-1]] = value


def _one_line(error: ValidationError) -> str:
    described: dict[str, str] = {}
    for detail in error.errors():
        key = _key(detail["loc"], detail["type"])
        described.setdefault(key, _describe(key, detail))
    return "; ".join(list(described.values())[:3])


def _key(loc: Sequence[str | int], kind: str) -> str:
    """The key as a recipe spells it: pydantic adds the tried type of a union to its own path."""
    parts = [str(part) for part in loc]
    if kind == "extra_forbidden":
        return ".".join(parts)
    return ".".join(part for part in parts if part != "str" and "[" not in part)


def _describe(key: str, detail: Any) -> str:
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return _unknown_key(key)
    if kind == "missing":
        return f"{key} is missing"
    if kind == "model_type":
        names = _known_names(key.split("."))
        return f"{key} is a section, not a value; its keys: {', '.join(names)}"
    if not key:
        return message
    if kind == "value_error":  # a rule over several keys: the message names those that matter
        return f"{key}: {message}"
    return f"{key}={detail['input']!r}: {message[0].lower()}{message[1:]}"


def _unknown_key(key: str) -> str:
    section, _, last = key.rpartition(".")
    names = _known_names(section.split(".") if section else [])
    near = difflib.get_close_matches(last, names, n=1, cutoff=0.5)
    if not near:
        return f"unknown key {key}; known here: {', '.join(names)}"
    return f"unknown key {key}; did you mean {'.'.join([section, near[0]] if section else near)}?"


def _known_names(path: Sequence[str]) -> list[str]:
    model: type[BaseModel] = RunConfig
    for part in path:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        options = getattr(annotation, "__args__", (annotation,))
        models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)
