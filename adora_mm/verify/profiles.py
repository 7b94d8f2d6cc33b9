"""What a profile accepts: every rule that is a matter of policy is one field here.

`reward` trains models: one final answer in a box or answer tag, no hedging, tight tolerances.
`eval` scores benchmarks: finds the answer where models put it, tolerances as benchmarks use them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The policy of one kind of checking."""

    name: str
    strict_extraction: bool
    """Exactly one final box or answer tag; otherwise the cascade of `extract`."""
    min_decimals: int
    """Digits after the point that a decimal needs to stand for an exact gold such as 12*sqrt(3)."""
    min_significant: int
    """Significant digits that it needs."""
    round_decimal_gold: bool = True
    """A decimal gold is matched after rounding the prediction to the gold's own decimals."""
    accept_truncation: bool = False
    """A decimal may also be the exact gold cut off instead of rounded."""
    pi_as_3_14: bool = False
    """A value computed with pi = 3.14 counts as the value with pi."""
    missing_unit: bool = True
    """A prediction without a unit matches a gold with one."""
    extra_unit: bool = True
    """A gold without a unit accepts a prediction with one."""
    convert_units: bool = True
    """5 m = 500 cm."""
    percent_value: bool = True
    """8% = 0.08, and 8% = 8 when one side leaves the sign out."""
    glued_unit: bool = False
    """A gold of `40m` accepts 40; otherwise it takes m for a unit only beside another unit."""
    ratio_as_fraction: bool = True
    """1:64 = 1/64."""
    bare_list_as_tuple: bool = True
    """`1, 2` without brackets matches `(1, 2)` in this order."""
    vector_as_tuple: bool = True
    """A column vector matches the tuple of its entries."""
    evaluate_unevaluated: bool = False
    """A prediction may leave an integral, sum or limit unevaluated; a worker evaluates it."""
    letter_case: bool = False
    """Choice letters may be small letters where no choices are given."""


PROFILES: dict[str, Profile] = {
    "reward": Profile(name="reward", strict_extraction=True, min_decimals=2, min_significant=3),
    "eval": Profile(
        name="eval",
        strict_extraction=False,
        min_decimals=1,
        min_significant=3,
        evaluate_unevaluated=True,
        letter_case=True,
        glued_unit=True,
    ),
    "eval_strict": Profile(
        name="eval_strict", strict_extraction=False, min_decimals=2, min_significant=3
    ),
    "eval_pi": Profile(
        name="eval_pi",
        strict_extraction=False,
        min_decimals=1,
        min_significant=3,
        pi_as_3_14=True,
        evaluate_unevaluated=True,
        letter_case=True,
        glued_unit=True,
    ),
}


def get_profile(profile: str | Profile) -> Profile:
    """The profile of a name; raises ValueError that lists the names."""
    if isinstance(profile, Profile):
        return profile
    if profile not in PROFILES:
        raise ValueError(f"unknown profile {profile!r}: use one of {', '.join(PROFILES)}")
    return PROFILES[profile]
