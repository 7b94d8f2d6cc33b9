"""The problems of a run: loaded, and checked before step 1 for what would stop it at step 1,000."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from adora_mm.config import DataConfig
from adora_mm.data import ImageError, check_images, load_problems, mix
from adora_mm.processor import Processor
from adora_mm.prompts import PromptError
from adora_mm.types import Problem

TEST_SPLITS = frozenset({"test", "testmini", "testmini_text_only"})
EVALUATION_ONLY = frozenset({"mathvista"})
"""Sources whose authors forbid training on them."""


class DataError(ValueError):
    """Problems that a run cannot use."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProblems:
    """Training and held-out problems that passed the checks."""

    train: tuple[Problem, ...]
    val: tuple[Problem, ...]
    dropped: tuple[str, ...]
    """One line for each problem that was left out (`data.on_bad=drop`)."""


def load_run_problems(config: DataConfig, processor: Processor, *, seed: int) -> RunProblems:
    """Load both sets and check every image and prompt.

    Raises DataError when a problem cannot be used and `on_bad` is `fail`, when nothing is left,
    when a held-out problem is also trained on, when a source forbids training, and when the
    held-out problems are a test split without the recipe saying so.
    """
    folders = (config.train,) if isinstance(config.train, str) else config.train
    parts = [load_problems(folder) for folder in folders]
    train: Sequence[Problem] = parts[0] if len(parts) == 1 else mix(parts, seed=seed)
    val: Sequence[Problem] = load_problems(config.val) if config.val else ()
    train, val = train[: config.train_limit], val[: config.val_limit]
    _refuse_forbidden(train, val, config)
    _refuse_overlap(train, val)
    bad_train = find_unusable(train, processor, config)
    bad_val = find_unusable(val, processor, config)
    faults = (*bad_train.values(), *bad_val.values())
    if faults and config.on_bad == "fail":
        raise DataError(
            f"{len(faults)} of {len(train) + len(val)} problems cannot be used; first: "
            f"{faults[0]}. Mend the data, or leave them out with data.on_bad=drop"
        )
    kept = RunProblems(
        train=tuple(problem for problem in train if problem.id not in bad_train),
        val=tuple(problem for problem in val if problem.id not in bad_val),
        dropped=faults,
    )
    for name, problems, wanted in (("train", kept.train, train), ("val", kept.val, val)):
        if wanted and not problems:
            raise DataError(f"data.{name}: no usable problem is left; first fault: {faults[0]}")
    return kept


def find_unusable(
    problems: Sequence[Problem], processor: Processor, config: DataConfig
) -> dict[str, str]:
    """Id of each problem with a bad image or an over-long prompt, and why."""
    bad = {
        problem.id: reason
        for problem, reason in check_images(problems, max_megapixels=config.max_image_megapixels)
    }
    for problem in problems:
        if problem.id in bad:
            continue
        try:
            processor.check_length(problem)
        except (PromptError, ImageError) as error:
            bad[problem.id] = str(error)
    return bad


def _refuse_forbidden(train: Sequence[Problem], val: Sequence[Problem], config: DataConfig) -> None:
    for problem in train:
        if problem.source.partition("/")[0] in EVALUATION_ONLY:
            raise DataError(
                f"data.train: problem {problem.id} is of {problem.source}, whose licence forbids "
                "training on it; take it out, it is for adora eval only"
            )
    tests = {problem.split for problem in val} & TEST_SPLITS
    if tests and not config.val_on_test_split:
        raise DataError(
            f"data.val: its problems are of the split {min(tests)!r}; evaluate on another split "
            "during training, or say data.val_on_test_split=true"
        )


def _refuse_overlap(train: Sequence[Problem], val: Sequence[Problem]) -> None:
    """Same text and same pictures, by content: the same problem, whatever its id or folder."""
    trained: dict[tuple[str, str], list[Problem]] = {}
    for problem in train:
        trained.setdefault((problem.question, problem.answer), []).append(problem)
    shared = [
        problem
        for problem in val
        if any(
            _pictures(problem) == _pictures(other)
            for other in trained.get((problem.question, problem.answer), ())
        )
    ]
    if shared:
        raise DataError(
            f"data.val: {len(shared)} of its {len(val)} problems are also trained on, first "
            f"{shared[0].id}; give another split, for instance folder@val"
        )


@cache
def _picture(path: Path) -> str:
    """SHA-256 of an image file; its path when it cannot be read (told later, by name)."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return str(path)


def _pictures(problem: Problem) -> list[str]:
    return [_picture(path) for path in problem.images]
