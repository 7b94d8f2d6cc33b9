"""What an audit can find, which of it makes a folder unfit to train on, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of finding."""

    title: str
    blocking: bool
    """Whether one of these makes the folder unfit to train on."""
    remedy: str


KINDS: dict[str, Kind] = {
    "evaluation_set": Kind(
        title="The folder is a benchmark",
        blocking=True,
        remedy="train on something else: scores on a benchmark that was trained on mean nothing",
    ),
    "gold_unreadable": Kind(
        title="The checker cannot read the gold",
        blocking=True,
        remedy="write it as plain maths or LaTeX; as it is, only the very same text earns reward",
    ),
    "gold_not_itself": Kind(
        title="The gold is not equal to itself",
        blocking=True,
        remedy="repair the gold: no answer to this problem can be right",
    ),
    "no_right_choice": Kind(
        title="No option is the gold",
        blocking=True,
        remedy="repair the options or the gold",
    ),
    "several_right_choices": Kind(
        title="Several options count as right",
        blocking=True,
        remedy="options must differ in value, not only in spelling",
    ),
    "image_unreadable": Kind(
        title="A picture cannot be used",
        blocking=True,
        remedy="replace the file, or drop the problem",
    ),
    "image_blank": Kind(
        title="A picture is blank",
        blocking=True,
        remedy="replace the file, or drop the problem",
    ),
    "prompt_too_long": Kind(
        title="The prompt is over the recipe's limit",
        blocking=True,
        remedy="raise data.max_prompt_tokens, lower data.max_pixels, or drop the problem",
    ),
    "contradiction": Kind(
        title="The same problem with another gold",
        blocking=True,
        remedy="keep one of the two: the reward would punish the same answer half of the time",
    ),
    "leak": Kind(
        title="A problem of an evaluation set",
        blocking=True,
        remedy="drop it: adora prep filter FOLDER --audit FOLDER.audit.json --out ...",
    ),
    "duplicate": Kind(
        title="The same problem twice",
        blocking=False,
        remedy="drop one, unless it is meant to weigh more",
    ),
    "near_duplicate": Kind(
        title="Nearly the same problem twice",
        blocking=False,
        remedy="look at both, drop one",
    ),
    "shared_picture": Kind(
        title="A picture of an evaluation set, with another question",
        blocking=False,
        remedy="drop it if the diagrams of the evaluation must be new",
    ),
    "variant": Kind(
        title="A problem of an evaluation set, with other numbers or another picture",
        blocking=False,
        remedy="drop it if the problems of the evaluation must be new in kind, not only in values",
    ),
    "image_shrunk": Kind(
        title="A picture loses more than half of its side",
        blocking=False,
        remedy="raise data.max_pixels, or crop the picture: small labels become unreadable",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong with one problem."""

    kind: str
    problem_id: str
    message: str
    other_id: str = ""
    """The other problem, for pairs."""
    other_set: str = ""
    """Its data folder, when it is not the audited one."""

    @property
    def blocking(self) -> bool:
        return KINDS[self.kind].blocking
