"""New problems from solved ones: other numbers, or another question.

Three ways, drawn at random:

- `numbers`: every given number is drawn anew near the old one;
- `scale`: all lengths grow by a factor, letters take other values, and the constants of expressions
  are adjusted so that the figure stays as it is (`2x+5` with x = 6 becomes `2x+1` with x = 8);
- `asked`: another length, angle, perimeter, area or letter of the same figure is asked.

A variant starts from the solved figure, is solved again with all the checks of `solver`, and is
kept only if its answer is as simple as the original's. Bases are training problems that are solved
as stated and are no kin (`kinship`) to a validation or test problem. All variants of a family go to
one split, by a hash of the family.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from data_prep.geometry.alterations import Alteration, ask_other, new_numbers, rescaled
from data_prep.geometry.annotations import LICENCE, Annotation, read_annotations
from data_prep.geometry.answers import Answer, answer, simple_enough
from data_prep.geometry.arrange import arrange
from data_prep.geometry.difficulty import difficulty, indispensable
from data_prep.geometry.exact import exact_form
from data_prep.geometry.figure import Figure, build_figure
from data_prep.geometry.kinship import family_of, numbers_of
from data_prep.geometry.problems import Unwritable, entry, goal, sheet
from data_prep.geometry.solver import solve
from data_prep.synthetic import split_of
from data_prep.writer import Entry, write_folder

SOURCE = "geometry3k-variants"
TRIES = 6
"""Draws for one variant of one base before the base is passed over."""
MAX_DRIFT = 0.35
"""How far, in parts of the size, a variant may differ from its base's shape."""
WAYS: dict[str, Callable[[Answer, random.Random], Alteration | None]] = {
    "numbers": new_numbers,
    "scale": rescaled,
    "asked": ask_other,
}


def bases(annotations: Sequence[Annotation]) -> tuple[list[Annotation], Counter[str]]:
    """Training problems that are no kin to any other split's, and why others are left out."""
    held_out: set[str] = set()
    for annotation in annotations:
        if annotation.split != "train":
            held_out |= _keys(build_figure(annotation))
    kept, dropped = [], Counter[str]()
    for annotation in annotations:
        if annotation.split != "train":
            dropped["base of another split"] += 1
        elif _keys(build_figure(annotation)) & held_out:
            dropped["base is kin to another split"] += 1
        else:
            kept.append(annotation)
    return kept, dropped


def _keys(figure: Figure) -> set[str]:
    return {f"family {family_of(figure)}", f"numbers {numbers_of(figure)}"} - {"numbers "}


def generate_variants(
    annotations: Sequence[Annotation],
    *,
    count: int,
    seed: int,
    per_base: int = 4,
    image_px: int = 448,
    ways: Sequence[str] = tuple(WAYS),
    dropped: Counter[str] | None = None,
) -> Iterator[Entry]:
    """`count` variants, fewer when the bases give no more; the order depends on the seed only."""
    dropped = Counter() if dropped is None else dropped
    usable, left_out = bases(annotations)
    dropped.update(left_out)
    random.Random(f"{seed}/order").shuffle(usable)
    solved: dict[str, Answer | None] = {}
    seen: set[tuple[str, str]] = set()
    made = 0
    for number in range(per_base):
        for annotation in usable:
            if made == count:
                return
            if annotation.id not in solved:
                solved[annotation.id] = _solved_base(annotation, dropped)
            base = solved[annotation.id]
            if base is None:
                continue
            stream = f"{seed}/{annotation.id}/{number}"
            variant = _variant(base, stream, ways, image_px, seen)
            if variant is None:
                dropped["no sound variant in a turn"] += 1
                continue
            made += 1
            yield variant


def _solved_base(annotation: Annotation, dropped: Counter[str]) -> Answer | None:
    found = answer(annotation)
    if found.trust == "stated" and simple_enough(found.exact, found.outcome.value):
        return found
    dropped["base is not solved as stated, or not simply"] += 1
    return None


def _variant(
    base: Answer, stream: str, ways: Sequence[str], image_px: int, seen: set[tuple[str, str]]
) -> Entry | None:
    rng = random.Random(stream)
    for _ in range(TRIES):
        way = rng.choice(list(ways))
        altered = WAYS[way](base, rng)
        found = None if altered is None else resolve(base, altered)
        if found is None or altered is None:
            continue
        try:
            drawn = sheet(found, seed=f"{stream}/picture", turn=True, image_px=image_px)
        except Unwritable:
            continue
        key = (f"{base.figure.id} {drawn.question}", drawn.answer + altered.key)
        if key in seen:
            continue
        seen.add(key)
        return _entry(base, found, altered, way, stream, drawn)
    return None


def _entry(
    base: Answer, found: Answer, altered: Alteration, way: str, stream: str, drawn: Any
) -> Entry:
    family = family_of(base.figure)
    needed = indispensable(found)
    seed, identity, number = stream.split("/")
    metadata = {
        "base": base.figure.id,
        "family": family,
        "way": way,
        "changed": list(altered.changes),
        "difficulty": difficulty(found, needed),
        "facts_needed": needed,
        "goal": goal(found.figure.target),
        "value": round(found.outcome.value or 0.0, 10),
    }
    return entry(
        found, drawn, f"{SOURCE}-{identity}-{seed}-{number}", split_of(f"{SOURCE}/{family}"),
        source=SOURCE, **metadata,
    )  # fmt: skip


def resolve(base: Answer, altered: Alteration) -> Answer | None:
    """Solve an altered figure from the base's solution; None unless its answer is sound."""
    figure = altered.figure
    at = dict(base.outcome.positions)
    at |= arrange(base.figure, base.outcome.positions, base.outcome.radii)
    middle = sum(at.values()) / len(at)
    size = max(max(abs(p - middle) for p in at.values()), 1e-9) * 2
    start = {name: (at[name] - middle) / size for name in figure.at}
    figure = replace(figure, at=start, placed=frozenset(start))
    outcome = solve(figure)
    if outcome.status != "solved" or outcome.value is None or outcome.drift > MAX_DRIFT:
        return None
    if altered.value is not None and abs(outcome.value - altered.value) > 1e-7 * altered.value:
        return None
    exact = exact_form(outcome.value)
    if not simple_enough(exact, outcome.value) or (exact is None and base.exact is not None):
        return None
    return Answer(figure=figure, outcome=outcome, trust="stated", exact=exact)


def write_variants(
    source: Path,
    out: Path,
    *,
    count: int,
    seed: int,
    per_base: int = 4,
    image_px: int = 448,
    ways: Sequence[str] = tuple(WAYS),
    overwrite: bool = False,
    progress: Callable[[Iterable[Entry]], Iterable[Entry]] = iter,
) -> dict[str, Any]:
    """Write a data folder of variants; returns its manifest."""
    if unknown := sorted(set(ways) - set(WAYS)):
        raise ValueError(f"way {unknown[0]!r} is unknown; use some of {', '.join(WAYS)}")
    dropped: Counter[str] = Counter()
    entries = generate_variants(
        list(read_annotations(source)), count=count, seed=seed, per_base=per_base,
        image_px=image_px, ways=ways, dropped=dropped,
    )  # fmt: skip
    arguments = {"from": Path(source).name, "count": count, "seed": seed, "per_base": per_base,
                 "image_px": image_px, "ways": list(ways)}  # fmt: skip
    return write_folder(
        out, progress(entries), source=SOURCE, licence=LICENCE, arguments=arguments,
        dropped=dropped, overwrite=overwrite,
    )  # fmt: skip
