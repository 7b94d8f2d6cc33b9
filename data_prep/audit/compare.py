"""The same problem twice: inside a data folder, and between a folder and the evaluation sets.

Two problems are

- the *same* when question (as tokens), options and pictures (as files) agree,
- *nearly the same* when their questions say the same (`texts.say_the_same`), their pictures look
  alike and their golds agree (figures of one shape differ in labels that no small fingerprint can
  see); without any picture on one side the text decides alone, and then must be long enough to mean
  something by itself.

Only candidates are compared: pairs of near texts, and pairs of pictures that are alike.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from adora_mm.types import Problem
from adora_mm.verify import check_answer
from data_prep.audit.findings import Finding
from data_prep.audit.pictures import ALIKE, SAME, Picture, alike
from data_prep.texts import near_texts, say_the_same, tokens_of, wording_of

TELLING_TOKENS = 12
"""A question of so many tokens names its problem without the picture; `Find x.` does not."""
TEMPLATE = 3
"""A wording that comes more often than this is a template, and says nothing about one problem."""
PROBLEMS_PER_PICTURE = 20
"""Of the problems that share a picture or a question, so many on each side are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One problem as it is compared."""

    problem: Problem
    tokens: tuple[str, ...]
    choices: tuple[str, ...]
    pictures: tuple[str, ...]
    """SHA-256 of the files."""
    prints: tuple[bytes, ...]
    """Fingerprints of those pictures that have one."""

    @property
    def key(self) -> tuple[object, ...]:
        return (self.tokens, self.choices, self.pictures)


class Items:
    """Problems ready to be compared, with an index from fingerprints to them."""

    def __init__(self, problems: Iterable[Problem], looks: Mapping[Path, Picture]) -> None:
        hashes: dict[Path, str] = {}
        self.items = [_item(problem, looks, hashes) for problem in problems]
        self.by_print: dict[bytes, list[int]] = defaultdict(list)
        for index, item in enumerate(self.items):
            for each in dict.fromkeys(item.prints):
                self.by_print[each].append(index)

    def __len__(self) -> int:
        return len(self.items)


def _item(problem: Problem, looks: Mapping[Path, Picture], hashes: dict[Path, str]) -> Item:
    for path in problem.images:
        if path not in hashes:
            readable = not looks[path].fault or path.is_file()
            content = path.read_bytes() if readable else str(path).encode()
            hashes[path] = hashlib.sha256(content).hexdigest()
    return Item(
        problem=problem,
        tokens=tokens_of(problem.question),
        choices=tuple("".join(choice.split()) for choice in problem.choices),
        pictures=tuple(hashes[path] for path in problem.images),
        prints=tuple(looks[path].bits for path in problem.images if looks[path].bits),
    )


def duplicates(items: Items) -> Iterator[Finding]:
    """Problems that are in the folder twice; one finding for each later one."""
    first: dict[tuple[object, ...], Item] = {}
    told: set[str] = set()
    for item in items.items:
        known = first.setdefault(item.key, item)
        if known is not item:
            told.add(item.problem.id)
            yield _twice(known.problem, item.problem, "duplicate")
    for i, j in sorted(_near_pairs(items, None)):
        one, other = items.items[i], items.items[j]
        if other.problem.id not in told and _nearly(one, other):
            told.add(other.problem.id)
            yield _twice(one.problem, other.problem, "near_duplicate")


def _twice(known: Problem, later: Problem, kind: str) -> Finding:
    if kind == "duplicate" and not _same_gold(known, later):
        kind = "contradiction"
        message = f"gold {later.answer!r}, but {known.answer!r} in {known.id}"
    else:
        message = f"like {known.id}"
    return Finding(kind=kind, problem_id=later.id, message=message, other_id=known.id)


def _same_gold(one: Problem, other: Problem) -> bool:
    if one.answer == other.answer:
        return True
    choices = one.choices or None
    return check_answer(one.answer, other.answer, choices=choices).correct


def leaks(items: Items, others: Items, name: str) -> Iterator[Finding]:
    """Problems of the folder that are also in `others`, an evaluation set called `name`."""
    known = {other.key: other for other in others.items}
    told: set[str] = set()
    for item in items.items:
        twin = known.get(item.key)
        if twin is not None and _telling(item, twin):
            told.add(item.problem.id)
            yield _leak("leak", item, twin, name, "the same as")
    for i, j in sorted(_near_pairs(items, others)):
        item, other = items.items[i], others.items[j]
        if item.problem.id in told:
            continue
        if _nearly(item, other):
            told.add(item.problem.id)
            yield _leak("leak", item, other, name, "nearly the same as")
        elif _likeness(item, other) >= SAME:
            told.add(item.problem.id)
            yield _leak("shared_picture", item, other, name, "has the picture of")
    rare = _rare_wordings(others)
    for item in items.items:
        other_item = rare.get(wording_of(item.tokens))
        if other_item is not None and item.problem.id not in told:
            yield _leak("variant", item, other_item, name, "words of")


def _rare_wordings(others: Items) -> dict[str, Item]:
    """Long questions, numbers masked, that are no template of the set: with their first problem."""
    found: dict[str, list[Item]] = defaultdict(list)
    for other in others.items:
        if len(other.tokens) >= TELLING_TOKENS:
            found[wording_of(other.tokens)].append(other)
    return {wording: same[0] for wording, same in found.items() if len(same) <= TEMPLATE}


def _leak(kind: str, item: Item, other: Item, name: str, how: str) -> Finding:
    return Finding(
        kind=kind,
        problem_id=item.problem.id,
        message=f"{how} {other.problem.id} of {name}",
        other_id=other.problem.id,
        other_set=name,
    )


def _near_pairs(items: Items, others: Items | None) -> set[tuple[int, int]]:
    """Candidates: pictures that are alike, and near texts where a side has no picture."""
    pairs = set(_text_pairs(items, others))
    right = items if others is None else others
    left_prints, right_prints = list(items.by_print), list(right.by_print)
    matched = alike(left_prints, None if others is None else right_prints)
    found = [(left_prints[i], right_prints[j]) for i, j, _ in matched]
    if others is None:
        found += [(each, each) for each in left_prints]
    for one, other in found:
        for i in items.by_print[one][:PROBLEMS_PER_PICTURE]:
            for j in right.by_print[other][:PROBLEMS_PER_PICTURE]:
                if others is not None:
                    pairs.add((i, j))
                elif i != j:
                    pairs.add((min(i, j), max(i, j)))
    return pairs


def _text_pairs(items: Items, others: Items | None) -> Iterator[tuple[int, int]]:
    """Pairs by text of questions that tell, at least one of them without a picture."""
    pool = items.items if others is None else [*items.items, *others.items]
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, item in enumerate(pool):
        if len(item.tokens) >= TELLING_TOKENS:
            groups[item.tokens].append(index)
    texts = list(groups)
    border = len(items)
    for i, j in (*near_texts(texts), *((i, i) for i in range(len(texts)))):
        for one in groups[texts[i]][:PROBLEMS_PER_PICTURE]:
            for other in groups[texts[j]][:PROBLEMS_PER_PICTURE]:
                low, high = min(one, other), max(one, other)
                if low == high or (pool[low].pictures and pool[high].pictures):
                    continue
                if others is None:
                    yield low, high
                elif low < border <= high:
                    yield low, high - border


def _nearly(one: Item, other: Item) -> bool:
    if not say_the_same(one.tokens, other.tokens):
        return False
    if one.choices and other.choices and not set(one.choices) & set(other.choices):
        return False
    if one.pictures and other.pictures:
        return _likeness(one, other) >= ALIKE and _same_gold(one.problem, other.problem)
    return len(one.tokens) >= TELLING_TOKENS


def _telling(item: Item, twin: Item) -> bool:
    return bool(item.pictures and twin.pictures) or len(item.tokens) >= 3


def _likeness(one: Item, other: Item) -> float:
    """Of their most alike pictures; 1 for equal files without a fingerprint."""
    if set(one.pictures) & set(other.pictures):
        return 1.0
    if not one.prints or not other.prints:
        return 0.0
    found: Sequence[float] = [v for _, _, v in alike(one.prints, other.prints, least=0.0)]
    return max(found, default=0.0)
