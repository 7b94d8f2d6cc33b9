"""Rewrites of a gold that keep or change its value by construction, without the checker's help."""

from __future__ import annotations

import re
from collections.abc import Iterator

_INTEGER = re.compile(r"-?[1-9]\d*")
_DECIMAL = re.compile(r"-?\d+\.\d+")
_FRACTION = re.compile(r"(-?)\\d?frac\s*\{(\d+)\}\s*\{(\d+)\}")
_PLAIN = re.compile(
    r"[-+*/^(){}\[\]\d\s.]*(?:(?:\\d?frac|\\sqrt|\\pi|\\cdot|[a-zA-Z])[-+*/^(){}\d\s.]*)*"
)
_TUPLE = re.compile(r"\(\s*([^(){},]+(?:,[^(){},]+)+)\)")
_LIST = re.compile(r"-?\d+(?:\s*,\s*-?\d+)+")


def strip(gold: str) -> str:
    return gold.strip().strip("$").strip()


def kind(gold: str) -> str:
    """`integer`, `decimal`, `fraction`, `tuple`, `list`, `formula`, or "" for anything else."""
    text = strip(gold)
    for name, pattern in (
        ("integer", _INTEGER),
        ("decimal", _DECIMAL),
        ("fraction", _FRACTION),
        ("tuple", _TUPLE),
    ):
        if pattern.fullmatch(text):
            return name
    if _LIST.fullmatch(text) and not re.fullmatch(r"-?\d{1,3}(,\d{3})+", text):
        return "list"
    # A word of several letters is no formula; the letters of commands do not count.
    if "\n" in text or re.fullmatch(r"\d+/\d+/\d{4}", text):
        return ""
    letters = re.sub(r"\\[a-zA-Z]+", " ", text)
    if (
        text
        and _PLAIN.fullmatch(text)
        and not re.search(r"[A-Za-z]{2}", letters)
        and not re.fullmatch(r"[A-J]", text)
    ):
        return "formula" if re.search(r"\d|\\pi", text) else ""
    return ""


def preserving(gold: str) -> Iterator[str]:
    """Texts with the same value as the gold."""
    text, sort = strip(gold), kind(gold)
    yield f"${text}$"
    yield f"  {text} "
    yield f"\\({text}\\)"
    yield f"\\boxed{{{text}}}"
    if not sort:
        return
    yield f"{text}."
    if sort == "list":
        members = [part.strip() for part in text.split(",")]
        yield ", ".join(reversed(members))
        yield " and ".join(members)
        yield "\\{" + ", ".join(members) + "\\}"
        return
    if sort == "tuple":
        yield text.replace(",", " , ").replace("(", "\\left(").replace(")", "\\right)")
        return
    yield f"k = {text}"
    yield f"({text})"
    yield f"{text} = {text}"
    if sort != "decimal":
        yield f"({text}) + 1 - 1"
        yield f"\\frac{{3({text})}}{{3}}"
        yield f"2({text}) - ({text})"
        yield text.replace("\\frac", "\\dfrac")
    if sort == "integer":
        yield f"{text}.0"
        yield f"{text}^\\circ"
        yield f"{text} cm"
        yield f"\\frac{{{int(text) * 7}}}{{7}}"
        yield f"{int(text):,}"
        yield f"\\text{{{text}}}"
    if sort == "decimal":
        yield f"{text}0"
        yield f"{text}^{{\\circ}}"
        yield f"{text} \\text{{ m}}"
    if match := _FRACTION.fullmatch(text):
        sign, top, bottom = match.groups()
        yield f"{sign}{top}/{bottom}"
        yield f"{sign}\\frac{{{int(top) * 6}}}{{{int(bottom) * 6}}}"
        yield f"\\frac{{{sign}{top}}}{{{bottom}}}"


def changing(gold: str) -> Iterator[str]:
    """Texts with another value than the gold."""
    text, sort = strip(gold), kind(gold)
    if not sort:
        return
    if sort == "list":
        members = [part.strip() for part in text.split(",")]
        yield ", ".join(members[:-1])
        yield ", ".join([*members, "987654"])
        yield ", ".join([*members[:-1], members[-1] + "7"])
        return
    if sort == "tuple":
        members = [part.strip() for part in text[1:-1].split(",")]
        if members[0] != members[-1] and not re.search(r"[A-Za-z\\]", text):
            yield "(" + ",".join(reversed(members)) + ")"
        yield "(" + ",".join([*members, "1"]) + ")"
        yield "(" + ",".join([f"{members[0]}+1", *members[1:]]) + ")"
        return
    yield f"({text}) + 1"
    yield f"({text}) - 1"
    yield f"{text} = ({text}) + 1"
    yield f"{text} or ({text}) + 1"
    yield f"{text}, 987654"
    if sort in ("integer", "decimal"):
        yield f"{text[:-1]}{(int(text[-1]) + 4) % 10 or 1}{text[-1]}"
        yield f"1{text}" if text[0] != "-" else f"-1{text[1:]}"
        if float(text) != 0:
            yield f"-({text})"
            yield f"2({text})"
            yield f"({text})\\pi"
            yield f"\\frac{{{text}}}{{10}}"
    if sort == "integer":
        yield f"{text}.4"
        yield f"{text}!" if int(text) > 2 else f"{text}+2"
    if match := _FRACTION.fullmatch(text):
        sign, top, bottom = match.groups()
        if top != bottom:
            yield f"{sign}\\frac{{{bottom}}}{{{top}}}"
        yield f"{sign}\\frac{{{top}}}{{{int(bottom) + 1}}}"
        yield f"{sign}\\frac{{{top}7}}{{{bottom}}}"
