"""Models by hub name: found before a run starts, or one line that says what to do instead."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import hf_hub_download
from huggingface_hub.errors import GatedRepoError, HFValidationError, RepositoryNotFoundError


def check_model(path: str | Path, key: str = "policy.path") -> None:
    """Raise ValueError when `path` is neither a model folder nor a model that the hub gives us.

    Only the model's config.json is fetched, into the hub's own cache.
    """
    folder = Path(path).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise ValueError(f"{key}={path}: no config.json in it; give an HF model folder")
        return
    unknown = f"{key}={path}: no such folder, and not a name on the hub (owner/model)"
    if folder.is_absolute() or str(path).startswith((".", "~")) or str(path).count("/") != 1:
        raise ValueError(unknown)
    local = f"give a local copy instead, {key}=/models/{folder.name}"
    try:
        hf_hub_download(str(path), "config.json")
    except GatedRepoError:
        raise ValueError(
            f"{key}={path}: the hub asks for consent and a token (HF_TOKEN); or {local}"
        ) from None
    except RepositoryNotFoundError:
        raise ValueError(
            f"{key}={path}: no such folder, and the hub knows no public model of that name; {local}"
        ) from None
    except HFValidationError:
        raise ValueError(unknown) from None
    except OSError as error:  # also what the hub's own errors are
        raise ValueError(
            f"{key}={path}: the hub cannot be reached and the model is not in its cache "
            f"({type(error).__name__}); {local}"
        ) from None
