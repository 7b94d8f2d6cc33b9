"""Units: a table of names, their size in base units and their dimension. One row adds a unit.

A unit is `(factor, dimension)` with the dimension as exponents of base quantities. Unknown nouns
("apples") are units of their own; "units" is the length of nothing in particular.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache

from adora_mm.verify.tokens import Token

Dimension = tuple[tuple[str, int], ...]
Reading = tuple[Fraction, Dimension]

_F = Fraction
# name -> (size in base units, base quantity, spellings); base: m, s, g, usd, deg, byte, K ...
TABLE: tuple[tuple[Fraction, str, str], ...] = (
    (_F(1), "length", "m metre metres meter meters"),
    (_F(1, 100), "length", "cm centimetre centimetres centimeter centimeters cms"),
    (_F(1, 1000), "length", "mm millimetre millimetres millimeter millimeters"),
    (_F(1000), "length", "km kilometre kilometres kilometer kilometers kms"),
    (_F(1, 10), "length", "dm decimetre decimetres decimeter decimeters"),
    (_F(1, 10**6), "length", "micrometre micrometer micrometres micrometers"),
    (_F(1, 10**9), "length", "nm nanometre nanometer nanometres nanometers"),
    (_F(254, 10000), "length", "in inch inches"),
    (_F(3048, 10000), "length", "ft foot feet"),
    (_F(9144, 10000), "length", "yd yard yards yds"),
    (_F(1609344, 1000), "length", "mi mile miles"),
    (_F(1852), "length", "nmi"),
    (_F(1), "generic", "unit units u"),
    (_F(1), "time", "s sec secs second seconds"),
    (_F(60), "time", "min mins minute minutes"),
    (_F(3600), "time", "h hr hrs hour hours"),
    (_F(86400), "time", "day days"),
    (_F(604800), "time", "week weeks"),
    (_F(1), "month", "month months"),
    (_F(12), "month", "year years yr yrs"),
    (_F(1), "mass", "g gram grams gramme grammes gm"),
    (_F(1000), "mass", "kg kilogram kilograms kgs kilo kilos"),
    (_F(1, 1000), "mass", "mg milligram milligrams"),
    (_F(10**6), "mass", "tonne tonnes"),
    (_F(45359237, 100000), "mass", "lb lbs pound pounds"),
    (_F(45359237, 1600000), "mass", "oz ounce ounces"),
    (_F(1), "usd", "usd dollar dollars bucks"),
    (_F(1, 100), "usd", "cent cents"),
    (_F(1), "euro", "euro euros eur"),
    (_F(1), "yen", "yen jpy ¥"),
    (_F(1), "yuan", "yuan rmb cny"),
    (_F(1), "sterling", "sterling gbp £"),
    (_F(1), "degree", "deg degs degree degrees °"),
    (_F(1), "radian", "rad rads radian radians"),
    (_F(1), "newton", "n newton newtons"),
    (_F(1), "joule", "j joule joules"),
    (_F(1), "watt", "w watt watts"),
    (_F(1), "volt", "v volt volts"),
    (_F(1), "ampere", "a amp amps ampere amperes"),
    (_F(1), "hertz", "hz hertz"),
    (_F(1), "celsius", "celsius"),
    (_F(1), "fahrenheit", "fahrenheit"),
    (_F(1), "percent", "percent pct percentage"),
    (_F(1), "point", "pts"),
    (_F(1), "ohm", "ohm ohms"),
    (_F(1000), "ohm", "kohm kohms"),
    (_F(10**6), "ohm", "megohm megohms"),
    (_F(1), "mole", "mol moles"),
    (_F(3048, 10000), "length", "'"),
    (_F(254, 10000), "length", '"'),
)  # fmt: skip
DERIVED: dict[str, Reading] = {
    **{
        name: (_F(1, 1000), (("length", 3),))
        for name in ("l", "litre", "litres", "liter", "liters", "ltr")
    },
    **{
        name: (_F(1, 10**6), (("length", 3),))
        for name in ("ml", "millilitre", "millilitres", "milliliter", "milliliters", "cc")
    },
    **{name: (_F(1, 10**5), (("length", 3),)) for name in ["cl", "centilitre", "centilitres"]},
    **{name: (_F(10**4), (("length", 2),)) for name in ["ha", "hectare", "hectares"]},
    **{name: (_F(40468564224, 10**7), (("length", 2),)) for name in ["acre", "acres"]},
    **{name: (_F(1609344, 3600000), (("length", 1), ("time", -1))) for name in ("mph",)},
    **{name: (_F(1000, 3600), (("length", 1), ("time", -1))) for name in ("kph", "kmh", "kmph")},
}  # fmt: skip
KNOWN: dict[str, Reading] = {
    name: (factor, ((base, 1),)) for factor, base, names in TABLE for name in names.split()
} | DERIVED
CASED: dict[str, Reading] = {
    "kN": (_F(1000), (("newton", 1),)),
    "kJ": (_F(1000), (("joule", 1),)),
    "kW": (_F(1000), (("watt", 1),)),
    "kV": (_F(1000), (("volt", 1),)),
    "mV": (_F(1, 1000), (("volt", 1),)),
    "mA": (_F(1, 1000), (("ampere", 1),)),
    "Pa": (_F(1), (("pascal", 1),)),
    "kPa": (_F(1000), (("pascal", 1),)),
    "MHz": (_F(10**6), (("hertz", 1),)),
    "kHz": (_F(1000), (("hertz", 1),)),
}
"""Symbols that only count in this spelling: `KN` is a segment."""
ALSO: dict[str, tuple[Reading, ...]] = {
    **{
        name: ((_F(1, 60), (("degree", 1),)), (_F(60), (("time", 1),)))
        for name in ("'", "min", "mins", "minute", "minutes")
    },
    **{
        name: ((_F(1, 3600), (("degree", 1),)), (_F(1), (("time", 1),)))
        for name in ('"', "sec", "secs", "second", "seconds")
    },
    **{name: ((_F(1), (("sterling", 1),)),) for name in ("pound", "pounds")},
    "¥": ((_F(1), (("yuan", 1),)),),
}
"""Further meanings of a unit that stands alone: 60' is 60 feet, 1 degree or 1 hour."""
MAX_WORDS = 4
_AMBIGUOUS = frozenset("msghlLNJWVAu")
CURRENCIES = {"usd": "usd", "euro": "euro", "yen": "¥", "pound": "£"}
"""Signs of money, as the normalised text holds them, and the units that they are."""
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_FILLER = frozenset(
    [
        "long", "wide", "high", "tall", "deep", "away", "apart", "of", "in", "total", "the", "each",
        "approximately", "about", "only", "exactly",
    ]
)  # fmt: skip
_STOP = frozenset(
    [
        "or", "and", "not", "is", "are", "be", "but", "maybe", "perhaps", "to", "if", "then",
        "because", "so", "wrong", "right", "no", "yes", "none", "any", "all", "unknown",
        "undefined", "answer", "can", "cannot", "could", "either", "neither", "nor", "than", "less",
        "more", "greater", "between", "with", "without", "minus", "plus", "times", "over", "false",
        "true", "correct", "incorrect", "choice", "option", "approximately", "infinity",
    ]
)  # fmt: skip
_PLURALS = {
    "people": "person", "children": "child", "men": "man", "women": "woman", "mice": "mouse",
}  # fmt: skip
_WORDS = re.compile(r"[A-Za-z]+|\^?\s*\{?(-?\d)\}?|[/·*]|[°%£¥'\"]")


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as read: size in base units, dimension, and the spelling for people."""

    factor: Fraction
    dimension: Dimension
    name: str
    also: tuple[Reading, ...] = ()
    """Other meanings of the same word or mark."""


DEGREE = Unit(Fraction(1), (("degree", 1),), "degrees")
PERCENT = Unit(Fraction(1), (("percent", 1),), "percent")


def is_unit_word(word: str) -> bool:
    """A word of at least two letters that can only be a unit after a number."""
    return len(word) > 1 and (word.lower() in KNOWN or word in _POWERS or word in CASED)


def is_ambiguous(word: str) -> bool:
    """One letter that may be a unit or a variable: m, s, g, h, L."""
    return len(word) == 1 and word in _AMBIGUOUS


def letter_second(tokens: list[Token]) -> bool:
    """`1 g/cm^3`, `3 m 20 cm`: what follows shows that the letter after the number is a unit."""
    if len(tokens) < 4 or tokens[0].kind != "num" or not is_ambiguous(tokens[1].text):
        return False
    linked = tokens[2].text == "/" or tokens[2].kind == "num"
    return linked and tokens[3].kind == "word" and is_unit_word(tokens[3].text)


def spell(tokens: list[Token]) -> str | None:
    """The text of tokens that may be a unit; None when one of them cannot be part of a unit."""
    parts: list[str] = []
    for token in tokens:
        if token.kind == "end":
            break
        if token.kind == "cmd" and token.text in CURRENCIES:
            parts.append(CURRENCIES[token.text])
        elif token.kind == "cmd" and token.text in ("cdot", "times"):
            parts.append("*")
        elif token.kind in ("word", "text", "num") or token.text in "^{}/*°.-%'":
            parts.append(token.text)
        else:
            return None
        parts.append(" ")
    return "".join(parts)


@lru_cache(maxsize=4096)
def parse_unit(text: str) -> Unit | None:
    """The unit that a text spells (`cm ^ 2`, `square metres`, `km / h`, `apples`), or None."""
    text = text.replace("^ { ", "^{").replace(" }", "}").replace("^ ", "^").replace(".", " ")
    text = text.replace("- ", "-").replace("' '", '"')
    if _WORDS.sub(" ", text).strip("{} \t-"):
        return None
    reader = _Reader()
    for match in _WORDS.finditer(text):
        exponent = match.group(1)
        if not (reader.exponent(int(exponent)) if exponent else reader.word(match.group())):
            return None
    if not reader.words or reader.pending != 1:
        return None
    powers = tuple(sorted((name, power) for name, power in reader.powers.items() if power))
    name = " ".join(text.split())
    return Unit(reader.factor, powers, name, ALSO.get(name.lower(), ()))


@dataclass(slots=True)
class _Reader:
    """A product of unit words under construction."""

    factor: Fraction = Fraction(1)
    powers: dict[str, int] = field(default_factory=dict)
    words: int = 0
    pending: int = 1
    """Exponent announced by "square" or "cubic"."""
    sign: int = 1
    """-1 after "/" or "per"."""
    last: tuple[Fraction, Dimension, int] | None = None
    """Size, dimension and exponent of the word read last."""

    def exponent(self, power: int) -> bool:
        """Apply an exponent to the word read last: cm^2, not (m cm)^2."""
        if self.last is None or not 1 <= abs(power) <= 4:
            return False
        size, base, had = self.last
        self._multiply(size, base, had * (power - 1))
        return True

    def word(self, token: str) -> bool:
        """Take one word or sign; False when it belongs to no unit."""
        word = token.lower()
        if token == "/" or word == "per":
            self.sign = -1
        elif token in "*·" or (word in _FILLER and self.words):
            pass
        elif word in _POWERS and self.last is not None and word in ("squared", "cubed"):
            return self.exponent(_POWERS[word])
        elif word in _POWERS:
            self.pending = _POWERS[word]
        else:
            size, base = _lookup(token)
            if base is None or self.words == MAX_WORDS:
                return False
            self.words += 1
            self.last = (size, base, self.pending * self.sign)
            self._multiply(*self.last)
            self.pending = 1
        return True

    def _multiply(self, size: Fraction, base: Dimension, exponent: int) -> None:
        self.factor *= size**exponent
        for name, power in base:
            self.powers[name] = self.powers.get(name, 0) + power * exponent


def _lookup(word: str) -> tuple[Fraction, Dimension | None]:
    lowered = word.lower()
    if word in CASED:
        return CASED[word]
    if lowered in KNOWN:
        if len(word) == 1 and word.isalpha() and word not in _AMBIGUOUS:
            return Fraction(1), None
        return KNOWN[lowered]
    if lowered in _STOP or len(word) < 3:
        return Fraction(1), None
    stem = _PLURALS.get(lowered) or lowered.removesuffix("s")
    return Fraction(1), ((f"noun:{stem}", 1),)


def compatible(gold: Unit | None, other: Unit | None) -> Fraction | None:
    """The factor from `other` to `gold`; 1 when one has none; None when they cannot be compared."""
    if gold is None or other is None:
        return Fraction(1)
    for size, dimension in ((gold.factor, gold.dimension), *gold.also):
        for factor, base in ((other.factor, other.dimension), *other.also):
            if dimension == base:
                return factor / size
    bare = [_without_nouns(unit.dimension) for unit in (gold, other)]
    named = [bare[0] != gold.dimension, bare[1] != other.dimension]
    if bare[0] == bare[1] != () and not all(named):
        return other.factor / gold.factor  # 20% off, 5 kg of apples
    generic = [dict(unit.dimension).get("generic") for unit in (gold, other)]
    lengths = [dict(unit.dimension).get("length") for unit in (gold, other)]
    if any(generic) and (generic[0] or lengths[0]) == (generic[1] or lengths[1]):
        return Fraction(1)
    return None


def _without_nouns(dimension: Dimension) -> Dimension:
    return tuple(part for part in dimension if not part[0].startswith("noun:"))
